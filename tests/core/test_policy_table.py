"""SPEC 4, row by row, by literals: every boundary from both of its sides, for BUY and for SELL."""

from typing import Any

import pytest
from support.decisions import NOW_MS, away, book, decided, remainder

from polytraders_pfh.core.market import BookView, Side, Trading
from polytraders_pfh.core.modes import Reach
from polytraders_pfh.core.outcomes import OrderRecord
from polytraders_pfh.core.policy import Action, Decision, DepthSide, Kill, Limits, Policy, Remainder, decide
from polytraders_pfh.core.reasons import Reason

BUY, SELL = Side.BUY, Side.SELL
CHASE = Policy.CHASE
both_sides = pytest.mark.parametrize("side", [BUY, SELL])
DEPTH = {BUY: 2_000_000_000 * 630_000, SELL: 2_000_000_000 * 610_000}
UNKNOWN = Reason.KILL_SWITCH_UNKNOWN


def told(decision: Decision) -> tuple[int, Action, Reason, tuple[Reason, ...]]:
    return decision.row, decision.action, decision.reason, decision.warnings


# The card's unit tests, by name


@both_sides
def test_hold_policy_leaves_the_remainder_resting_when_the_book_is_deep(side: Side) -> None:
    """Card: "Hold policy: remainder left resting when book is deep": depth 800, remaining 250."""
    levels = ((640_000, 1_250_000_000),) if side is BUY else ((400_000, 2_000_000_000),)
    view = book(asks=levels) if side is BUY else book(bids=levels)

    decision = decided(remainder(side), view)

    assert decision == Decision(
        action=Action.HOLD,
        reason=Reason.HOLD_REMAINDER,
        row=7,
        policy=Policy.HOLD,
        depth_pico=800_000_000 * 1_000_000,
        adverse_micro=20_000 if side is BUY else 220_000,
        tick_micro=10_000,
    )


@both_sides
def test_auto_cancel_when_remaining_usd_is_below_min_remainder_size(side: Side) -> None:
    """Card: "Auto-cancel when remaining_usd < min_remainder_size": remaining 3, minimum 5."""
    assert decided(remainder(side, remaining_usd_micro=3_000_000)) == Decision(
        action=Action.CANCEL,
        reason=Reason.PARTIAL_FILL_DUST_AUTO_CANCEL,
        row=4,
        policy=Policy.HOLD,
        warnings=(Reason.PARTIAL_FILL_DUST_REMAINDER,),
    )


@both_sides
def test_book_thin_cancel_when_book_depth_is_below_remaining_usd(side: Side) -> None:
    """Card: "Book-thin cancel when book_depth < remaining_usd": depth 100, remaining 200, the switch on."""
    levels = ((800_000, 125_000_000),) if side is BUY else ((500_000, 200_000_000),)
    view = book(asks=levels) if side is BUY else book(bids=levels)

    assert decided(remainder(side, remaining_usd_micro=200_000_000), view) == Decision(
        action=Action.CANCEL,
        reason=Reason.PARTIAL_FILL_BOOK_THIN_CANCEL,
        row=6,
        policy=Policy.HOLD,
        depth_pico=100_000_000 * 1_000_000,
        adverse_micro=180_000 if side is BUY else 120_000,
        tick_micro=10_000,
        on_book=True,
    )


@both_sides
def test_chase_ticks_exceeded(side: Side) -> None:
    """Card, failure injection CHASE_TICKS_EXCEEDED: 15 ticks away, chase_max_ticks 3: aborted, cancelled."""
    assert decided(remainder(side, policy=CHASE), away(side, 15)) == Decision(
        action=Action.CANCEL,
        reason=Reason.PARTIAL_FILL_CHASE_ABORTED,
        row=13,
        policy=CHASE,
        depth_pico=2_000_000_000 * (770_000 if side is BUY else 470_000),
        adverse_micro=150_000,
        tick_micro=10_000,
        on_book=True,
    )


# Row 3


