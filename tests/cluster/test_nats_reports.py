"""Reports on a real JetStream: once each, in order, for 7 years, whatever stops meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.js.api import StreamConfig
from opentelemetry.trace import NoOpTracerProvider
from polytraders_hookspecs import ExecutionReport
from support.fake_host import FakeClock
from support.nats_server import NEEDS_NATS, NatsServer, nats_server

from polytraders_pfh.engine.journal import MemoryJournal
from polytraders_pfh.engine.journal.records import Kind, Record
from polytraders_pfh.engine.outbox import TOPIC, Outbox
from polytraders_pfh.host.clock import SystemClock
from polytraders_pfh.host.cluster.link import BusLink
from polytraders_pfh.host.cluster.partitions import partition_of
from polytraders_pfh.host.cluster.reports import NatsReportBus, report_stream
from polytraders_pfh.host.config_nats import NatsSection, ReportsNatsSection
from polytraders_pfh.host.errors import BusError
from polytraders_pfh.telemetry.traces import Traces

pytestmark = NEEDS_NATS
OLD_MS, YEARS_7_S = 1_000_000_000_000, 220_924_800


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def section(request: pytest.FixtureRequest) -> ReportsNatsSection:
    """A stream of this test's own."""
    name = f"R{abs(hash(request.node.name))}"
    return ReportsNatsSection(stream=name, topic=f"t.{name}", partitions=4)


def link_to(url: str, **more: Any) -> BusLink:
    return BusLink(NatsSection(servers=(url,), **more), "test")


@asynccontextmanager
async def bus_at(server: NatsServer, section: ReportsNatsSection) -> AsyncIterator[NatsReportBus]:
    link = link_to(server.url)
    await link.open()
    bus = NatsReportBus(link, section, 1, SystemClock())
    try:
        await bus.open()
        yield bus
    finally:
        await link.close()


async def stored(server: NatsServer, section: ReportsNatsSection) -> list[tuple[str, str, bytes]]:
    """Return every message of the stream: subject, message id, body."""
    link = link_to(server.url)
    await link.open()
    count = (await link.jetstream.stream_info(section.stream)).state.messages
    found = []
    for seq in range(1, count + 1):
        msg = await link.jetstream.get_msg(section.stream, seq)
        found.append((msg.subject, (msg.headers or {})["Nats-Msg-Id"], msg.data))
    await link.close()
    return found


def made_at(ms: int) -> bytes:
    return json.dumps({"evaluated_at_ms": ms}).encode()


def test_partitions_are_the_same_in_every_language() -> None:
    assert [partition_of(key, 16) for key in ("trc_2b3c4d5e6f7a8b9c", "", "é")] == [6, 4, 3]


async def test_a_report_stands_under_its_trace_s_partition_with_its_id(
    server: NatsServer, section: ReportsNatsSection
) -> None:
    async with bus_at(server, section) as bus:
        await bus.publish(section.topic, "trc_1", b"{}", "m1")

    subject = f"{section.topic}.{partition_of('trc_1', 4)}"
    assert await stored(server, section) == [(subject, "m1", b"{}")]


async def test_the_stream_keeps_reports_for_seven_years_and_lets_nobody_delete_them(
    server: NatsServer, section: ReportsNatsSection
) -> None:
    async with bus_at(server, section) as bus:
        await bus.publish(section.topic, "trc_1", b"{}", "m1")
        link = link_to(server.url)
        await link.open()
        config = (await link.jetstream.stream_info(section.stream)).config
        with pytest.raises(Exception, match="delete not permitted"):
            await link.jetstream.delete_msg(section.stream, 1)
        await link.close()

    assert (config.max_age, config.deny_purge, config.duplicate_window) == (YEARS_7_S, True, 120)


async def test_a_fresh_report_offered_again_is_in_the_stream_once(
    server: NatsServer, section: ReportsNatsSection
) -> None:
    body = made_at(SystemClock().now_ms())
    for _ in range(2):
        async with bus_at(server, section) as bus:
            await bus.publish(section.topic, "trc_1", body, "m1")
            await bus.publish(section.topic, "trc_1", body, "m1")

    assert [message_id for _, message_id, _ in await stored(server, section)] == ["m1"]


async def test_a_report_that_the_server_s_memory_of_ids_has_forgotten_is_still_in_the_stream_once(
    server: NatsServer,
) -> None:
    section = ReportsNatsSection(stream="SHORT", topic="t.short", partitions=1, dedup_window_s=1)
    async with bus_at(server, section) as bus:
        await bus.publish(section.topic, "trc_1", made_at(SystemClock().now_ms()), "m1")
        later = made_at(SystemClock().now_ms() - 2_000)
        while (await _duplicates_known(server, section)) is not False:
            await asyncio.sleep(0.05)
        await bus.publish(section.topic, "trc_1", later, "m1")
        await bus.publish(section.topic, "trc_1", later, "m2")
    async with bus_at(server, section) as bus:
        await bus.publish(section.topic, "trc_1", later, "m2")

    assert [message_id for _, message_id, _ in await stored(server, section)] == ["m1", "m2"]


