"""The oracle: a clean history passes, and each law that is broken is named with its figures."""

from decimal import Decimal
from typing import Any

import pytest
from polytraders_hookspecs import PartialFill
from support.demo_stage import (
    CHASE_ONE,
    CHASE_TWO,
    CONDITION,
    ROOT,
    T0,
    TOKEN,
    intent,
    order_event,
)

from polytraders_pfh.demo.oracle import (
    Circumstances,
    HistoryJudge,
    Violation,
    judge_books,
    judge_kill,
    judge_reports,
)
from polytraders_pfh.demo.truth import Fact, KillMark
from polytraders_pfh.paper.core.events import OrderEventKind, TickSizeEvent, TradeEvent
from polytraders_pfh.paper.core.ledger import Audit
from polytraders_pfh.paper.core.model import MICRO, OrderStatus, Side
from polytraders_pfh.paper.core.trades import MakerFill, MatchKind, Trade, TradeStatus

PLACED, UPDATED, CANCELLED = OrderEventKind.PLACEMENT, OrderEventKind.UPDATE, OrderEventKind.CANCELLATION
GONE = OrderStatus.CANCELED
BALANCED = Audit(100, 60, 40, 0, 0, True)


def found(*facts: Fact, **changes: Any) -> list[Violation]:
    judge = HistoryJudge([intent(**changes)], {CONDITION: 10_000}, 3)
    for fact in facts:
        judge.read(fact)
    return judge.found


def rules(*facts: Fact, **changes: Any) -> list[str]:
    return [violation.rule for violation in found(*facts, **changes)]


def fill(order_id: str, price: int, shares: int) -> TradeEvent:
    """The crowd sells to an order of ours."""
    ours = MakerFill(
        order_id, "0xus", "0xus", shares * MICRO, price, 0, TOKEN, "Yes", Side.BUY, "key", MatchKind.DIRECT
    )
    trade = Trade(
        id=f"{order_id} {shares}",
        taker_order_id="crowd",
        condition_id=CONDITION,
        token_id=TOKEN,
        side=Side.SELL,
        size_micro=shares * MICRO,
        price_micro=price,
        status=TradeStatus.MATCHED,
        match_ms=T0,
        last_update_ms=T0,
        owner="crowd",
        maker_fills=(ours,),
        outcome="Yes",
        transaction_hash=None,
        bucket_index=0,
        api_key="crowd",
        maker="crowd",
        fee_rate_bps=0,
        fee_usd_micro=0,
    )
    return TradeEvent(trade, T0)


def test_a_chase_that_keeps_the_law_is_no_violation() -> None:
    assert (
        found(
            order_event(PLACED),
            fill(ROOT, 400_000, 30),
            order_event(UPDATED, matched=30),
            order_event(CANCELLED, matched=30, status=GONE),
            order_event(PLACED, CHASE_ONE, price=430_000, shares=65),
            KillMark(T0),
            order_event(CANCELLED, CHASE_ONE, price=430_000, shares=65, status=GONE),
        )
        == []
    )


def test_two_live_orders_of_one_intent_are_named_even_if_it_lasts_one_event() -> None:
    (two, *_) = found(
        order_event(PLACED, shares=40),
        order_event(PLACED, CHASE_ONE, shares=40),
        order_event(CANCELLED, shares=40, status=GONE),
    )

    assert (two.rule, two.where) == ("two-live", "intent 1 chase (trc_1)")
    assert ROOT in two.text
    assert CHASE_ONE in two.text


def test_filled_and_open_shares_beyond_the_intent_are_an_overfill() -> None:
    history = (
        order_event(PLACED, side=Side.SELL),
        order_event(CANCELLED, side=Side.SELL, matched=30, status=GONE),
        order_event(PLACED, CHASE_ONE, price=390_000, shares=71, side=Side.SELL),
    )

    (violation,) = found(*history, side="SELL", limit_micro=370_000)

    assert str(violation) == "overfill: intent 1 chase (trc_1): 101 shares filled or open, 100 wanted"