@both_sides
@pytest.mark.parametrize("policy", [None, *Policy])
@pytest.mark.parametrize("view", [None, book(), book(bids=(), asks=()), book(tick_micro=None)])
@pytest.mark.parametrize("remaining", [0, 3_000_000, 250_000_000])
def test_an_active_kill_switch_cancels_whatever_else_is_true(
    side: Side, policy: Policy | None, view: Any, remaining: int
) -> None:
    rest = remainder(side, policy=policy, remaining_usd_micro=remaining, allow_wide_chase=True)

    assert decide(rest, view, Limits(), Kill.ON, NOW_MS) == Decision(
        Action.CANCEL, Reason.KILL_SWITCH_ACTIVE, 3, policy or Policy.HOLD
    )


# Row 4


@both_sides
@pytest.mark.parametrize(
    ("remaining", "smallest", "row", "warnings"),
    [
        (0, 5_000_000, 4, ()),
        (999_999, 5_000_000, 4, ()),
        (1_000_000, 5_000_000, 4, (Reason.PARTIAL_FILL_DUST_REMAINDER,)),
        (4_999_999, 5_000_000, 4, (Reason.PARTIAL_FILL_DUST_REMAINDER,)),
        (5_000_000, 5_000_000, 7, ()),
        (999_999, 1_000_000, 4, ()),
        (1_000_000, 1_000_000, 7, ()),
    ],
)
def test_dust_is_less_than_the_minimum_and_warns_from_one_pusd_up(
    side: Side, remaining: int, smallest: int, row: int, warnings: tuple[Reason, ...]
) -> None:
    decision = decided(remainder(side, remaining_usd_micro=remaining), min_remainder_usd_micro=smallest)

    assert (decision.row, decision.warnings) == (row, warnings)
    assert (decision.action is Action.CANCEL) == (row == 4)


def test_dust_is_cancelled_without_any_book() -> None:
    rest = remainder(remaining_usd_micro=3_000_000, policy=CHASE)

    assert decide(rest, None, Limits(), Kill.OFF, NOW_MS) == Decision(
        Action.CANCEL,
        Reason.PARTIAL_FILL_DUST_AUTO_CANCEL,
        4,
        CHASE,
        (Reason.PARTIAL_FILL_DUST_REMAINDER,),
    )


# Row 5


@pytest.mark.parametrize("policy", [None, *Policy])
def test_without_a_book_the_remainder_rests_whatever_the_policy(policy: Policy | None) -> None:
    """Card, safe fallback: "do not auto-cancel without book data"."""
    assert decide(remainder(policy=policy), None, Limits(), Kill.OFF, NOW_MS) == Decision(
        action=Action.HOLD,
        reason=Reason.HOLD_REMAINDER,
        row=5,
        policy=policy or Policy.HOLD,
        warnings=(Reason.BOOK_UNAVAILABLE,),
        on_book=True,
    )


@both_sides
@pytest.mark.parametrize("policy", [*Policy])
@pytest.mark.parametrize(
    ("view", "note"),
    [
        (book(tick_micro=None), "the tick size was None"),
        (book(bids=((640_000, 1),)), "the book is crossed: bid 0.64, ask 0.63"),
        (book(asks=((635_000, 5_000_000),)), "a level at 0.635 is not on the grid of 0.01"),
        (book(bids=((610_000, 0),)), "a level at 0.61 has size 0"),
        (book(as_of_ms=NOW_MS - 1_501), "the book is 1501 ms old"),
        (book(as_of_ms=NOW_MS + 1_001), "the book is 1001 ms ahead of the clock"),
    ],
)
def test_on_a_book_that_cannot_be_trusted_the_remainder_rests(
    side: Side, policy: Policy, view: Any, note: str
) -> None:
    assert decided(remainder(side, policy=policy), view) == Decision(
        action=Action.HOLD,
        reason=Reason.HOLD_REMAINDER,
        row=5,
        policy=policy,
        warnings=(Reason.BOOK_UNTRUSTED,),
        on_book=True,
        note=note,
    )


@pytest.mark.parametrize("as_of_ms", [NOW_MS - 1_500, NOW_MS, NOW_MS + 1_000])
def test_a_book_exactly_as_old_as_is_allowed_is_trusted(as_of_ms: int) -> None:
    assert decided(remainder(), book(as_of_ms=as_of_ms)).row == 7


