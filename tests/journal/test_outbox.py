"""The outbox: durable first, in order per trace, whatever the bus does and however long."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import NoOpTracerProvider
from support.clocks import HandClock
from support.eventually import eventually
from support.journals import opened, report, step

from polytraders_pfh.engine.journal import Journal, JournalFailed, MemoryJournal, SqliteJournal
from polytraders_pfh.engine.outbox import TOPIC, Outbox
from polytraders_pfh.telemetry.traces import Traces

UNTRACED = Traces(NoOpTracerProvider(), "0", HandClock().monotonic_ns, lambda *_: None)

Fault = Callable[[str], Any]


class Bus:
    """Keeps what it takes. `fault`, asked with the message id, may raise or wait in its place."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.by_trace: dict[str, list[str]] = defaultdict(list)
        self.attempts = 0
        self.under_way = 0
        self.fault: Fault | None = None

    async def publish(self, topic: str, key: str, payload: bytes, message_id: str) -> None:
        assert topic == TOPIC
        assert message_id.encode() in payload
        self.attempts += 1
        self.under_way += 1
        try:
            if self.fault is not None:
                await self.fault(message_id)
        finally:
            self.under_way -= 1
        self.taken.append(message_id)
        self.by_trace[key].append(message_id)


async def down(_: str) -> None:
    raise ConnectionError("the bus is down")


