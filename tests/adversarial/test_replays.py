"""Recorded events come again: as they were, reordered, under another key, after a restart, days later."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from polytraders_hookspecs import ExecutionReport, SignedEvent, sign_event
from support.fake_host import NOW_MS, FakeClock, FakeExchange, FakeHost

from adversarial import recorded

Start = Callable[..., Any]
TWO_DAYS_MS = 2 * 86_400_000


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start bots one after the other on one state directory; with an exchange, on that one."""
    running: list[FakeHost] = []

    async def begin(
        exchange: FakeExchange | None = None, at_ms: int = NOW_MS, *, durable: bool = True
    ) -> FakeHost:
        while running:
            await running.pop().stop()
        host = FakeHost(
            config={"mode": "general_live", "journal": {"durable": durable}},
            state_dir=tmp_path,
            clock=FakeClock(at_ms),
            event_keys=recorded.KEYS,
        )
        if exchange is None:
            recorded.resting(host.exchange)
        else:
            host.exchange = exchange
        await host.start()
        host.clock.ms = max(at_ms, NOW_MS + 300)
        running.append(host)
        return host

    yield begin
    while running:
        await running.pop().stop()


async def play(
    host: FakeHost, events: Sequence[tuple[str, SignedEvent]]
) -> dict[tuple[str, int], ExecutionReport]:
    """Hand events over as they come; return the report of each fill by its trace and moment."""
    reports = {}
    for kind, event in events:
        if kind == "fill":
            reports[event.trace_id, event.event_ts_ms] = await host.bot.on_partial_fill(event)
        elif kind == "closed":
            await host.bot.on_order_closed(event)
        else:
            host.bot.on_decision_report(event)
    return reports


def actions(host: FakeHost) -> list[tuple[str, Any]]:
    """Return what was asked of the exchange that changes anything."""
    return [(what, argument) for what, argument in host.exchange.calls if what in {"cancel", "post"}]


async def test_replay_is_answered_with_the_first_reports_and_does_nothing(start: Start) -> None:
    host, events = await start(durable=False), recorded.events()
    first = await play(host, events)
    did = actions(host)

    again = await play(host, events)

    assert again == first
    assert actions(host) == did
    assert len(did) == 12


async def test_replay_in_any_order_is_answered_with_the_first_reports_and_does_nothing(start: Start) -> None:
    host, events, draw = await start(durable=False), recorded.events(), Random(5)
    first = await play(host, events)
    did = actions(host)

    for _ in range(40):
        draw.shuffle(events)
        assert await play(host, events) == first

    assert actions(host) == did


async def test_replay_after_a_restart_is_answered_with_the_first_reports_and_does_nothing(
    start: Start,
) -> None:
    host, events = await start(), recorded.events()
    first = await play(host, events)
    did = actions(host)

    for seed in range(3):
        host = await start(host.exchange, NOW_MS + 1_000)
        Random(seed).shuffle(events)
        assert await play(host, events) == first

    assert actions(host) == did


async def test_replay_two_days_later_asks_the_exchange_and_does_nothing(start: Start) -> None:
    host, events = await start(), recorded.events()
    await play(host, events)
    did = actions(host)

    host = await start(host.exchange, NOW_MS + TWO_DAYS_MS)
    verdicts = {report.verdict for report in (await play(host, events)).values()}

    assert verdicts == {"REMAINDER_CLOSED"}
    assert [what for what, _ in host.exchange.calls].count("get") > 0
    assert actions(host) == did


async def test_event_under_the_other_key_s_name_is_forged_and_does_nothing(start: Start) -> None:
    host = await start(durable=False)
    for _, event in recorded.events():
        other = "k1" if event.key_id == "k2" else "k2"
        report = await host.bot.on_partial_fill(event.model_copy(update={"key_id": other}))
        assert report.verdict == "EVENT_REJECTED"

    assert host.exchange.calls == []


async def test_event_signed_again_under_the_other_key_is_the_same_event(start: Start) -> None:
    host, events = await start(durable=False), recorded.events()
    first = await play(host, events)
    did = actions(host)

    others = []
    for kind, event in events:
        key_id = "k1" if event.key_id == "k2" else "k2"
        fields = dict(event) | {"key_id": key_id, "key": recorded.KEYS[key_id]}
        del fields["signature"]
        others.append((kind, sign_event(**fields)))

    assert await play(host, others) == first
    assert actions(host) == did


@pytest.mark.parametrize("body_of", ["decision", "fill", "closed"])
async def test_true_body_at_a_hook_it_was_not_meant_for_does_nothing(start: Start, body_of: str) -> None:
    host = await start(durable=False)
    for kind, event in recorded.events():
        if kind != body_of:
            continue
        if kind != "fill":
            assert (await host.bot.on_partial_fill(event)).verdict == "EVENT_REJECTED"
        if kind != "closed":
            with pytest.raises(ValueError, match="OrderClosed"):
                await host.bot.on_order_closed(event)
        if kind != "decision":
            with pytest.raises(ValueError, match="DecisionReport"):
                host.bot.on_decision_report(event)

    assert host.exchange.calls == []


@pytest.mark.parametrize("seed", range(20))
async def test_in_whatever_order_events_come_no_intent_is_exceeded(start: Start, seed: int) -> None:
    host, events = await start(durable=False), recorded.events()
    Random(seed).shuffle(events)

    await play(host, [event for event in events for _ in range(2)])

    assert len(host.exchange.live()) <= len(recorded.ORDERS)
    for order_id in recorded.ORDERS:
        intent = host.bot._engine.tools.intents.get(order_id)
        chain = {order_id} if intent is None else {order.order_id for order in intent.orders}
        held = [host.exchange.orders[one] for one in chain]
        alive = [one for one in held if one.status == "LIVE"]
        assert len(alive) <= 1
        assert (
            sum(one.matched for one in held) + sum(one.size - one.matched for one in alive)
            <= recorded.SIZE_MICRO
        )
