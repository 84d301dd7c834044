"""The signer as a process of its own: it reads one key, opens one socket, and waits for a signal."""

import asyncio
import contextlib
import ctypes
import logging
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Final

from polytraders_pfh.errors import ConfigError, PfhError
from polytraders_pfh.host.clock import SystemClock
from polytraders_pfh.host.keys import read_wallet
from polytraders_pfh.host.signer import WalletSigner
from polytraders_pfh.host.signing.config import SignerConfig, load_signer_config
from polytraders_pfh.host.signing.server import SigningServer

_log: Final = logging.getLogger(__name__)
_PR_SET_DUMPABLE: Final = 4
_EXIT_FAILED: Final = 1
_EXIT_WRONG: Final = 2


def run_signer(config_path: Path) -> int:
    """Run a signer until SIGTERM or SIGINT; return the process's exit code.

    Returns: 0 after a clean stop, 2 when the config is wrong, 1 when it could not start.
    """
    try:
        config = load_signer_config(config_path)
        logging.basicConfig(
            level=config.signer.log_level.upper(),
            stream=sys.stderr,
            format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        )
        _keep_memory_private()
        asyncio.run(_serve(config))
    except ConfigError as e:
        print(e, file=sys.stderr)
        return _EXIT_WRONG
    except (PfhError, OSError) as e:
        print(f"the signer stopped: {e}", file=sys.stderr)
        return _EXIT_FAILED
    return 0


async def _serve(config: SignerConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    clock = SystemClock()
    wallet = read_wallet(config.wallet, config.signer.chain_id, os.environ)
    server = SigningServer(config.signer.socket, WalletSigner(wallet, clock), config.limits.limits(), clock)
    await server.open()
    try:
        _log.info("signer is up at %s for %s", config.signer.socket, wallet.address)
        await stop.wait()
    finally:
        await server.close()


def _keep_memory_private() -> None:
    """Leave no core file, and let no other process of this user read the memory (PR_SET_DUMPABLE)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):  # only Linux has it
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
