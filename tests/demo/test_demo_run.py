"""Whole runs, in process, over real sockets: the figures, the same story twice, and planted faults found."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from polytraders_hookspecs import PartialFill, Strategy
from support.demo_stage import recorded_flow, short_run

from polytraders_pfh.core.outcomes import CancelVerdict, OrderRecord, RecordVerdict
from polytraders_pfh.demo.board import Board
from polytraders_pfh.demo.errors import DemoError
from polytraders_pfh.demo.flow import SyntheticMarkets
from polytraders_pfh.demo.lanes import POLICIES
from polytraders_pfh.demo.result import Plan, Result
from polytraders_pfh.demo.run import Run
from polytraders_pfh.demo.world import World
from polytraders_pfh.engine.exchange import Exchange as EngineExchange
from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host import PlaceOrder


def story(result: Result) -> tuple[Any, ...]:
    """Everything in a result but the machine's own time."""
    counted = (result.orders, result.chase_orders, result.partial_fills, result.moves, result.killed)
    return (counted, dict(result.verdicts), dict(result.warnings), result.figures, result.violations)


async def test_policies_side_by_side_start_from_the_same_orders_and_end_apart() -> None:
    result = await short_run()

    assert result.violations == ()
    assert result.complete
    assert result.partial_fills == sum(each.partial_fills for each in result.figures) > 10
    assert result.verdicts["HOLD_REMAINDER"] > 0
    assert result.verdicts["CANCELLED_REMAINDER"] > 0
    assert result.verdicts["CHASE_ORDER_SUBMITTED"] > 0
    rows = {(each.policy, each.side): each for each in result.figures}
    for side in ("BUY", "SELL"):
        wanted = {rows[policy, side].wanted_micro for policy in POLICIES if (policy, side) in rows}
        assert len(wanted) <= 1
    filled = {
        policy: sum(r.filled_micro for r in result.figures if r.policy == policy) for policy in POLICIES
    }
    assert filled["cancel"] < filled["chase"]
    assert filled["cancel"] < filled["hold"]
    for each in result.figures:
        assert each.max_adverse_ticks <= 3
        if each.policy != "chase":
            assert (each.chases, each.cost_pico) == (0, 0)


async def test_one_seed_tells_one_story_and_another_tells_another() -> None:
    first, again, other = await short_run(), await short_run(), await short_run(seed=4)

    assert story(first) == story(again)
    assert story(first) != story(other)


async def test_a_single_policy_has_the_market_under_its_own_ids() -> None:
    seen: set[str] = set()

    async def note(world: World, _: Board) -> None:
        seen.update(market.condition_id for market in world.exchange.markets())

    flow = SyntheticMarkets(3, 1, 30_000)
    result = await Run(Plan(flow, 3, ("hold",)), after_move=note).play(lambda _: None)

    assert seen == {flow.markets[0].market.condition_id}
    assert {each.policy for each in result.figures} == {"hold"}


async def test_a_recording_is_played_whole_and_its_fills_obey_the_law(tmp_path: Path) -> None:
    flow = recorded_flow(tmp_path / "day.jsonl")

    result = await Run(Plan(flow, 1, POLICIES)).play(lambda _: None)

    assert result.moves == 400
    assert (result.violations, result.complete) == ((), True)
    assert result.partial_fills > 0
    assert result.killed is not None


async def test_what_the_kill_switch_cancelled_is_counted_and_reported(tmp_path: Path) -> None:
    flow = recorded_flow(tmp_path / "day.jsonl")

    result = await Run(Plan(flow, 1, ("hold",))).play(lambda _: None)

    assert (result.killed, result.verdicts["KILL_SWITCH_ACTIVE"]) == (1, 1)


async def test_stopping_ends_with_the_figures_so_far() -> None:
    plan = Plan(SyntheticMarkets(3, 1, 60_000), 3, POLICIES)
    run = Run(plan)

    def stop(progress: Any) -> None:
        run.stopping = progress.moves >= 300

    result = await run.play(stop)

    assert (result.moves, result.complete, result.killed, result.violations) == (300, False, None, ())


async def test_a_flow_without_markets_or_books_says_what_to_give() -> None:
    with pytest.raises(DemoError, match="held no market; give a recording that has some"):
        Run(Plan(SyntheticMarkets(3, 0, 1_000), 3, POLICIES))
    with pytest.raises(DemoError, match="held no book"):
        await Run(Plan(SyntheticMarkets(3, 1, 0), 3, POLICIES)).play(lambda _: None)


def test_settings_that_the_plugin_refuses_are_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match="mode"):
        Run(Plan(SyntheticMarkets(3, 1, 1_000), 3, POLICIES, settings={"mode": "reckless"}))


async def test_a_second_order_for_one_intent_is_found_by_the_oracle() -> None:
    posted: list[str] = []

    async def post_twice(world: World, board: Board) -> None:
        if not posted and board.cards:
            intent = next(iter(board.cards.values())).intent
            posted.append(await _place_again(world, intent))

    result = await short_run(duration_ms=20_000, after_move=post_twice)

    assert {v.rule for v in result.violations} >= {"two-live", "overfill"}
    assert any(posted[0] in v.text for v in result.violations if v.rule == "two-live")


async def _place_again(world: World, intent: Any) -> str:
    placed = await world.host.place(
        PlaceOrder(
            token_id=intent.token_id,
            market_id=intent.condition_id,
            side=intent.side,
            price=Decimal(intent.price_micro).scaleb(-6),
            size_shares=Decimal(intent.size_micro).scaleb(-6),
            strategy=Strategy(id="rogue", partial_fill_policy="hold"),
            builder_code=intent.builder_code,
        )
    )
    assert placed.outcome == "accepted", placed.text
    return placed.order_id


async def test_a_plugin_that_believes_cancels_it_never_sent_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = EngineExchange.record

    async def believed(_: EngineExchange, order_ids: tuple[str, ...]) -> dict[str, CancelVerdict]:
        return dict.fromkeys(order_ids, CancelVerdict.DEAD)

    async def closed(self: EngineExchange, order_id: str) -> tuple[RecordVerdict, OrderRecord]:
        return RecordVerdict.CLOSED, (await record(self, order_id))[1]

    monkeypatch.setattr(EngineExchange, "cancel", believed)
    monkeypatch.setattr(EngineExchange, "record", closed)

    result = await short_run(policies=("chase",))

    assert "two-live" in {v.rule for v in result.violations}


async def test_a_report_that_never_comes_is_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polytraders_pfh.demo.lockstep.PATIENCE_S", 0.5)
    monkeypatch.setattr("polytraders_pfh.engine.outbox.Outbox.offer", lambda *_: None)

    with pytest.raises(DemoError, match="no final report had come"):
        await short_run()


async def test_every_partial_the_bots_hear_is_one_that_happened() -> None:
    heard: list[PartialFill] = []
    levels: set[tuple[str, int]] = set()

    async def note(world: World, board: Board) -> None:
        heard[:] = world.observer.partials
        for card in board.cards.values():
            levels.update((o.order_id, o.size_matched_micro * o.price_micro) for o in card.orders.values())

    await short_run(policies=("hold",), after_move=note)

    assert heard
    assert {(p.order_id, int(p.filled_usd.scaleb(12))) for p in heard} <= levels