# Row 6


@both_sides
def test_depth_equal_to_the_remainder_is_enough_and_one_pico_less_is_thin(side: Side) -> None:
    price = 640_000 if side is BUY else 500_000
    exact = 160_000_000_000_000_000 // price

    def view(size_micro: int) -> Any:
        level = ((price, size_micro),)
        return book(asks=level) if side is BUY else book(bids=level)

    rest = remainder(side, remaining_usd_micro=160_000_000_000)

    assert decided(rest, view(exact)).row == 7
    assert told(decided(rest, view(exact - 1))) == (
        6,
        Action.CANCEL,
        Reason.PARTIAL_FILL_BOOK_THIN_CANCEL,
        (),
    )


def test_depth_is_compared_before_any_rounding() -> None:
    """250.00000028 pUSD of depth, rounded up to a millionth, would do for 250.000001."""
    view = book(bids=(), asks=((500_000, 1), (510_000, 490_196_078)))

    decision = decided(remainder(remaining_usd_micro=250_000_001), view)

    assert (decision.depth_pico, decision.row) == (250_000_000_280_000, 6)


@both_sides
@pytest.mark.parametrize("policy", [*Policy])
def test_a_thin_book_cancels_before_any_policy_is_asked(side: Side, policy: Policy) -> None:
    assert decided(remainder(side, policy=policy), away(side, 1, 1_000_000)).row == 6


@both_sides
@pytest.mark.parametrize(("policy", "row"), [(Policy.HOLD, 7), (Policy.CANCEL, 8), (CHASE, 11)])
def test_with_the_switch_off_a_thin_book_is_no_reason(side: Side, policy: Policy, row: int) -> None:
    view = away(side, 1, 1_000_000)

    assert decided(remainder(side, policy=policy), view, cancel_on_book_thin=False).row == row


@both_sides
def test_only_the_best_levels_count_as_depth(side: Side) -> None:
    asks = tuple((630_000 + n * 10_000, 50_000_000) for n in range(10))
    bids = tuple((610_000 - n * 10_000, 50_000_000) for n in range(10))
    view = book(bids=bids, asks=asks, levels=10)

    five = decided(remainder(side), view)
    ten = decided(remainder(side), view, depth_levels=10)

    assert five.depth_pico == 50_000_000 * (3_250_000 if side is BUY else 2_950_000)
    assert (five.row, ten.row) == (6, 7)


@both_sides
def test_an_empty_contra_side_is_as_thin_as_can_be(side: Side) -> None:
    view = book(asks=()) if side is BUY else book(bids=())

    assert decided(remainder(side), view) == Decision(
        action=Action.CANCEL,
        reason=Reason.PARTIAL_FILL_BOOK_THIN_CANCEL,
        row=6,
        policy=Policy.HOLD,
        depth_pico=0,
        tick_micro=10_000,
        on_book=True,
    )


