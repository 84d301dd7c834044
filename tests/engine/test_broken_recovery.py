"""Start-up with chains: a live chase is its intent's own, measured from its root, in any order of facts."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from polytraders_hookspecs import ExchangeReply, KillSwitchSignal, KillSwitchStatus, OrderFacts, Strategy
from support.fake_host import (
    MARKET,
    NOW_MS,
    ROOT,
    TOKEN,
    TRACE,
    FakeExchange,
    FakeHost,
    Resting,
    book,
    partial,
)

from polytraders_pfh import plugin
from polytraders_pfh.core.lifecycle import State

CHASE = "0x" + "ee" * 32
DEAD_CHASE = "0x" + "dd" * 32


def facts(**changes: Any) -> OrderFacts:
    known: dict[str, Any] = {
        "order_id": ROOT,
        "market_id": MARKET,
        "token_id": TOKEN,
        "trace_id": TRACE,
        "side": "BUY",
        "price": "0.62",
        "size_shares": "725.806451",
        "filled_shares": "322.580645",
        "status": "PARTIAL",
        "strategy": Strategy(id="s1", partial_fill_policy="chase"),
    }
    return OrderFacts(**(known | changes))


def chase_facts(**changes: Any) -> OrderFacts:
    chase: dict[str, Any] = {"order_id": CHASE, "price": "0.63", "size_shares": "396.82", "strategy": None}
    return facts(**(chase | {"filled_shares": "100", "root_order_id": ROOT} | changes))


@pytest.fixture
def stopped_host(tmp_path: Path) -> FakeHost:
    """A host that has not started: the root is dead, its chase lives."""
    host = FakeHost(config={"mode": "general_live"}, state_dir=tmp_path)
    host.exchange.book = book(asks=(("0.66", "5000"),))
    host.exchange.orders[ROOT] = Resting(725_806_451, 620_000, 322_580_645, "CANCELED")
    host.exchange.orders[CHASE] = Resting(396_820_000, 630_000, 100_000_000)
    host.exchange.orders[DEAD_CHASE] = Resting(396_820_000, 625_000, 0, "CANCELED")
    return host


CHASED_ON = {"order_id": CHASE, "price": "0.63", "filled": "63", "remaining": "186.9966", "at_ms": NOW_MS}


async def test_live_chase_of_a_dead_root_is_cancelled_by_the_kill_switch(stopped_host: FakeHost) -> None:
    stopped_host.orders.partials = (facts(), chase_facts())
    await stopped_host.start()

    await stopped_host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS))

    assert stopped_host.exchange.live() == []
    await stopped_host.stop()


async def test_what_recovery_finds_while_the_kill_switch_is_on_is_cancelled(stopped_host: FakeHost) -> None:
    stopped_host.orders.partials = (facts(), chase_facts())
    stopped_host.kill_switch.status_now = KillSwitchStatus(active=True, reason="drill")

    await stopped_host.start()

    assert stopped_host.exchange.live() == []
    await stopped_host.stop()


async def test_order_that_recovery_takes_after_the_kill_signal_is_cancelled_too(
    stopped_host: FakeHost,
) -> None:
    stopped_host.orders.partials = (facts(), chase_facts())

    def kill_now(exchange: FakeExchange, order_id: str) -> None:
        stopped_host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS)).cancel()

    stopped_host.exchange.on_get = kill_now
    await stopped_host.start()

    assert stopped_host.exchange.live() == []
    await stopped_host.stop()


async def test_dead_chase_that_is_named_after_the_live_one_does_not_take_its_place(
    stopped_host: FakeHost,
) -> None:
    dead = chase_facts(order_id=DEAD_CHASE, price="0.625", filled_shares="0")
    stopped_host.orders.partials = (facts(), chase_facts(), dead)

    await stopped_host.start()

    intent = stopped_host.bot._engine.tools.intents.get(CHASE)
    assert (intent.working.order_id, intent.state) == (CHASE, State.RESTING)
    assert [order.may_fill for order in intent.orders] == [False, False, True]
    assert intent.reposts == 2
    await stopped_host.stop()


async def test_chase_whose_root_is_no_longer_open_is_still_measured_from_it(stopped_host: FakeHost) -> None:
    stopped_host.orders.partials = (chase_facts(),)
    stopped_host.orders.known[ROOT] = facts(status="CANCELLED")
    await stopped_host.start()

    report = await stopped_host.bot.on_partial_fill(partial(policy="chase", wide=True, **CHASED_ON))

    assert report.ticks_to_fill == Decimal(4)
    assert report.verdict == "PARTIAL_FILL_CHASE_ABORTED"
    await stopped_host.stop()


async def test_chase_whose_root_nobody_knows_is_not_chased_further(stopped_host: FakeHost) -> None:
    stopped_host.orders.partials = (chase_facts(),)
    await stopped_host.start()

    await stopped_host.bot.on_partial_fill(partial(policy="chase", **CHASED_ON))

    assert stopped_host.exchange.posted() == []
    assert stopped_host.bot.check_health().status == "red"
    await stopped_host.stop()


async def test_chase_without_a_fill_before_the_restart_is_measured_from_its_root_all_the_same(
    stopped_host: FakeHost,
) -> None:
    await stopped_host.start()
    stopped_host.orders.known = {ROOT: facts(status="CANCELLED"), CHASE: chase_facts(filled_shares="0")}

    report = await stopped_host.bot.on_partial_fill(partial(policy="chase", **CHASED_ON))

    assert report.ticks_to_fill == Decimal(4)
    assert report.verdict == "PARTIAL_FILL_CHASE_ABORTED"
    await stopped_host.stop()


@pytest.mark.parametrize("known", [{CHASE: chase_facts(filled_shares="0")}, None])
async def test_nothing_is_chased_while_its_root_is_not_known(
    stopped_host: FakeHost, known: dict[str, OrderFacts] | None
) -> None:
    await stopped_host.start()
    stopped_host.orders.known = known  # type: ignore[assignment]
    stopped_host.exchange.book = book(asks=(("0.64", "5000"),))

    report = await stopped_host.bot.on_partial_fill(partial(policy="chase", **CHASED_ON))

    assert (report.verdict, report.warnings) == ("HOLD_REMAINDER", ("NOT_REPOSTABLE",))
    assert stopped_host.exchange.live() == [CHASE]
    await stopped_host.stop()


async def test_root_s_policy_is_its_chase_s_after_a_restart(stopped_host: FakeHost) -> None:
    stopped_host.orders.partials = (chase_facts(),)
    stopped_host.orders.known[ROOT] = facts(status="CANCELLED")
    await stopped_host.start()

    intent = stopped_host.bot._engine.tools.intents.get(CHASE)

    assert (intent.policy, intent.strategy_id) == ("chase", "s1")
    await stopped_host.stop()


async def test_recovery_leaves_an_order_that_an_event_moved_meanwhile_to_that_event(
    stopped_host: FakeHost,
) -> None:
    stopped_host.exchange.orders[ROOT].status = "LIVE"
    del stopped_host.exchange.orders[CHASE]
    stopped_host.orders.partials = (facts(),)
    stopped_host.bot = plugin.register_bot(stopped_host)
    stopped_host.manager.register(stopped_host.bot, "exec.partialfillhandler")
    reads: list[str] = []

    async def event_comes_first(exchange: FakeExchange, order_id: str) -> ExchangeReply | None:
        reads.append(order_id)
        if len(reads) > 1:
            return None
        await stopped_host.bot.on_partial_fill(partial(policy="hold"))
        exchange.orders[ROOT].status = "CANCELED"
        return exchange.really_get(order_id)

    stopped_host.exchange.on_get = event_comes_first
    await stopped_host.bot.on_host_start()

    assert stopped_host.bot._engine.tools.intents.get(ROOT).state is State.RESTING
    await stopped_host.stop()


async def test_record_that_lags_behind_the_event_does_not_grow_the_chase(tmp_path: Path) -> None:
    host = FakeHost(config={"mode": "general_live"}, state_dir=tmp_path)
    host.exchange.book = book()
    host.exchange.orders[ROOT] = Resting(725_806_451, 620_000, 300_000_000)
    await host.start()

    report = await host.bot.on_partial_fill(partial(policy="chase", side="SELL"))

    (posted,) = host.exchange.posted()
    assert report.verdict == "CHASE_ORDER_SUBMITTED"
    assert posted.maker_amount_micro == 403_220_000
    await host.stop()
