"""Disks that are full or lie: the journal latches, says so, and never takes back what it promised."""

import asyncio
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from support import io_sweep, journal_child
from support.journals import everything, opened, step, tags
from support.small_disk import small_disk

from polytraders_pfh.engine.journal import RESERVED, JournalFailed, Kind, SqliteJournal
from polytraders_pfh.engine.journal.live import open_live
from polytraders_pfh.ops.verify import verify

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join([str(ROOT), str(ROOT / "hookspecs"), str(ROOT / "tests")])
FIU_ROUNDS = int(os.environ.get("PFH_FIU_ROUNDS", "8"))


async def fill(journal: SqliteJournal) -> list[int]:
    """Append until the journal fails; return what it acknowledged."""
    promised = []
    for n in range(100_000):
        try:
            await journal.append(step(n, words="w" * 700))
        except JournalFailed:
            return promised
        promised.append(n)
    raise AssertionError("the small disk never filled")


async def test_on_a_full_disk_everything_promised_is_there_and_the_reserve_takes_the_kill_records(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk", 1_536) as disk:
        journal = await opened(disk)
        promised = await fill(journal)
        assert "disk is full; free or replace the disk, then restart" in journal.failed
        for kind in set(Kind) - RESERVED:
            with pytest.raises(JournalFailed):
                await journal.append(step(1, kind))
        rescued = 0
        for _ in range(20):
            for kind in sorted(RESERVED):
                await journal.append(step(100_000 + rescued, kind))
                rescued += 1
        assert journal.failed
        found = tags(await everything(journal))
        await journal.close()
        assert rescued == 20 * len(RESERVED)
        assert found == [*promised, *range(100_000, 100_000 + rescued)]
        await _restart_on_a_full_disk(disk, found)


async def test_a_kill_record_that_comes_while_the_full_log_is_opened_again_waits_for_the_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def late(*told: Any, **named: Any) -> Any:
        asked.wait(60)
        return open_live(*told, **named)

    with small_disk(tmp_path / "disk", 1_536) as disk:
        journal = await opened(disk)
        monkeypatch.setattr("polytraders_pfh.engine.journal.writer.open_live", late)
        await fill(journal)
        killing = asyncio.ensure_future(journal.append(step(100_000, Kind.KILL_SWITCH)))
        await asyncio.sleep(0)
        asked.set()
        await killing
        assert tags(await everything(journal))[-1] == 100_000
        await journal.close()


async def _restart_on_a_full_disk(disk: Path, before: list[int]) -> None:
    journal = await opened(disk)
    assert "No space left" in journal.failed
    with pytest.raises(JournalFailed):
        await journal.append(step(1, Kind.POST_RECORDED))
    assert tags(await everything(journal)) == before
    await journal.close()
    assert verify(disk).ok


async def test_a_disk_that_has_room_again_serves_after_a_restart(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1_536) as disk:
        (disk / "other").write_bytes(b"x" * 700_000)
        journal = await opened(disk)
        promised = await fill(journal)
        await journal.close()
        (disk / "other").unlink()
        again = await opened(disk)
        assert again.failed == ""
        await again.append(step(7, Kind.POST_RECORDED))
        assert tags(await everything(again)) == [*promised, 7]
        await again.close()


@pytest.fixture(scope="module")
def failing_io(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The preloaded library that fails the n-th call."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("failing the n-th I/O call needs Linux and a C compiler")
    library = tmp_path_factory.mktemp("failing") / "failing_io.so"
    source = Path(io_sweep.__file__).with_name("failing_io.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.mark.parametrize("how", ["once", "forever"])
@pytest.mark.parametrize(
    ("code", "which"), [(errno.EIO, "changes"), (errno.ENOSPC, "changes"), (errno.EIO, "reads")]
)
def test_whichever_io_call_fails_nothing_promised_is_lost(
    failing_io: Path, code: int, which: str, how: str
) -> None:
    environment = os.environ | {"PYTHONPATH": PATHS, "LD_PRELOAD": str(failing_io)}
    # In memory where that is possible: some hundred runs with real fsyncs would take minutes.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        command = [sys.executable, io_sweep.__file__, directory, str(code), how, which]
        swept = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert swept.returncode == 0, swept.stderr[-2_000:]
    calls, latched, rescued = map(int, swept.stdout.split())
    assert calls > (100 if which == "changes" else 20)
    assert latched > calls // 2
    if (code, how) == (errno.ENOSPC, "once"):
        assert rescued > 10


@pytest.mark.parametrize("point", ["posix/io/sync/fdatasync", "posix/io/rw/pwrite"])
async def test_under_random_faults_the_acknowledged_rows_are_there_and_the_journal_latches(
    tmp_path: Path, point: str
) -> None:
    if shutil.which("fiu-run") is None:
        pytest.skip("fiu-run is not installed (Debian: fiu-utils)")
    latched = 0
    for i in range(FIU_ROUNDS):
        directory = tmp_path / str(i)
        journal = await opened(directory)
        await journal.close()
        probability = "0.03" if "sync" in point else "0.01"
        command = ["fiu-run", "-x", "-f", "", "-c", f"enable_random name={point},probability={probability}"]
        child = [sys.executable, journal_child.__file__, str(directory), "0", "120"]
        environment = os.environ | {"PYTHONPATH": PATHS}
        ran = subprocess.run([*command, *child], env=environment, capture_output=True, text=True, check=False)
        words = [line.split() for line in ran.stdout.splitlines()]
        promised = {int(word[0]): int(word[1]) for word in words if word[0].isdigit()}
        failed = [word for word in words if word[0] == "failed"]
        latched += bool(failed)
        again = await opened(directory)
        assert again.failed == ""
        found = {one.seq: int(str(one.record.facts["n"])) for one in await everything(again)}
        await again.close()
        assert promised.items() <= found.items()
        assert len(found) == 120 or failed
        assert len(found) - max(promised, default=0) <= 6
    assert latched > 0