@both_sides
@pytest.mark.parametrize(
    ("level", "depth_usd", "row"),
    [
        (((620_000, 903_225_807),), 310, 7),
        (((620_000, 806_451_613),), 250, 7),
        (((620_000, 806_451_612),), 249, 6),
        (((620_000, 100_000_000),), 0, 6),
        (((600_000, 500_000_000),), 300, 7),
        ((), 0, 6),
    ],
)
def test_the_own_side_counts_as_depth_without_the_remainder_itself(
    side: Side, level: Any, depth_usd: int, row: int
) -> None:
    """The literal reading of the card: what queues beside the order, not what it could trade against."""
    view = book(bids=level, asks=((700_000, 1),)) if side is BUY else book(asks=level, bids=((10_000, 1),))

    decision = decided(remainder(side), view, depth_side=DepthSide.OWN)

    assert decision.depth_pico is not None
    assert (decision.depth_pico // 10**12, decision.row) == (depth_usd, row)


# Rows 7 and 8


@both_sides
def test_the_strategys_own_policy_goes_before_the_default(side: Side) -> None:
    assert decided(remainder(side, policy=Policy.HOLD), default_policy=Policy.CANCEL).row == 7
    assert decided(remainder(side, policy=Policy.CANCEL), default_policy=Policy.HOLD).row == 8
    assert decided(remainder(side), default_policy=Policy.CANCEL).row == 8
    assert decided(remainder(side), default_policy=CHASE).row == 11


@both_sides
def test_policy_cancel_cancels(side: Side) -> None:
    assert decided(remainder(side, policy=Policy.CANCEL)) == Decision(
        action=Action.CANCEL,
        reason=Reason.CANCELLED_REMAINDER,
        row=8,
        policy=Policy.CANCEL,
        depth_pico=DEPTH[side],
        adverse_micro=10_000,
        tick_micro=10_000,
    )


# Row 9


@both_sides
@pytest.mark.parametrize("ticks", [0, -1, -5])
def test_a_market_at_or_better_than_the_orders_own_price_leaves_it_its_place(side: Side, ticks: int) -> None:
    decision = decided(remainder(side, policy=CHASE), away(side, ticks))

    assert told(decision) == (9, Action.HOLD, Reason.HOLD_REMAINDER, (Reason.ALREADY_MARKETABLE,))
    assert (decision.price_micro, decision.size_micro, decision.cap_micro) == (None, None, None)
    assert decision.adverse_micro == ticks * 10_000


@both_sides
def test_a_chase_order_is_not_replaced_at_its_own_price(side: Side) -> None:
    own = 630_000 if side is BUY else 610_000

    assert decided(remainder(side, policy=CHASE, price_micro=own), away(side, 1)).row == 9
    assert decided(remainder(side, policy=CHASE, price_micro=own), away(side, 2)).row == 11


@both_sides
@pytest.mark.parametrize("ticks", [3, 4, 10])
def test_a_chase_order_that_rests_at_the_cap_is_not_replaced_at_the_cap(side: Side, ticks: int) -> None:
    own = 650_000 if side is BUY else 590_000
    rest = remainder(side, policy=CHASE, price_micro=own, allow_wide_chase=True)

    assert decided(rest, away(side, ticks)).row == 9


@both_sides
def test_a_strategys_limit_at_the_orders_own_price_leaves_nothing_to_chase(side: Side) -> None:
    rest = remainder(side, policy=CHASE, limit_price_micro=620_000)

    assert told(decided(rest, away(side, 2))) == (
        9,
        Action.HOLD,
        Reason.HOLD_REMAINDER,
        (Reason.ALREADY_MARKETABLE,),
    )


@both_sides
def test_after_the_grid_became_finer_a_market_at_the_orders_own_price_is_still_held(side: Side) -> None:
    """A chase order at 3 old ticks is 30 new ticks from the root; it is marketable all the same."""
    own = 650_000 if side is BUY else 590_000
    view = (
        book(asks=((own, 2_000_000_000),), tick_micro=1_000)
        if side is BUY
        else book(bids=((own, 2_000_000_000),), tick_micro=1_000)
    )

    assert decided(remainder(side, policy=CHASE, price_micro=own), view).row == 9


@pytest.mark.parametrize(("ticks", "row"), [(0, 9), (2, 9), (4, 10), (15, 10)])
def test_a_limit_below_the_smallest_price_of_the_grid_chases_nothing(ticks: int, row: int) -> None:
    """The cap comes to nothing there, and nothing can be sized at no price."""
    rest = remainder(policy=CHASE, limit_price_micro=9_999)

    decision = decided(rest, away(BUY, ticks))

    assert (decision.row, decision.action) == (row, Action.HOLD)


# Row 10


@both_sides
@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"trading": Trading.POST_ONLY}, "the market is post_only"),
        ({"trading": Trading.CANCEL_ONLY}, "the market is cancel_only"),
        ({"trading": Trading.CLOSED}, "the market is closed"),
        ({"closes_at_ms": NOW_MS + 5_000}, "the market closes in 5000 ms"),
        ({"closes_at_ms": NOW_MS - 1}, "the market closes in -1 ms"),
        ({"min_size_micro": 403_230_000}, "shares is below the market's minimum of 403.23"),
    ],
)
def test_what_could_not_be_posted_again_is_not_cancelled(side: Side, changes: Any, note: str) -> None:
    decision = decided(remainder(side, policy=CHASE), away(side, 1, **changes))

    assert told(decision) == (10, Action.HOLD, Reason.HOLD_REMAINDER, (Reason.NOT_REPOSTABLE,))
    assert decision.note.endswith(note)
    assert decision.price_micro is None


