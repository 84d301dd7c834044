"""A bot that handles one event after the other, and what it holds of memory meanwhile.

    PYTHONPATH=tests python tests/journal/soak.py 1000000

Each order fills in part, is decided (hold, cancel or chase in turn) and is closed; every table is small, so
that it is full early. Prints, every twentieth of the way, how much memory the process holds, how many blocks
the interpreter has handed out, and at the end the slopes of both after a warm-up of two fifths.
"""

import asyncio
import gc
import json
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from polytraders_hookspecs import SignedEvent, read_json, sign_event
from polytraders_hookspecs.wire import print_json
from support.fake_host import KEY, KEY_ID, MARKET, TOKEN, FakeBus, FakeHost, Resting, book

POLICIES = ("hold", "hold", "cancel", "hold", "chase", "hold")
SIZE_MICRO = 500_000_000
MIB = 1024 * 1024
TABLES = {"seen_events": 64, "max_intents": 256, "max_decision_reports": 64, "tombstone_ms": 50}


class Sample(NamedTuple):
    """After so many events: resident bytes, and blocks of the interpreter's own memory in use."""

    events: int
    resident: int
    blocks: int


class CountingBus(FakeBus):
    """Takes every report and keeps none."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0

    async def publish(self, topic: str, key: str, payload: bytes, message_id: str) -> None:
        self.taken += 1


async def soaked(directory: Path, events: int) -> tuple[list[Sample], FakeHost]:
    """Return samples taken on the way, and the host at its end, stopped."""
    host = FakeHost(
        config={"mode": "general_live", "execution": TABLES}, state_dir=directory, reports=CountingBus()
    )
    host.exchange.book = book()
    await host.start()
    _fill_the_parsers_cache()
    samples = []
    for n in range(events):
        if n % (events // 20) == 0:
            await _settled(host)
            samples.append(_sample(host, n))
        await _one(host, n)
    await _settled(host)
    samples.append(_sample(host, events))
    await host.stop()
    return samples, host


def slope(samples: list[Sample], of: str) -> float:
    """Return the least-squares slope of a figure per event, after a warm-up of two fifths."""
    late = samples[2 * len(samples) // 5 :]
    xs, ys = [one.events for one in late], [getattr(one, of) for one in late]
    middle, height = sum(xs) / len(xs), sum(ys) / len(ys)
    rise = sum((x - middle) * (y - height) for x, y in zip(xs, ys, strict=True))
    return rise / sum((x - middle) ** 2 for x in xs)


async def _one(host: FakeHost, n: int) -> None:
    """Let one order fill in part, be decided and be closed."""
    host.clock.ms += 5
    order_id, trace_id, at_ms = f"0x{n:064x}", f"trc_{n:016x}", host.clock.ms
    host.exchange.orders[order_id] = Resting(SIZE_MICRO, 620_000, SIZE_MICRO // 2)
    host.bot.on_book_update(host.exchange.book.model_copy(update={"timestamp_ms": at_ms}))
    fill = {
        "order_id": order_id,
        "status": "PARTIAL",
        "filled_usd": 155,
        "remaining_usd": 155,
        "original_price": "0.62",
        "side": "BUY",
        "market_id": MARKET,
        "token_id": TOKEN,
        "strategy": {"id": "s1", "partial_fill_policy": POLICIES[n % len(POLICIES)]},
    }
    declared = {"trace_id": trace_id, "side": "BUY", "intended_size_usd": 310, "limit_price": "0.65"}
    host.bot.on_decision_report(_signed(trace_id, at_ms, declared))
    await host.bot.on_partial_fill(_signed(trace_id, at_ms, fill))
    for live in host.exchange.live():
        await host.bot.on_order_closed(_signed(trace_id, at_ms, {"order_id": live, "status": "FILLED"}))
    host.exchange.orders.clear()
    host.exchange.calls.clear()
    host.signer.asked.clear()
    if n % 64 == 0:
        await _settled(host)


def _signed(trace_id: str, at_ms: int, members: dict[str, object]) -> SignedEvent:
    body = print_json(members).encode()
    return sign_event(key_id=KEY_ID, key=KEY, event_ts_ms=at_ms, trace_id=trace_id, body=body)


async def _settled(host: FakeHost) -> None:
    """Wait until what was reported is durable and published."""
    engine = host.bot._engine
    async with asyncio.timeout(60):
        while engine.tools.journal.pending or engine.tools.journal.queued or len(engine.outbox):
            await asyncio.sleep(0.001)


def _fill_the_parsers_cache() -> None:
    """The JSON parser keeps some ten thousand short texts that it has seen. Let it have them at once."""
    for first in range(0, 200_000, 2_000):
        read_json(print_json([f"warm_{n:015x}" for n in range(first, first + 2_000)]).encode())


def _sample(host: FakeHost, events: int) -> Sample:
    list(host.metrics_registry.collect())  # what waits to be counted is counted then
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    return Sample(events, resident, sys.getallocatedblocks())


def left(host: FakeHost) -> dict[str, int]:
    """Return how much every table, queue and set of tasks holds."""
    engine = host.bot._engine
    return {
        "seen_events": len(engine.coordinator._seen),
        "max_intents": len(engine.tools.intents),
        "max_decision_reports": len(engine.declared),
        "ended orders": len(engine.tools.intents._ended),
        "in flight": engine.coordinator.in_flight,
        "shed": len(engine.coordinator._shed),
        "tasks": len(engine.carrier._tasks),
        "waiting reports": len(engine.outbox),
        "waiting records": engine.tools.journal.queued,
        "books": len(engine.tools.books._kept),
    }


def main() -> None:
    """Soak, and print what was seen on the way and what is left."""
    events = int(sys.argv[1])
    memory = Path("/dev/shm")  # a million real fsyncs would tell of the disk, not of memory
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        samples, host = asyncio.run(soaked(Path(directory), events))
    for one in samples:
        print(f"{one.events:>9} events  {one.resident / MIB:8.1f} MiB  {one.blocks:>9} blocks")
    assert isinstance(host.reports, CountingBus)
    found = {
        "reports": host.reports.taken,
        "mib_per_100_000": round(slope(samples, "resident") * 100_000 / MIB, 3),
        "risen_mib": round((samples[-1].resident - samples[2 * len(samples) // 5].resident) / MIB, 2),
        "blocks_per_100_000": round(slope(samples, "blocks") * 100_000),
        "left": left(host),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