@pytest.fixture(params=["memory", "durable"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    """A journal of either kind."""
    made = MemoryJournal() if request.param == "memory" else await opened(tmp_path)
    yield made
    await made.close()


def outbox_on(bus: Bus, journal: Journal, clock: HandClock | None = None, **numbers: Any) -> Outbox:
    settings = {"max_pending": 10_000, "publish_timeout_s": 0.02} | numbers
    return Outbox(bus, journal, clock or HandClock(), UNTRACED, **settings)


async def pass_time(clock: HandClock, until: Callable[[], object], step_s: float = 1.0) -> None:
    """Let virtual time pass until something is true."""

    def passed() -> object:
        clock.advance(step_s)
        return until()

    await eventually(passed)


async def test_a_report_is_offered_only_once_its_record_is_durable(journal: Journal) -> None:
    bus, seen = Bus(), []

    async def look(message_id: str) -> None:
        durable = [one.record.message_id async for one in journal.read()]
        seen.append(message_id in durable)

    bus.fault = look
    outbox = outbox_on(bus, journal, publish_timeout_s=5.0)
    for n in range(20):
        outbox.offer(report(n, f"trc_{n % 4}"))
    await outbox.close(5.0)
    assert seen == [True] * 20
    assert len(outbox) == journal.pending == 0


async def test_a_bus_that_is_down_for_an_hour_loses_and_reorders_nothing(journal: Journal) -> None:
    bus, clock = Bus(), HandClock()
    bus.fault = down
    outbox = outbox_on(bus, journal, clock, keep=50)
    most = 0
    for minute in range(60):
        for n in range(40):
            outbox.offer(report(minute * 40 + n, f"trc_{n % 13}"))
        for _ in range(60):
            clock.advance(1.0)
            await asyncio.sleep(0)
            most = max(most, outbox.held)
    await eventually(lambda: journal.pending == len(outbox) == 2_400)
    assert bus.taken == []
    assert most <= 50
    assert bus.attempts < 1_200
    bus.fault = None
    await pass_time(clock, lambda: not len(outbox))
    await outbox.close(1.0)
    assert sorted(bus.taken, key=lambda name: int(name[4:])) == [f"rep_{n}" for n in range(2_400)]
    for trace, taken in bus.by_trace.items():
        expected = [f"rep_{n}" for n in range(2_400) if f"trc_{n % 40 % 13}" == trace]
        assert taken == expected
    assert outbox.lost == 0


async def test_a_trace_that_fails_holds_back_its_own_reports_only(journal: Journal) -> None:
    bus, clock = Bus(), HandClock()

    async def poison(message_id: str) -> None:
        if message_id == "rep_0":
            raise ValueError("this one never")

    bus.fault = poison
    outbox = outbox_on(bus, journal, clock)
    for n in range(30):
        outbox.offer(report(n, f"trc_{n % 3}"))
    await pass_time(clock, lambda: len(bus.taken) == 20, 0.01)
    assert bus.by_trace.keys() == {"trc_1", "trc_2"}
    for n in range(30, 33):
        outbox.offer(report(n, f"trc_{n % 3}"))
    await eventually(lambda: len(bus.taken) == 22)
    assert len(outbox) == 11
    bus.fault = None
    await pass_time(clock, lambda: not len(outbox))
    await outbox.close(1.0)
    assert bus.by_trace["trc_0"] == [f"rep_{n}" for n in range(0, 33, 3)]


async def test_while_the_bus_is_down_one_report_at_a_time_asks_for_it(journal: Journal) -> None:
    bus, clock, most = Bus(), HandClock(), []

    async def counts(_: str) -> None:
        most.append(bus.under_way)
        await asyncio.sleep(0)
        raise ConnectionError("down")

    bus.fault = counts
    outbox = outbox_on(bus, journal, clock)
    for n in range(40):
        outbox.offer(report(n, f"trc_{n}"))
    await pass_time(clock, lambda: len(most) > 30)
    assert max(most[10:]) == 1
    await outbox.close(0.0)


async def hang(_: str) -> None:
    await asyncio.Event().wait()


async def cancels_itself(_: str) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("fault", [down, hang, cancels_itself])
async def test_a_bus_that_raises_hangs_or_cancels_is_asked_again(journal: Journal, fault: Fault) -> None:
    bus, clock = Bus(), HandClock()
    bus.fault = fault
    outbox = outbox_on(bus, journal, clock)
    for n in range(4):
        outbox.offer(report(n))
    await pass_time(clock, lambda: bus.attempts >= 3)
    assert bus.taken == []
    bus.fault = None
    await pass_time(clock, lambda: not len(outbox))
    await outbox.close(1.0)
    assert bus.taken == [f"rep_{n}" for n in range(4)]


async def test_an_answer_that_comes_too_late_leads_to_the_same_report_again(journal: Journal) -> None:
    bus, clock, late = Bus(), HandClock(), []

    async def loses_the_answer(message_id: str) -> None:
        if message_id not in late:
            late.append(message_id)
            bus.taken.append(message_id)
            await hang(message_id)

    bus.fault = loses_the_answer
    outbox = outbox_on(bus, journal, clock)
    for n in range(3):
        outbox.offer(report(n))
    await pass_time(clock, lambda: not len(outbox))
    await outbox.close(1.0)
    assert bus.taken == ["rep_0", "rep_0", "rep_1", "rep_1", "rep_2", "rep_2"]


async def test_a_bus_that_does_not_stop_does_not_hold_the_host(journal: Journal) -> None:
    bus, freed = Bus(), asyncio.Event()

    async def stubborn(_: str) -> None:
        while not freed.is_set():
            try:
                await freed.wait()
            except asyncio.CancelledError:
                continue

    bus.fault = stubborn
    outbox = outbox_on(bus, journal, publish_timeout_s=0.001)
    outbox.offer(report(1))
    await eventually(lambda: bus.under_way)
    await outbox.close(0.01)
    assert journal.pending == 1
    freed.set()
    await eventually(lambda: not bus.under_way)


async def test_a_restart_offers_exactly_what_was_not_acknowledged(tmp_path: Path) -> None:
    bus = Bus()

    async def refuses(message_id: str) -> None:
        if int(message_id[4:]) >= 5:
            raise ConnectionError("down")

    bus.fault = refuses
    first = await opened(tmp_path)
    outbox = outbox_on(bus, first, keep=3)
    for n in range(10):
        outbox.offer(report(n))
    await eventually(lambda: len(bus.taken) == 5)
    await outbox.close(0.0)
    await first.close()
    again, later = Bus(), await opened(tmp_path)
    outbox = outbox_on(again, later, keep=3)
    outbox.offer(report(10))
    await outbox.close(5.0)
    await later.close()
    assert bus.taken == [f"rep_{n}" for n in range(5)]
    assert again.taken == [f"rep_{n}" for n in range(5, 11)]


async def test_what_an_earlier_run_left_is_offered_without_a_new_report(tmp_path: Path) -> None:
    first = await opened(tmp_path)
    for n in range(700):
        first.append(report(n, f"trc_{n % 2}"))
    await first.close()
    bus, later = Bus(), await opened(tmp_path)
    outbox = outbox_on(bus, later, keep=100)
    assert len(outbox) == 700
    outbox.start()
    await outbox.close(10.0)
    await later.close()
    assert [name for name in bus.taken if int(name[4:]) % 2] == [f"rep_{n}" for n in range(1, 700, 2)]
    assert len(bus.taken) == 700


async def test_the_same_report_twice_is_offered_once(journal: Journal) -> None:
    bus = Bus()
    outbox = outbox_on(bus, journal)
    for _ in range(3):
        outbox.offer(report(1))
    await outbox.close(5.0)
    assert bus.taken == ["rep_1"]


async def test_reports_of_a_failed_journal_are_offered_from_memory_in_order(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    bus, clock = Bus(), HandClock()
    bus.fault = down
    outbox = outbox_on(bus, journal, clock, keep=10)
    for n in range(25):
        outbox.offer(report(n))
    await eventually(lambda: journal.pending == 25)
    journal._writer.failed = "the disk is gone; replace it"
    for n in range(25, 40):
        outbox.offer(report(n))
    assert len(outbox) == 35
    assert outbox.lost == 5
    bus.fault = None
    await pass_time(clock, lambda: not len(outbox))
    await outbox.close(1.0)
    assert bus.taken == [f"rep_{n}" for n in range(35)]
    await journal.close()


async def test_reports_that_cannot_be_read_back_are_asked_for_again(journal: Journal) -> None:
    bus, clock = Bus(), HandClock()
    bus.fault = down
    outbox = outbox_on(bus, journal, clock, keep=4)
    for n in range(20):
        outbox.offer(report(n))
    await eventually(lambda: journal.pending == 20)
    reads, really = [], journal.undelivered

    async def fails_twice(after: int, limit: int) -> Any:
        reads.append(after)
        if len(reads) < 3:
            raise JournalFailed("the disk hiccups")
        return await really(after, limit)

    journal.undelivered = fails_twice  # type: ignore[method-assign]
    bus.fault = None
    await pass_time(clock, lambda: not len(outbox))
    await outbox.close(1.0)
    assert bus.taken == [f"rep_{n}" for n in range(20)]
    assert len(reads) >= 3


async def test_a_full_outbox_says_so_until_the_bus_is_back(journal: Journal) -> None:
    bus, clock = Bus(), HandClock()
    bus.fault = down
    outbox = outbox_on(bus, journal, clock, max_pending=5)
    for n in range(4):
        outbox.offer(report(n))
    assert not outbox.full
    outbox.offer(report(4))
    assert outbox.full
    bus.fault = None
    await pass_time(clock, lambda: not outbox.full)
    await outbox.close(1.0)


async def test_other_records_do_not_wait_for_the_bus(tmp_path: Path) -> None:
    journal: SqliteJournal = await opened(tmp_path)
    bus = Bus()
    bus.fault = hang
    outbox = outbox_on(bus, journal, publish_timeout_s=60.0)
    for n in range(50):
        outbox.offer(report(n, f"trc_{n}"))
    await eventually(lambda: bus.under_way == 8)
    async with asyncio.timeout(5):
        assert await journal.append(step(1)) == 51
    await outbox.close(0.0)
    await journal.close()


async def test_trace_that_rests_for_long_delays_no_later_one(journal: Journal) -> None:
    bus, clock = Bus(), HandClock()

    async def only_the_first(message_id: str) -> None:
        if message_id == "rep_1" or bus.attempts < 9:
            raise ConnectionError("the bus refuses it")

    bus.fault = only_the_first
    outbox = outbox_on(bus, journal, clock)
    outbox.offer(report(1, "trc_1"))
    await pass_time(clock, lambda: bus.attempts >= 7)
    outbox.offer(report(2, "trc_2"))
    await eventually(lambda: bus.attempts >= 8)
    await pass_time(clock, lambda: bus.taken == ["rep_2"], 0.05)
    bus.fault = None
    await pass_time(clock, lambda: bus.taken == ["rep_2", "rep_1"])
    await outbox.close(1)


async def test_report_offered_after_the_workers_stopped_is_published_by_others(
    journal: Journal,
) -> None:
    """A host that stops and goes on after all: whoever idled then waits for nothing any more."""
    bus = Bus()
    outbox = outbox_on(bus, journal)
    outbox.offer(report(1))
    await eventually(lambda: bus.taken == ["rep_1"])
    await outbox.close(1)
    outbox._workers.clear()
    outbox.offer(report(2))
    await eventually(lambda: bus.taken == ["rep_1", "rep_2"])
    await outbox.close(1)