@both_sides
@pytest.mark.parametrize("changes", [{"closes_at_ms": NOW_MS + 5_001}, {"closes_at_ms": None}])
def test_a_market_that_closes_later_than_the_margin_is_chased(side: Side, changes: Any) -> None:
    assert decided(remainder(side, policy=CHASE), away(side, 1, **changes)).row == 11


@pytest.mark.parametrize(("minimum", "row"), [(396_820_000, 11), (396_820_001, 10)])
def test_a_chase_of_exactly_the_markets_minimum_is_posted(minimum: int, row: int) -> None:
    """250 pUSD at 0.63 are 396.825396 shares, 396.82 in lots."""
    assert decided(remainder(policy=CHASE), away(BUY, 1, min_size_micro=minimum)).row == row


@both_sides
@pytest.mark.parametrize(("rest_usd", "row"), [(1_000_000, 11), (990_000, 10)])
def test_a_marketable_chase_is_worth_at_least_one_pusd(side: Side, rest_usd: int, row: int) -> None:
    """What the intent may still trade decides, not what the event claims is left."""
    price = 500_000
    view = (
        book(bids=(), asks=((price, 2_000_000_000),), min_size_micro=10_000)
        if side is BUY
        else book(asks=(), bids=((price, 2_000_000_000),), min_size_micro=10_000)
    )
    own = 490_000 if side is BUY else 510_000
    rest = remainder(
        side,
        policy=CHASE,
        price_micro=own,
        root_price_micro=own,
        rest_usd_micro=rest_usd,
        rest_size_micro=rest_usd * 2,
    )

    assert decided(rest, view).row == row


@both_sides
def test_a_chase_that_rests_may_be_worth_less_than_one_pusd(side: Side) -> None:
    rest = remainder(
        side, policy=CHASE, allow_wide_chase=True, rest_usd_micro=900_000, rest_size_micro=1_400_000
    )

    assert decided(rest, away(side, 5, min_size_micro=10_000)).row == 12


@both_sides
@pytest.mark.parametrize("size", [0, 9_999])
def test_a_rest_of_less_than_a_lot_is_not_chased(side: Side, size: int) -> None:
    rest = remainder(side, policy=CHASE, rest_size_micro=size)

    assert decided(rest, away(side, 1, min_size_micro=0)).row == 10


@both_sides
@pytest.mark.parametrize(
    ("changes", "limits", "note"),
    [
        ({"reposts": 5}, {}, "5 chase orders were posted already"),
        ({"reposts": 0}, {"chase_max_reposts": 0}, "0 chase orders were posted already"),
        ({"chasing_ms": 120_001}, {}, "the chase has run for 120001 ms"),
        ({"chasing_ms": 1}, {"chase_max_seconds": 0}, "the chase has run for 1 ms"),
    ],
)
def test_a_spent_chase_budget_lets_the_remainder_rest(
    side: Side, changes: Any, limits: Any, note: str
) -> None:
    decision = decided(remainder(side, policy=CHASE, **changes), away(side, 1), **limits)

    assert told(decision) == (10, Action.HOLD, Reason.HOLD_REMAINDER, (Reason.NOT_REPOSTABLE,))
    assert decision.note == note


@both_sides
@pytest.mark.parametrize("changes", [{"reposts": 4}, {"chasing_ms": 120_000}])
def test_the_last_of_the_chase_budget_may_be_spent(side: Side, changes: Any) -> None:
    assert decided(remainder(side, policy=CHASE, **changes), away(side, 1)).row == 11