def test_a_buy_that_could_spend_more_than_was_meant_is_an_overfill_in_pusd() -> None:
    (violation,) = found(
        order_event(PLACED),
        fill(ROOT, 400_000, 30),
        order_event(UPDATED, matched=30),
        order_event(CANCELLED, matched=30, status=GONE),
        order_event(PLACED, CHASE_ONE, price=430_000, shares=70),
    )

    assert violation == Violation(
        "overfill", "intent 1 chase (trc_1) in pUSD", "42.1 pUSD spent or open, 40 meant"
    )


@pytest.mark.parametrize(
    ("side", "limit", "price", "broken"),
    [
        (Side.BUY, 430_000, 430_000, False),
        (Side.BUY, 430_000, 440_000, True),
        (Side.BUY, 420_000, 430_000, True),
        (Side.SELL, 370_000, 370_000, False),
        (Side.SELL, 370_000, 360_000, True),
        (Side.SELL, 380_000, 370_000, True),
    ],
)
def test_a_chase_beyond_root_and_cap_or_declared_limit_is_named(
    side: Side, limit: int, price: int, broken: bool
) -> None:
    history = (
        order_event(PLACED, side=side),
        order_event(CANCELLED, side=side, status=GONE),
        order_event(PLACED, CHASE_ONE, price=price, shares=80, side=side),
    )

    assert rules(*history, side=str(side), limit_micro=limit) == ["beyond-cap"] * broken


def test_the_cap_follows_the_market_s_own_grid() -> None:
    history = (
        order_event(PLACED),
        order_event(CANCELLED, status=GONE),
        TickSizeEvent(CONDITION, 10_000, 1_000, T0),
        order_event(PLACED, CHASE_ONE, price=404_000, shares=90),
    )

    assert rules(*history) == ["beyond-cap"]


def test_an_order_posted_after_the_kill_switch_is_named() -> None:
    history = (order_event(PLACED), order_event(CANCELLED, status=GONE))

    assert rules(*history, KillMark(T0), order_event(PLACED, CHASE_TWO, shares=90)) == ["after-kill"]


def test_an_order_that_no_intent_asked_for_is_a_stray() -> None:
    assert rules(order_event(PLACED), order_event(PLACED, CHASE_ONE, code="0x" + "ff" * 32)) == ["stray"]
    assert rules(order_event(PLACED, token_id="999")) == ["stray"]


def partial(filled: str = "12", rest: str = "28", ts_ms: int = T0) -> PartialFill:
    return PartialFill(
        order_id=ROOT,
        status="PARTIAL",
        filled_usd=Decimal(filled),
        remaining_usd=Decimal(rest),
        original_price=Decimal("0.40"),
        side="BUY",
        event_ts_ms=ts_ms,
    )


def report(**changes: Any) -> dict[str, Any]:
    return {
        "report_id": "rep_1",
        "order_id": ROOT,
        "event_ts_ms": T0,
        "final": True,
        "verdict": "HOLD_REMAINDER",
        "filled_usd": Decimal(12),
        "remaining_usd": Decimal(28),
        "original_size_usd": Decimal(40),
    } | changes


def judged(*reports: dict[str, Any], partials: tuple[PartialFill, ...] = (partial(),)) -> list[Violation]:
    record = order_event(UPDATED, matched=30).record
    return judge_reports(reports, partials, {ROOT: record}, {ROOT: {0, 30 * MICRO}})


def test_one_final_report_per_partial_is_as_it_should_be() -> None:
    assert judged(report(final=False), report()) == []


@pytest.mark.parametrize("reports", [(), (report(final=False),), (report(), report(report_id="rep_2"))])
def test_a_partial_with_no_or_two_final_reports_is_named(reports: tuple[dict[str, Any], ...]) -> None:
    (violation,) = judged(*reports)

    finals = sum(bool(each["final"]) for each in reports)
    assert violation == Violation("one-report", ROOT, f"the PARTIAL of {T0} has {finals} final reports")


def test_a_report_about_an_event_that_nobody_sent_is_named_unless_the_kill_switch_spoke() -> None:
    stray = report(event_ts_ms=T0 + 5)

    assert [v.rule for v in judged(report(), stray)] == ["one-report"]
    assert judged(report(), stray | {"verdict": "KILL_SWITCH_ACTIVE"}) == []


