"""A signer as a true process, and the file it is told by."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.canaries import OWNER_KEY
from support.processes import line_with, process

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
    with process("signer", "--config", str(config), SIGNER_KEY=KEY) as started:
        line_with(started.stderr, "signer is up at")
        yield started