@pytest.mark.parametrize(
    ("side", "budget", "spent", "row"),
    [
        (BUY, 3_968_200, 0, 11),
        (BUY, 3_968_199, 0, 10),
        (BUY, 4_968_200, 1_000_000, 11),
        (BUY, 4_968_200, 1_000_001, 10),
        (SELL, 4_032_200, 0, 11),
        (SELL, 4_032_199, 0, 10),
        (BUY, 0, 0, 10),
    ],
)
def test_the_extra_cost_of_a_chase_is_counted_from_the_root_price(
    side: Side, budget: int, spent: int, row: int
) -> None:
    """396.82 shares one cent dearer than the root cost 3.9682 pUSD more."""
    rest = remainder(side, policy=CHASE, extra_usd_micro=spent)

    assert decided(rest, away(side, 1), chase_max_extra_usd_micro=budget).row == row


def test_the_extra_cost_of_a_chase_is_rounded_up() -> None:
    """0.01 shares at 100 millionths more cost one millionth; a hair beyond the budget is beyond it."""
    rest = remainder(policy=CHASE, rest_size_micro=50_000, price_micro=500_000, root_price_micro=500_000)
    view = book(bids=(), asks=((500_100, 2_000_000_000),), tick_micro=100, min_size_micro=0)

    assert decided(rest, view, chase_max_extra_usd_micro=4).note == (
        "the chase would cost 0.000005 pUSD beyond the root price"
    )


def test_the_extra_cost_of_a_chase_is_named_in_pusd() -> None:
    decision = decided(remainder(policy=CHASE), away(BUY, 2), chase_max_extra_usd_micro=1_000_000)

    assert decision.note == "the chase would cost 7.8124 pUSD beyond the root price"


# Row 11


@pytest.mark.parametrize(
    ("side", "ticks", "price", "size"),
    [
        (BUY, 1, 630_000, 396_820_000),
        (BUY, 2, 640_000, 390_620_000),
        (BUY, 3, 650_000, 384_610_000),
        (SELL, 1, 610_000, 403_220_000),
        (SELL, 2, 600_000, 403_220_000),
        (SELL, 3, 590_000, 403_220_000),
    ],
)
def test_within_chase_max_ticks_the_chase_goes_to_the_best_contra_price(
    side: Side, ticks: int, price: int, size: int
) -> None:
    """Card: "new order at current best price". A BUY spends no more pUSD, a SELL sells no more shares."""
    assert decided(remainder(side, policy=CHASE), away(side, ticks)) == Decision(
        action=Action.CHASE,
        reason=Reason.CHASE_ORDER_SUBMITTED,
        row=11,
        policy=CHASE,
        depth_pico=2_000_000_000 * price,
        adverse_micro=ticks * 10_000,
        tick_micro=10_000,
        price_micro=price,
        size_micro=size,
        cap_micro=650_000 if side is BUY else 590_000,
        on_book=True,
    )


@both_sides
def test_ticks_are_counted_from_the_root_and_not_from_the_last_chase(side: Side) -> None:
    own = 640_000 if side is BUY else 600_000

    assert decided(remainder(side, policy=CHASE, price_micro=own), away(side, 3)).row == 11
    assert decided(remainder(side, policy=CHASE, price_micro=own), away(side, 4)).row == 13


@both_sides
def test_a_strategys_limit_price_draws_the_chase_in(side: Side) -> None:
    limit = 630_000 if side is BUY else 610_000

    decision = decided(remainder(side, policy=CHASE, limit_price_micro=limit), away(side, 3))

    assert (decision.row, decision.price_micro, decision.cap_micro) == (11, limit, limit)


@both_sides
def test_a_strategys_limit_price_beyond_the_cap_widens_nothing(side: Side) -> None:
    limit = 900_000 if side is BUY else 100_000

    decision = decided(remainder(side, policy=CHASE, limit_price_micro=limit), away(side, 3))

    assert decision.cap_micro == (650_000 if side is BUY else 590_000)


