"""The command line as a true process: it is ended when the block ends, and when it hangs."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
CLI = (sys.executable, "-c", "from polytraders_pfh.cli import main; main()")
PATIENCE_S = 60.0


@contextmanager
def process(*arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """Run `polytraders-pfh` with these arguments."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "hookspecs")])
    started = subprocess.Popen(
        [*CLI, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", **environ},
    )
    # A process that hangs is ended, so that whoever reads from it comes to the end of its lines.
    watchdog = threading.Timer(PATIENCE_S, started.kill)
    watchdog.start()
    try:
        yield started
    finally:
        watchdog.cancel()
        if started.poll() is None:
            started.kill()
        started.communicate()


def line_with(stream: IO[str] | None, pattern: str) -> str:
    """Return the first line that holds the pattern; fail when the process ends before, or is ended."""
    assert stream is not None
    seen: list[str] = []
    for line in iter(stream.readline, ""):
        seen.append(line)
        if re.search(pattern, line):
            return line
    raise AssertionError(f"no line held {pattern!r}: {seen}")
