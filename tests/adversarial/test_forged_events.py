"""Nobody without a key moves anything. PFH_FORGERIES=1000000 for the long run; 20,000 otherwise."""

import os
from collections import Counter
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from polytraders_hookspecs import EventForged, check_signature
from support.fake_host import NOW_MS, FakeClock, FakeHost

from adversarial import recorded
from adversarial.forging import CHANGES, forged
from polytraders_pfh.engine.intake import FORGED, Rejected, read_fill

FORGERIES = int(os.environ.get("PFH_FORGERIES", "20000"))
AT_THE_DOOR = 500


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[FakeHost]:
    """A live bot whose exchange holds the recorded orders."""
    host = FakeHost(
        config={"mode": "general_live", "journal": {"durable": False}},
        state_dir=tmp_path,
        clock=FakeClock(NOW_MS + 300),
        event_keys=recorded.KEYS,
    )
    recorded.resting(host.exchange)
    await host.start()
    yield host
    await host.stop()


def test_of_all_forgeries_none_is_accepted() -> None:
    events = [event for _, event in recorded.events()]
    kinds: Counter[str] = Counter()
    for kind, event in islice(forged(events, Random(20_260)), FORGERIES):
        with pytest.raises(Rejected) as refused:
            read_fill(event, recorded.KEYS)
        assert refused.value.why == FORGED, event
        kinds[kind] += 1
    assert kinds.total() == FORGERIES
    assert min(kinds[change.__name__] for change in CHANGES) > FORGERIES // 50


async def test_forgeries_at_every_hook_leave_the_bot_as_it_was(host: FakeHost) -> None:
    events = [event for _, event in recorded.events()]
    engine = host.bot._engine
    for _, event in islice(forged(events, Random(7)), AT_THE_DOOR):
        report = await host.bot.on_partial_fill(event)
        with pytest.raises(EventForged):
            await host.bot.on_order_closed(event)
        with pytest.raises(EventForged):
            host.bot.on_decision_report(event)
        assert (report.verdict, report.order_id) == ("EVENT_REJECTED", None)
    assert host.exchange.calls == []
    assert len(engine.tools.intents) == len(engine.coordinator._seen) == len(engine.declared) == 0
    assert not any(engine.tools.intents.has_ended(order_id) for order_id in recorded.ORDERS)
    assert host.sample("rejected_events_total", {"why": FORGED}) == AT_THE_DOOR


async def test_after_all_forgeries_the_true_events_are_handled_as_if_there_had_been_none(
    host: FakeHost,
) -> None:
    true = recorded.events()
    for _, event in islice(forged([event for _, event in true], Random(8)), AT_THE_DOOR):
        await host.bot.on_partial_fill(event)
    verdicts = [(await host.bot.on_partial_fill(event)).verdict for kind, event in true if kind == "fill"]
    assert Counter(verdicts) == {
        "HOLD_REMAINDER": 8,
        "CANCELLED_REMAINDER": 4,
        "CHASE_ORDER_SUBMITTED": 4,
        "REMAINDER_CLOSED": 8,
    }


def test_every_recorded_event_is_true() -> None:
    for _, event in recorded.events():
        check_signature(event, recorded.KEYS)