@both_sides
def test_an_inflated_remaining_usd_cannot_grow_the_chase(side: Side) -> None:
    """Card, abuse vector: the chase is sized from what the intent may still trade."""
    rest = remainder(
        side,
        policy=CHASE,
        remaining_usd_micro=900_000_000,
        rest_size_micro=10_000_000,
        rest_usd_micro=6_200_000,
    )

    decision = decided(rest, away(side, 1))

    assert decision.size_micro == (9_840_000 if side is BUY else 10_000_000)


# Row 12


@pytest.mark.parametrize(
    ("side", "ticks"), [(side, ticks) for side in (BUY, SELL) for ticks in (4, 5, 9, 10)]
)
def test_a_wide_chase_rests_at_the_cap_price_when_the_strategy_allows_it(side: Side, ticks: int) -> None:
    """Card: "WARN, proceed if strategy allows", and never priced beyond chase_max_ticks."""
    decision = decided(remainder(side, policy=CHASE, allow_wide_chase=True), away(side, ticks))

    assert decision == Decision(
        action=Action.CHASE,
        reason=Reason.CHASE_ORDER_SUBMITTED,
        row=12,
        policy=CHASE,
        warnings=(Reason.PARTIAL_FILL_CHASE_WIDE,),
        depth_pico=2_000_000_000 * (620_000 + ticks * 10_000 if side is BUY else 620_000 - ticks * 10_000),
        adverse_micro=ticks * 10_000,
        tick_micro=10_000,
        price_micro=650_000 if side is BUY else 590_000,
        size_micro=384_610_000 if side is BUY else 403_220_000,
        cap_micro=650_000 if side is BUY else 590_000,
        on_book=True,
    )


@both_sides
def test_within_chase_max_ticks_an_allowed_wide_chase_is_an_ordinary_one(side: Side) -> None:
    decision = decided(remainder(side, policy=CHASE, allow_wide_chase=True), away(side, 3))

    assert (decision.row, decision.warnings) == (11, ())


# Row 13


@both_sides
@pytest.mark.parametrize(("ticks", "allowed"), [(4, False), (10, False), (11, False), (11, True), (30, True)])
def test_a_market_too_far_away_aborts_the_chase(side: Side, ticks: int, allowed: bool) -> None:
    decision = decided(remainder(side, policy=CHASE, allow_wide_chase=allowed), away(side, ticks))

    assert told(decision) == (13, Action.CANCEL, Reason.PARTIAL_FILL_CHASE_ABORTED, ())
    assert (decision.price_micro, decision.size_micro, decision.cap_micro) == (None, None, None)


@both_sides
@pytest.mark.parametrize("allowed", [False, True])
def test_without_a_contra_price_the_chase_is_aborted(side: Side, allowed: bool) -> None:
    view = book(asks=()) if side is BUY else book(bids=())
    rest = remainder(side, policy=CHASE, allow_wide_chase=allowed)

    decision = decided(rest, view, cancel_on_book_thin=False)

    assert told(decision) == (13, Action.CANCEL, Reason.PARTIAL_FILL_CHASE_ABORTED, ())
    assert (decision.note, decision.adverse_micro) == ("no contra price", None)


@both_sides
@pytest.mark.parametrize(("most", "ticks", "row"), [(0, 1, 13), (10, 10, 11), (10, 11, 13), (5, 6, 13)])
def test_chase_max_ticks_draws_the_line(side: Side, most: int, ticks: int, row: int) -> None:
    decision = decided(remainder(side, policy=CHASE), away(side, ticks), chase_max_ticks=most)

    assert decision.row == row


@both_sides
def test_with_no_ticks_allowed_a_wide_chase_stays_where_it_is(side: Side) -> None:
    rest = remainder(side, policy=CHASE, allow_wide_chase=True)

    assert decided(rest, away(side, 1), chase_max_ticks=0).row == 9


# The kill switch does not answer


@both_sides
@pytest.mark.parametrize(("ticks", "row"), [(1, 11), (5, 12)])
def test_with_the_kill_switch_unknown_no_order_is_placed(side: Side, ticks: int, row: int) -> None:
    rest = remainder(side, policy=CHASE, allow_wide_chase=True)

    decision = decided(rest, away(side, ticks), Kill.UNKNOWN)

    assert told(decision) == (row, Action.HOLD, Reason.HOLD_REMAINDER, (UNKNOWN,))
    assert (decision.price_micro, decision.size_micro, decision.cap_micro) == (None, None, None)