async def _duplicates_known(server: NatsServer, section: ReportsNatsSection) -> bool:
    """Whether the window that began with the last message is still open on the server."""
    link = link_to(server.url)
    await link.open()
    last = await link.jetstream.get_last_msg(section.stream, f"{section.topic}.0")
    now_ms, stored_ms = SystemClock().now_ms(), last.time.timestamp() * 1000  # type: ignore[union-attr]
    await link.close()
    return now_ms - stored_ms < 2_500


async def test_two_hosts_that_offer_the_same_old_reports_leave_each_in_the_stream_once(
    server: NatsServer, section: ReportsNatsSection
) -> None:
    async with bus_at(server, section) as one, bus_at(server, section) as two:
        await asyncio.gather(
            *[
                bus.publish(section.topic, f"trc_{n % 3}", made_at(OLD_MS), f"m{n}")
                for n in range(30)
                for bus in (one, two)
            ]
        )

    assert sorted(message_id for _, message_id, _ in await stored(server, section)) == sorted(
        f"m{n}" for n in range(30)
    )


async def test_a_stream_that_exists_with_other_settings_is_refused_with_what_to_change(
    server: NatsServer, section: ReportsNatsSection
) -> None:
    link = link_to(server.url)
    await link.open()
    await link.jetstream.add_stream(StreamConfig(name=section.stream, subjects=["other.1"], max_age=60))

    with pytest.raises(BusError) as caught:
        async with bus_at(server, section):
            pass
    await link.close()

    said = str(caught.value)
    assert f"stream {section.stream} exists with other settings: subjects is ['other.1']" in said
    assert f"max_age is 60.0, and has to be {float(YEARS_7_S)}" in said
    assert "change the stream, or name another one" in said


async def test_another_count_of_partitions_is_another_stream(
    server: NatsServer, section: ReportsNatsSection
) -> None:
    async with bus_at(server, section):
        pass

    with pytest.raises(BusError, match="subjects is"):
        async with bus_at(server, section.model_copy(update={"partitions": 5})):
            pass


async def test_a_wrong_address_is_one_sentence_that_names_it() -> None:
    with pytest.raises(BusError, match=r"nats.servers was nats://127.0.0.1:9, where no bus could be reached"):
        await link_to("nats://127.0.0.1:9", connect_s=0.3).open()


async def test_a_server_without_jetstream_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    said = "without JetStream; start nats-server with -js"
    with nats_server(tmp_path, jetstream=False) as plain, pytest.raises(BusError, match=said):
        await link_to(plain.url, answer_s=0.5).open()


async def test_reports_made_while_the_bus_is_stopped_are_there_once_it_is_back(tmp_path: Path) -> None:
    section = ReportsNatsSection(stream="R", topic=TOPIC, partitions=2)
    clock, journal = SystemClock(), MemoryJournal()
    with nats_server(tmp_path) as server:
        async with bus_at(server, section) as bus:
            traces = Traces(NoOpTracerProvider(), "0", clock.monotonic_ns, lambda *_: None)
            outbox = Outbox(bus, journal, clock, traces, max_pending=100, publish_timeout_s=0.5)
            outbox.offer(_record(0, clock.now_ms()))
            server.stop(hard=True)
            for number in range(1, 10):
                outbox.offer(_record(number, clock.now_ms()))
            server.start()
            await outbox.close(30)
        found = await stored(server, section)

    assert len(outbox) == 0
    assert sorted(message_id for _, message_id, _ in found) == [f"m{n}" for n in range(10)]
    for trace in ("trc_0", "trc_1", "trc_2"):
        told = [int(body) for _, _, body in found if int(body) % 3 == int(trace[-1])]
        assert told == sorted(told)


def _record(number: int, now_ms: int) -> Record:
    trace = f"trc_{number % 3}"
    return Record(
        Kind.REPORTED, now_ms, trace, "", "", {}, b"%d" % number, message_id=f"m{number}", partition_key=trace
    )


async def test_a_report_of_the_future_is_looked_for_like_an_old_one_never_lost(
    server: NatsServer, section: ReportsNatsSection
) -> None:
    report = ExecutionReport(report_id="r1", bot_id="b", verdict="HOLD_REMAINDER", evaluated_at_ms=OLD_MS)
    link = link_to(server.url)
    await link.open()
    bus = NatsReportBus(link, section, 1, FakeClock(OLD_MS - 10_000))
    await bus.open()
    await bus.publish(section.topic, "trc_1", report.to_json(), "r1")
    await link.close()

    assert [message_id for _, message_id, _ in await stored(server, section)] == ["r1"]


def test_the_report_stream_s_subjects_are_the_partitions() -> None:
    stream = report_stream(ReportsNatsSection(partitions=2), 3)

    assert stream.subjects == [f"{TOPIC}.0", f"{TOPIC}.1"]
    assert stream.num_replicas == 3
