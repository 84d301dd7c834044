"""Running a host as a process: logging, signals, an exit code. Nothing here is imported by bots."""

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import Final

from polytraders_pfh.errors import ConfigError, PfhError
from polytraders_pfh.host.app import Host
from polytraders_pfh.host.config import HostConfig, load_config

_log: Final = logging.getLogger(__name__)
EXIT_CONFIG: Final = 2
EXIT_FAILED: Final = 1


def run_host(config_path: Path) -> int:
    """Run a host until SIGTERM or SIGINT; return the process's exit code.

    Returns: 0 after a clean stop, 2 when the config is wrong, 1 when the host could not start or failed.
    """
    try:
        config = load_config(config_path)
    except ConfigError as e:
        print(e, file=sys.stderr)
        return EXIT_CONFIG
    logging.basicConfig(
        level=config.host.log_level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        return asyncio.run(_run(config))
    except ConfigError as e:
        print(e, file=sys.stderr)
        return EXIT_CONFIG
    except (PfhError, OSError) as e:
        _log.error("the host stopped: %s", e)
        return EXIT_FAILED


async def _run(config: HostConfig) -> int:
    """Serve until a signal comes; a signal during the start ends the start."""
    serving = asyncio.current_task()
    assert serving is not None
    stop = asyncio.Event()
    up = False

    def on_signal() -> None:
        stop.set()
        if not up:
            serving.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    try:
        async with Host(config):
            up = True
            await stop.wait()
            _log.info("stopping")
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
    return 0