@both_sides
@pytest.mark.parametrize(
    ("changes", "view_ticks", "row", "action", "warnings"),
    [
        (
            {"remaining_usd_micro": 3_000_000},
            1,
            4,
            Action.CANCEL,
            (Reason.PARTIAL_FILL_DUST_REMAINDER, UNKNOWN),
        ),
        ({"remaining_usd_micro": 900_000}, 1, 4, Action.CANCEL, (UNKNOWN,)),
        ({"remaining_usd_micro": 2_500_000_000}, 1, 6, Action.CANCEL, (UNKNOWN,)),
        ({"policy": Policy.HOLD}, 1, 7, Action.HOLD, (UNKNOWN,)),
        ({"policy": Policy.CANCEL}, 1, 8, Action.CANCEL, (UNKNOWN,)),
        ({"policy": CHASE}, 0, 9, Action.HOLD, (Reason.ALREADY_MARKETABLE, UNKNOWN)),
        ({"policy": CHASE, "reposts": 5}, 1, 10, Action.HOLD, (Reason.NOT_REPOSTABLE, UNKNOWN)),
        ({"policy": CHASE}, 15, 13, Action.CANCEL, (UNKNOWN,)),
    ],
)
def test_with_the_kill_switch_unknown_cancels_pass_and_every_report_warns(
    side: Side, changes: Any, view_ticks: int, row: int, action: Action, warnings: tuple[Reason, ...]
) -> None:
    decision = decided(remainder(side, **changes), away(side, view_ticks), Kill.UNKNOWN)

    assert (decision.row, decision.action, decision.warnings) == (row, action, warnings)


@pytest.mark.parametrize(
    ("view", "warning"), [(None, Reason.BOOK_UNAVAILABLE), (book(tick_micro=0), Reason.BOOK_UNTRUSTED)]
)
def test_with_the_kill_switch_and_the_book_unknown_both_are_said(view: Any, warning: Reason) -> None:
    decision = decide(remainder(), view, Limits(), Kill.UNKNOWN, NOW_MS)

    assert decision.warnings == (warning, UNKNOWN)


# What the rules are given


def test_a_remainder_without_a_history_has_spent_nothing_and_wished_nothing() -> None:
    bare = Remainder(BUY, 620_000, 620_000, 0, 5_000_000, 8_064_516, 5_000_000)

    assert (bare.policy, bare.allow_wide_chase, bare.limit_price_micro) == (None, False, None)
    assert (bare.reposts, bare.chasing_ms, bare.extra_usd_micro) == (0, 0, 0)


@pytest.mark.parametrize(
    "value", [remainder(), Limits(), book(), decided(remainder()), Reach(), OrderRecord(200)]
)
def test_what_goes_in_and_what_comes_out_is_frozen(value: Any) -> None:
    for name in type(value).__annotations__:
        with pytest.raises(AttributeError):
            setattr(value, name, None)
    with pytest.raises((AttributeError, TypeError)):
        value.invented = 1


def test_what_is_not_said_has_the_cards_value_or_none() -> None:
    bare = Decision(Action.HOLD, Reason.HOLD_REMAINDER, 5, Policy.HOLD)
    view = BookView((), (), 10_000, 5_000_000, NOW_MS)

    assert Limits().min_remainder_usd_micro == 5_000_000
    assert (bare.warnings, bare.tick_micro, bare.on_book, bare.note) == ((), 0, False, "")
    assert (view.fault, view.fresh, view.trading, view.closes_at_ms) == (None, False, Trading.OPEN, None)


def test_an_own_level_smaller_than_the_remainder_counts_as_no_depth_at_all() -> None:
    view = book(bids=((620_000, 100_000_000),), asks=((700_000, 1),))

    assert decided(remainder(), view, depth_side=DepthSide.OWN).depth_pico == 0
