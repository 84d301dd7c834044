"""The power goes away after any call that changed a file: what was acknowledged is there, in its order.

PFH_POWER_DRAWS=100 for a long run: so many draws of what was kept, after each call; 3 otherwise.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from support import power
from support.power import RECORDS, Call, Disk, calls

from polytraders_pfh.engine.journal import JournalFailed
from polytraders_pfh.engine.journal.live import open_live
from polytraders_pfh.engine.journal.reading import stored
from polytraders_pfh.engine.journal.shelf import Shelf
from polytraders_pfh.ops.verify import verify

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join([str(ROOT), str(ROOT / "hookspecs"), str(ROOT / "tests")])
DRAWS = int(os.environ.get("PFH_POWER_DRAWS", "3"))


@pytest.fixture(scope="module")
def room() -> Iterator[Path]:
    """A directory in memory where there is one: the power goes away some hundred times."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
def recorded(room: Path) -> list[Call]:
    """Every call of one run that changed a file, with the marks of what was acknowledged."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("recording I/O calls needs Linux and a C compiler")
    library, source = room / "recording_io.so", Path(power.__file__).with_name("recording_io.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    environment = os.environ | {"PYTHONPATH": PATHS, "LD_PRELOAD": str(library)}
    command = [sys.executable, power.__file__, str(room / "journal"), str(room / "log")]
    subprocess.run(command, env=environment, check=True)
    return list(calls((room / "log").read_bytes()))


def losses(recorded: list[Call], room: Path) -> Iterator[tuple[int, int, Path]]:
    """Yield the number of the call, how many records were acknowledged by then, and what may be found."""
    disk, found, acknowledged = Disk(), room / "found", 0
    for number, call in enumerate(recorded):
        if call.kind == "mark":
            acknowledged += 1
            continue
        disk.take(call, str(room / "journal"))
        for i, kept in enumerate([0.0, 1.0] + [0.5] * DRAWS):
            shutil.rmtree(found, ignore_errors=True)
            found.mkdir()
            disk.after_power_loss(found, Random(f"{number} {i}"), kept)
            yield number, acknowledged, found


def test_nothing_acknowledged_is_lost_and_the_journal_goes_on(recorded: list[Call], room: Path) -> None:
    assert [call.offset for call in recorded if call.kind == "mark"] == list(range(RECORDS))
    seen = 0
    for number, acknowledged, found in losses(recorded, room):
        segment = open_live(Shelf(found), check=True)
        segment.close()
        kept = [int(str(one.record.facts["n"])) for one in stored(Shelf(found).segments(), 0, None)]
        assert kept == list(range(len(kept))), f"after call {number}: {kept}"
        assert len(kept) >= acknowledged, f"after call {number}: {acknowledged} were promised, found {kept}"
        assert verify(found).ok, f"after call {number}"
        seen += 1
    assert seen > 300


def test_a_journal_that_did_not_sync_would_be_found_out(recorded: list[Call], room: Path) -> None:
    """Without the syncs of its log something acknowledged is lost: this is what the test above would see."""
    careless = [call for call in recorded if not (call.kind == "sync" and call.name.endswith("-wal"))]
    lost = 0
    for _, acknowledged, found in losses(careless[: len(careless) // 2], room):
        with suppress(JournalFailed, sqlite3.Error):
            open_live(Shelf(found), check=True).close()
            lost += len(list(stored(Shelf(found).segments(), 0, None))) < acknowledged
    assert lost > 0
