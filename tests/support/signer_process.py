"""A signer as a true process, and the file it is told by."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.canaries import OWNER_KEY

ROOT = Path(__file__).parents[2]
CLI = (sys.executable, "-c", "from polytraders_pfh.cli import main; main()")
PATIENCE_S = 60.0
KEY = OWNER_KEY
LIMITS = {"tokens": '"any"', "max_size_shares": "500", "orders_per_minute": "1000"}


def signer_file(folder: Path, *, kind: int = 0, funder: str = "", **limits: Any) -> Path:
    """Write a signer's config whose socket is `run/signer.sock` beside it; limits are TOML text."""
    wallet = f'signature_type = {kind}\nfunder = "{funder}"\n' if kind else ""
    lines = "\n".join(f"{name} = {value}" for name, value in (LIMITS | limits).items())
    path = folder / "signer.toml"
    path.write_text(
        f'[signer]\nsocket = "run/signer.sock"\n\n[wallet]\n{wallet}key = {{ env = "SIGNER_KEY" }}\n\n'
        f"[limits]\n{lines}\n"
    )
    return path


@contextmanager
def signer_process(config: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a signer until the block ends; it is up when the block begins."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "hookspecs")])
    started = subprocess.Popen(
        [*CLI, "signer", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", "SIGNER_KEY": KEY},
    )
    watchdog = threading.Timer(PATIENCE_S, started.kill)
    watchdog.start()
    try:
        assert started.stderr is not None
        line = started.stderr.readline()
        assert "signer is up at" in line, line + started.stderr.read()
        yield started
    finally:
        watchdog.cancel()
        if started.poll() is None:
            started.kill()
        started.communicate()