def judged_in(circumstances: Circumstances, *reports: dict[str, Any]) -> list[str]:
    record = order_event(UPDATED, matched=30).record
    levels = {ROOT: {0, 30 * MICRO}}
    found = judge_reports(reports, (partial(),), {ROOT: record}, levels, circumstances)
    return [violation.rule for violation in found]


def test_an_event_that_no_log_accepted_may_go_without_a_report_and_may_not_have_two() -> None:
    died = Circumstances(unaccepted=frozenset({(ROOT, T0)}))

    assert judged_in(died) == []
    assert judged_in(died, report()) == []
    assert judged_in(died, report(), report(report_id="rep_2")) == ["one-report"]


def test_the_kill_switch_may_say_what_it_found_and_nothing_else_may() -> None:
    killed = Circumstances(killed_ms=T0 + 5)
    later = {"event_ts_ms": T0 + 5, "report_id": "rep_2"}

    assert judged_in(killed, report(), report(**later, verdict="CANCEL_UNCONFIRMED")) == []
    assert judged_in(killed, report(), report(**later, verdict="CHASE_ORDER_SUBMITTED")) == ["one-report"]
    earlier = later | {"event_ts_ms": T0 + 4}
    assert judged_in(killed, report(), report(**earlier, verdict="CANCEL_UNCONFIRMED")) == ["one-report"]


def test_at_an_events_own_moment_the_kill_switch_may_speak_beside_its_report() -> None:
    spoken = report(report_id="rep_2", verdict="KILL_SWITCH_ACTIVE")

    assert judged_in(Circumstances(killed_ms=T0), report(), spoken) == []
    assert judged_in(Circumstances(killed_ms=T0), spoken) == []
    assert judged_in(Circumstances(killed_ms=T0 + 1), report(), spoken) == ["one-report"]


def test_an_order_that_never_arrived_has_all_of_it_left() -> None:
    lost = Circumstances(unarrived={CHASE_ONE: 20 * MICRO}, killed_ms=T0)
    about = {"order_id": CHASE_ONE, "event_ts_ms": T0 + 1, "verdict": "CANCEL_UNCONFIRMED"}
    whole = report(**about, filled_usd=Decimal(0), remaining_usd=Decimal(20), original_size_usd=Decimal(20))

    assert judged_in(lost, report(), whole) == []
    assert judged_in(lost, report(), whole | {"filled_usd": Decimal(1)}) == ["remainder"]
    assert judged_in(Circumstances(killed_ms=T0), report(), whole) == ["remainder"]


def test_a_part_filled_order_that_the_kill_switch_left_open_is_named() -> None:
    left = [order_event(UPDATED, matched=30), KillMark(T0 + 1)]

    assert [(v.rule, v.where) for v in judge_kill(left)] == [("kill-left", ROOT)]
    assert judge_kill(left[:1]) == []
    assert judge_kill([*left, order_event(CANCELLED, matched=30, status=GONE)]) == []
    assert judge_kill([order_event(PLACED), KillMark(T0 + 1)]) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"remaining_usd": Decimal(27)}, "has remaining 27, but 40 - 12 is 28"),
        ({"filled_usd": Decimal(11), "remaining_usd": Decimal(29)}, "the order never stood at that"),
        ({"original_size_usd": Decimal(39), "remaining_usd": Decimal(27)}, "the exchange's record says 40"),
        ({"remaining_usd": None}, "lacks filled, remaining or original size"),
    ],
)
def test_a_remainder_that_does_not_add_up_is_named(change: dict[str, Any], words: str) -> None:
    (violation,) = judged(report(**change))

    assert violation.rule == "remainder"
    assert words in violation.text


def test_books_that_balance_pass_and_a_share_too_many_does_not() -> None:
    assert judge_books(BALANCED, {TOKEN: 5}, {TOKEN: 5}) == []
    assert [v.where for v in judge_books(BALANCED, {TOKEN: 6}, {TOKEN: 5})] == [f"token {TOKEN}"]


def test_money_out_of_nothing_is_named_with_both_sums() -> None:
    (violation,) = judge_books(Audit(100 * MICRO, 61 * MICRO, 40 * MICRO, 0, 0, True), {}, {})

    assert (violation.rule, violation.where) == ("conserved", "the exchange")
    assert "100 pUSD came in and 101 are there" in violation.text
