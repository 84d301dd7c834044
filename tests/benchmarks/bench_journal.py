"""The durable journal against a bare write and fdatasync of the same bytes, as ratios in one run.

    python tests/benchmarks/bench_journal.py [--rounds 7] [--directory DIR]

Three figures, both sides interleaved round by round on the same disk: the latency of one commit alone, as
an intent to post waits for it (from `append` in the loop to the loop's answer); records per second when
batches of 50 are appended and the last is awaited, against one write of the same 50 bodies and payloads
and one fdatasync; and the cost of `append` itself in the loop, which is all that a hold pays. Absolute
times are this disk's; compare ratios of one run only.
"""

import argparse
import asyncio
import gc
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.journals import post, report, step

from polytraders_pfh.engine.journal import Record, SqliteJournal
from polytraders_pfh.engine.journal.records import encode

ALONE = 150
BATCH = 50
BATCHES = 40


def payload_report(n: int) -> Record:
    """Return a report's record with a payload of usual size."""
    record = report(n)
    return record._replace(payload=record.payload.ljust(1_100, b" "))


def alone_record(n: int) -> Record:
    """Return what stands between a signature and its post."""
    return post(f"0x{n:064x}", replaces=f"0x{n + 10**9:064x}")


def bytes_of(record: Record) -> bytes:
    """Return what the bare side writes."""
    return encode(record) + record.payload


async def commits_alone(journal: SqliteJournal, start: int) -> list[float]:
    """Return the latency of each commit, in microseconds."""
    found = []
    for n in range(start, start + ALONE):
        record = alone_record(n)
        began = time.perf_counter_ns()
        await journal.append(record)
        found.append((time.perf_counter_ns() - began) / 1e3)
    return found


def writes_alone(handle: int, start: int) -> list[float]:
    """Return the latency of each bare write, in microseconds."""
    found = []
    for n in range(start, start + ALONE):
        content = bytes_of(alone_record(n))
        began = time.perf_counter_ns()
        os.write(handle, content)
        os.fdatasync(handle)
        found.append((time.perf_counter_ns() - began) / 1e3)
    return found


async def commits_grouped(journal: SqliteJournal, start: int) -> tuple[float, list[float]]:
    """Return records per second, and the cost of each append in microseconds."""
    batches = [[payload_report(start + i * BATCH + n) for n in range(BATCH)] for i in range(BATCHES)]
    costs: list[float] = []
    began = time.perf_counter_ns()
    for batch in batches:
        inside = time.perf_counter_ns()
        commits = [journal.append(record) for record in batch]
        costs.append((time.perf_counter_ns() - inside) / 1e3 / BATCH)
        await commits[-1]
    return BATCH * BATCHES / (time.perf_counter_ns() - began) * 1e9, costs


def writes_grouped(handle: int, start: int) -> float:
    """Return records per second of one write and one fdatasync for each batch."""
    batches = [[payload_report(start + i * BATCH + n) for n in range(BATCH)] for i in range(BATCHES)]
    began = time.perf_counter_ns()
    for batch in batches:
        os.write(handle, b"".join([bytes_of(record) for record in batch]))
        os.fdatasync(handle)
    return BATCH * BATCHES / (time.perf_counter_ns() - began) * 1e9


async def spaced_appends(journal: SqliteJournal, start: int) -> list[float]:
    """Return the cost of an append that has to wake the writer, in microseconds."""
    costs = []
    for n in range(start, start + 200):
        record = step(n)
        began = time.perf_counter_ns()
        journal.append(record)
        costs.append((time.perf_counter_ns() - began) / 1e3)
        await asyncio.sleep(0.002)
    return costs


async def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--directory", type=Path, default=None)
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.directory) as directory:
        journal = SqliteJournal(Path(directory) / "journal")
        await journal.open()
        handle = os.open(Path(directory) / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        await measure(journal, handle, asked.rounds)
        await journal.close()
        os.close(handle)


async def measure(journal: SqliteJournal, handle: int, rounds: int) -> None:
    """Interleave the sides and print their medians and ratios."""
    await commits_alone(journal, 10**8)
    writes_alone(handle, 0)
    alone: list[float] = []
    bare: list[float] = []
    grouped: list[float] = []
    floor: list[float] = []
    costs: list[float] = []
    waking: list[float] = []
    gc.disable()
    for i in range(rounds):
        bare += writes_alone(handle, i * ALONE)
        alone += await commits_alone(journal, i * ALONE)
        floor.append(writes_grouped(handle, 0))
        per_second, each = await commits_grouped(journal, i * BATCH * BATCHES)
        grouped.append(per_second)
        costs += each
        waking += await spaced_appends(journal, i * 200)
        gc.collect()
    assert not journal.failed
    middle = statistics.median
    print(f"one commit alone     {middle(alone):8.0f} us   bare {middle(bare):8.0f} us   ", end="")
    print(f"ratio {middle(alone) / middle(bare):.2f}   p99 {statistics.quantiles(alone, n=100)[98]:.0f} us")
    print(f"50 per commit        {middle(grouped):8.0f} /s   bare {middle(floor):8.0f} /s   ", end="")
    print(f"ratio {middle(grouped) / middle(floor):.2f}")
    print(
        f"append in the loop   {middle(costs):8.2f} us in a burst, {middle(waking):.2f} us waking the writer"
    )


if __name__ == "__main__":
    asyncio.run(main())
