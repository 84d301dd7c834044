"""Killed at any moment, also while a segment rolls over: what was acknowledged is there.

PFH_KILL_ROUNDS=1000 for the long run; 50 otherwise.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

from support import journal_child
from support.journals import everything, opened

from polytraders_pfh.ops.verify import verify

ROUNDS = int(os.environ.get("PFH_KILL_ROUNDS", "50"))
ROOT = Path(__file__).parents[2]


def start(directory: Path, first: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, journal_child.__file__, str(directory), str(first), "1000000", "300000"]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'hookspecs'}"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)


def acknowledged_until_killed(directory: Path, first: int, lines: int) -> dict[int, int]:
    """Let a child write, kill it after so many lines, and return number by sequence of what it was told."""
    child = start(directory, first)
    assert child.stdout is not None
    assert child.stdout.readline() == b"open\n"
    said = b"".join([child.stdout.readline() for _ in range(lines)])
    child.kill()
    said += child.stdout.read()
    child.stdout.close()
    assert child.wait() == -9
    whole = said[: said.rfind(b"\n") + 1].split()
    return dict(zip(map(int, whole[::2]), map(int, whole[1::2]), strict=True))


async def test_nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    draw, promised, first = random.Random(20_260), dict[int, int](), 0
    for _ in range(ROUNDS):
        promised |= acknowledged_until_killed(tmp_path, first, draw.randrange(1, 120))
        journal = await opened(tmp_path)
        assert journal.failed == ""
        found = {one.seq: int(str(one.record.facts["n"])) for one in await everything(journal)}
        head = journal.head()
        await journal.close()
        assert {seq: found.get(seq) for seq in promised} == promised
        assert list(found) == list(range(1, head.seq + 1))
        first = max(found.values()) + 1
        if ROUNDS > 200 and len(found) > 20_000:
            await _forget(tmp_path)
            promised, first = {}, 0
    assert verify(tmp_path).ok
    assert len(list(tmp_path.glob("*.db"))) > 1 or ROUNDS < 20


async def _forget(directory: Path) -> None:
    """Begin an empty journal, so that a long run does not read an ever longer one."""
    assert verify(directory).ok
    for path in directory.iterdir():
        path.unlink()
