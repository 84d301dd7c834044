"""Hosts that share their orders: one may post, the other takes over from the shared log and the exchange."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from polytraders_hookspecs import ExchangeReply, UnsignedOrder
from support.fake_host import ROOT, FakeExchange, FakeHost, Resting, book, no_reply, partial, reply
from support.shared_log import LogTruth, StubSharedLog

from polytraders_pfh.core.lifecycle import State
from polytraders_pfh.engine.fencing import NOT_OURS
from polytraders_pfh.engine.journal import Kind, Record

Begin = Callable[..., Any]


@pytest.fixture
def truth() -> LogTruth:
    return LogTruth()


@pytest.fixture
async def begin(tmp_path: Path, truth: LogTruth) -> AsyncIterator[Begin]:
    """Start hosts one after the other, each taking over from the one before it."""
    hosts: list[FakeHost] = []

    async def begin(before: FakeHost | None = None) -> FakeHost:
        log = truth.take_over()
        host = FakeHost(
            config={"mode": "general_live"},
            state_dir=tmp_path / str(log.own),
            fence=log,
            shared_log=log,
        )
        if before is None:
            host.exchange.book = book()
            host.exchange.orders[ROOT] = Resting(725_806_451, 620_000, 322_580_645)
        else:
            host.exchange, host.reports = before.exchange, before.reports
            exchange = host.exchange
            exchange.on_cancel = exchange.on_post = exchange.on_get = exchange.on_book = None
        await host.start()
        hosts.append(host)
        return host

    yield begin
    for host in hosts:
        await host.stop()


async def records(host: FakeHost, kind: Kind) -> list[Record]:
    journal = host.bot._engine.tools.journal
    await journal.append(Record(Kind.COMMAND, 0, "", "", "", {}))  # everything before it is kept then
    return [one.record async for one in journal.read(kinds={kind})]


async def test_the_token_stands_in_the_record_that_is_kept_before_the_send(begin: Begin) -> None:
    host = await begin()
    known: list[int] = []
    host.exchange.on_post = lambda *_: known.append(len(host.shared_log.truth.entries)) and None

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_ORDER_SUBMITTED"
    (intended,) = await records(host, Kind.POST_RECORDED)
    assert (intended.facts["token"], intended.facts["replaces"]) == (1, ROOT)
    assert known > [0]
    assert not (host.state_dir / "journal").exists()


async def test_a_host_without_its_lease_leaves_the_order_resting(begin: Begin) -> None:
    host = await begin()
    host.fence.lapsed = True

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert (report.verdict, report.warnings) == ("HOLD_REMAINDER", ("NOT_REPOSTABLE",))
    assert report.detail == NOT_OURS
    assert host.exchange.cancels() == []


@pytest.mark.parametrize("lapses", ["while it is signed", "once it is recorded"])
async def test_a_lease_that_lapses_on_the_way_to_the_post_sends_nothing(begin: Begin, lapses: str) -> None:
    host = await begin()
    log: StubSharedLog = host.fence
    if lapses == "while it is signed":
        host.signer.twist = lambda signed: (setattr(log, "lapsed", True), signed)[1]
    else:
        real = log.append

        async def append(entry: bytes, needed_from: int) -> int:
            number = await real(entry, needed_from)
            log.lapsed = log.lapsed or b'"post_recorded"' in entry
            return number

        log.append = append  # type: ignore[method-assign]

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert host.exchange.posted() == []
    assert (report.verdict, report.detail) == ("CANCELLED_REMAINDER", NOT_OURS)
    if lapses == "once it is recorded":
        (held,) = await records(host, Kind.HELD_BACK)
        assert held.facts["why"] == NOT_OURS


async def test_the_token_of_the_record_is_the_one_that_is_checked_not_a_later_one(begin: Begin) -> None:
    host = await begin()
    log: StubSharedLog = host.fence
    real = log.append

    async def append(entry: bytes, needed_from: int) -> int:
        number = await real(entry, needed_from)
        if b'"post_recorded"' in entry:  # lost and won again meanwhile: whoever had it may have acted
            log.own = log.truth.token = 7
        return number

    log.append = append  # type: ignore[method-assign]

    await host.bot.on_partial_fill(partial(policy="chase"))

    assert host.exchange.posted() == []


async def test_the_same_bytes_are_not_sent_again_once_the_lease_is_lost(begin: Begin) -> None:
    host = await begin()

    def lost(exchange: FakeExchange, order: Any) -> ExchangeReply:
        host.fence.lapsed = True
        return no_reply()

    host.exchange.on_post = lost

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_UNCONFIRMED"
    assert len(host.exchange.posted()) == 1


@pytest.mark.parametrize("broken", ["token", "still_held"])
async def test_a_fence_that_fails_lets_nothing_through(begin: Begin, broken: str) -> None:
    host = await begin()

    def fails(*_: Any) -> Any:
        raise ConnectionError("the bus is down")

    host.fence.token = lambda root_order_id: 1
    setattr(host.fence, broken, fails)

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert host.exchange.posted() == []
    assert report.verdict == "HOLD_REMAINDER"


async def test_cancels_go_on_without_the_lease(begin: Begin) -> None:
    host = await begin()
    host.fence.lapsed = True

    report = await host.bot.on_partial_fill(partial(policy="cancel"))

    assert report.verdict == "CANCELLED_REMAINDER"
    assert host.exchange.live() == []


@pytest.mark.parametrize("landed", [True, False])
async def test_whoever_takes_over_finds_the_post_that_was_in_flight_and_signs_no_second_one(
    begin: Begin, landed: bool
) -> None:
    first = await begin()
    sent, release = asyncio.Event(), asyncio.Event()

    async def hangs(exchange: FakeExchange, order: Any) -> ExchangeReply:
        if landed:
            exchange.really_post(order)
        sent.set()
        await release.wait()
        return no_reply()

    first.exchange.on_post = hangs
    going = asyncio.ensure_future(first.bot.on_partial_fill(partial(policy="chase")))
    await sent.wait()
    (posted,) = first.exchange.posted()

    second = await begin(first)

    intent = second.bot._engine.tools.intents.get(ROOT)
    assert intent.working.order_id == posted.order_id
    assert intent.state is (State.RESTING if landed else State.POST_UNKNOWN)
    assert len(second.exchange.posted()) == 1
    if not landed:
        again = await second.bot.on_partial_fill(partial(policy="chase"))
        assert again.verdict != "CHASE_ORDER_SUBMITTED"
        assert len(second.exchange.posted()) == 1
    release.set()
    await going


async def test_the_report_of_an_event_comes_from_whoever_owns_it_and_once(begin: Begin) -> None:
    first = await begin()
    sent = asyncio.Event()

    async def hangs(exchange: FakeExchange, order_ids: Any) -> ExchangeReply:
        exchange.really_cancel(order_ids)
        sent.set()
        await release.wait()
        return reply(200, {"canceled": list(order_ids), "not_canceled": {}})

    release = asyncio.Event()
    first.exchange.on_cancel = hangs
    going = asyncio.ensure_future(first.bot.on_partial_fill(partial(policy="chase")))
    await sent.wait()
    second = await begin(first)
    release.set()
    late = await going

    reports = await second.reports.until(1)
    await first.stop()

    assert late.verdict == "CANCELLED_REMAINDER"
    assert first.exchange.posted() == []
    (told,) = [report for report in reports if report["final"]]
    assert told["detail"] == "the host was restarted while this was under way"
    assert [report["final"] for report in second.reports.reports()].count(True) == 1


async def test_a_kill_switch_that_the_first_owner_latched_is_latched_for_the_next(begin: Begin) -> None:
    first = await begin()
    first.bot._engine.tools.kill.set("drill")
    await first.stop()

    second = await begin(first)

    assert second.bot._engine.tools.kill.reason == "drill"


async def test_an_order_that_was_thrown_away_by_the_signer_leaves_no_token_behind(begin: Begin) -> None:
    host = await begin()
    host.signer.twist = lambda signed: "no order"

    await host.bot.on_partial_fill(partial(policy="chase"))

    assert await records(host, Kind.POST_RECORDED) == []
    assert all(isinstance(asked, UnsignedOrder) for asked in host.signer.asked)
