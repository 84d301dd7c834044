"""What is always true of a decision, on every grid and both sides, over whole chains of chases."""

import copy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.decisions import NOW_MS, TICKS_MICRO, changed

from polytraders_pfh.core.chase import Bounds, Child, cap_price, chain_fault, chase_size, within_cap
from polytraders_pfh.core.market import BookView, Side, Trading, view_of
from polytraders_pfh.core.policy import Action, Decision, DepthSide, Kill, Limits, Policy, Remainder, decide
from polytraders_pfh.core.reasons import Reason

MICRO = 1_000_000

grids = st.sampled_from(TICKS_MICRO)
sides = st.sampled_from(Side)
sizes = st.integers(1, 10**12)


@st.composite
def prices(draw: st.DrawFn, tick: int) -> int:
    """A price on this grid, strictly between 0 and 1."""
    return draw(st.integers(1, MICRO // tick - 1)) * tick


@st.composite
def books(draw: st.DrawFn, tick: int, near: int | None = None) -> BookView:
    """A trusted book on this grid, its touch near a price where one is given."""
    steps = MICRO // tick
    middle = draw(st.integers(0, steps - 1))
    if near is not None and draw(st.booleans()):
        middle = min(max(near // tick + draw(st.integers(-12, 12)), 0), steps - 1)
    bids = draw(st.lists(st.tuples(st.integers(max(middle - 30, 1), max(middle, 1)), sizes), max_size=7))
    asks = draw(st.lists(st.tuples(st.integers(middle + 1, middle + 30), sizes), max_size=7))
    return view_of(
        [(n * tick, size) for n, size in bids if n <= middle],
        [(n * tick, size) for n, size in asks if n < steps],
        tick_micro=tick,
        min_size_micro=draw(st.sampled_from([0, 10_000, 5_000_000])),
        as_of_ms=NOW_MS,
        fresh=True,
        trading=draw(st.sampled_from([Trading.OPEN] * 5 + [*Trading])),
    )


limits_of_all_kinds = st.builds(
    Limits,
    default_policy=st.sampled_from(Policy),
    min_remainder_usd_micro=st.integers(MICRO, 10 * MICRO),
    chase_max_ticks=st.integers(0, 10),
    cancel_on_book_thin=st.booleans(),
    depth_side=st.sampled_from(DepthSide),
    chase_max_extra_usd_micro=st.none() | st.integers(0, 10**9),
)


@st.composite
def remainders(draw: st.DrawFn, tick: int) -> Remainder:
    """A remainder whose own price is anywhere between its root and far beyond, with any claims."""
    root = draw(prices(tick))
    own = draw(st.sampled_from([root, draw(prices(tick))]))
    return Remainder(
        side=draw(sides),
        price_micro=own,
        root_price_micro=root,
        filled_usd_micro=draw(st.integers(0, 10**12)),
        remaining_usd_micro=draw(st.integers(0, 10**12)),
        rest_size_micro=draw(st.integers(0, 10**12)),
        rest_usd_micro=draw(st.integers(0, 10**12)),
        policy=draw(st.none() | st.sampled_from(Policy)),
        allow_wide_chase=draw(st.booleans()),
        limit_price_micro=draw(st.none() | st.integers(1, MICRO - 1)),
        reposts=draw(st.integers(0, 6)),
        chasing_ms=draw(st.sampled_from([0, 1, 120_000, 120_001])),
        extra_usd_micro=draw(st.integers(0, 10**6)),
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Remainder, BookView, Limits]:
    tick = draw(grids)
    rest = draw(remainders(tick))
    return rest, draw(books(tick, rest.root_price_micro)), draw(limits_of_all_kinds)


@st.composite
def chasing_cases(draw: st.DrawFn) -> tuple[Remainder, BookView, Limits]:
    """Cases in which a chase is likely: the policy wants it and nothing forbids it from outside."""
    rest, book, limits = draw(cases())
    rest = changed(
        rest,
        policy=Policy.CHASE,
        price_micro=rest.root_price_micro,
        reposts=0,
        chasing_ms=0,
        remaining_usd_micro=draw(st.integers(10 * MICRO, 10**9)),
        rest_size_micro=draw(st.integers(10**8, 10**12)),
        rest_usd_micro=draw(st.integers(10**8, 10**12)),
    )
    limits = changed(limits, cancel_on_book_thin=False, chase_max_extra_usd_micro=None)
    return rest, changed(book, trading=Trading.OPEN, min_size_micro=0), limits


def off(rest: Remainder, book: BookView | None, limits: Limits, now_ms: int = NOW_MS) -> Decision:
    return decide(rest, book, limits, Kill.OFF, now_ms)


def beyond_cap(side: Side, root: int, tick: int, most: int, price: int) -> bool:
    """The card's property in its own words: original_price ± chase_max_ticks x tick_size."""
    return price > root + most * tick if side is Side.BUY else price < root - most * tick


# One decision


@given(cases())
def test_the_same_inputs_give_the_same_decision_byte_for_byte(
    case: tuple[Remainder, BookView, Limits],
) -> None:
    for kill in Kill:
        once = decide(*case, kill, NOW_MS)
        again = decide(*copy.deepcopy(case), Kill(kill.value), NOW_MS + 0)

        assert repr(once).encode() == repr(again).encode()


@given(cases(), st.sampled_from(Kill))
def test_a_decision_always_comes_and_is_whole(case: tuple[Remainder, BookView, Limits], kill: Kill) -> None:
    decision = decide(*case, kill, NOW_MS)

    assert 3 <= decision.row <= 13
    chasing = decision.action is Action.CHASE
    assert chasing == (decision.reason is Reason.CHASE_ORDER_SUBMITTED)
    assert chasing == (decision.price_micro is not None)
    assert chasing == (decision.size_micro is not None)
    assert chasing == (decision.cap_micro is not None)
    assert (decision.action is Action.HOLD) == (decision.reason is Reason.HOLD_REMAINDER)
    assert len(set(decision.warnings)) == len(decision.warnings)


@given(chasing_cases() | cases())
def test_no_chase_is_priced_beyond_the_cap_the_limit_or_the_exchanges_range(
    case: tuple[Remainder, BookView, Limits],
) -> None:
    rest, book, limits = case
    decision = off(*case)
    if decision.action is not Action.CHASE:
        return
    price, cap = decision.price_micro, decision.cap_micro
    assert price is not None
    assert cap is not None
    assert not beyond_cap(rest.side, rest.root_price_micro, book.tick_micro, limits.chase_max_ticks, price)
    assert within_cap(rest.side, price, cap)
    assert price % book.tick_micro == 0
    assert book.tick_micro <= price <= MICRO - book.tick_micro
    if rest.limit_price_micro is not None:
        assert within_cap(rest.side, price, rest.limit_price_micro)


@given(chasing_cases() | cases())
def test_no_chase_is_larger_than_what_the_intent_may_still_trade(
    case: tuple[Remainder, BookView, Limits],
) -> None:
    rest = case[0]
    decision = off(*case)
    if decision.price_micro is None or decision.size_micro is None:
        return
    assert 0 < decision.size_micro <= rest.rest_size_micro
    assert decision.size_micro * decision.price_micro <= rest.rest_usd_micro * MICRO
    assert decision.size_micro % 10_000 == 0


@given(chasing_cases() | cases())
def test_every_chase_improves_on_the_order_it_replaces(
    case: tuple[Remainder, BookView, Limits],
) -> None:
    """A chase at the order's own price, or behind it, would only lose its place in the queue."""
    decision = off(*case)
    if decision.price_micro is not None:
        assert not within_cap(case[0].side, decision.price_micro, case[0].price_micro)


@given(chasing_cases())
def test_a_chase_that_the_kill_switch_might_forbid_is_held_and_only_that(
    case: tuple[Remainder, BookView, Limits],
) -> None:
    known, unknown = off(*case), decide(*case, Kill.UNKNOWN, NOW_MS)

    assert unknown.action is (Action.HOLD if known.action is Action.CHASE else known.action)
    assert Reason.KILL_SWITCH_UNKNOWN in unknown.warnings
    assert Reason.KILL_SWITCH_UNKNOWN not in known.warnings


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("tick", TICKS_MICRO)
def test_chases_happen_on_every_grid_and_both_sides(tick: int, side: Side) -> None:
    """So that the properties above are not true of nothing."""
    root = MICRO // 2
    contra = root + tick if side is Side.BUY else root - tick
    levels = [(contra, 10**12)]
    book = view_of(
        [] if side is Side.BUY else levels,
        levels if side is Side.BUY else [],
        tick_micro=tick,
        min_size_micro=0,
        as_of_ms=NOW_MS,
        fresh=True,
    )
    rest = Remainder(side, root, root, 0, 10**8, 10**8, 10**8, Policy.CHASE)

    assert (off(rest, book, Limits()).action, off(rest, book, Limits()).price_micro) == (Action.CHASE, contra)


# Worse data


def poisoned(draw: Any, book: BookView, side: Side) -> BookView | None:
    """The same book, worse: gone, old, from the future, crossed, off its grid, on no grid, or one-sided."""
    tick = book.tick_micro
    best_bid, best_ask = book.best_bid or tick, book.best_ask or MICRO - tick
    kind = draw(st.integers(0, 6))
    bids, asks = list(book.bids), list(book.asks)
    if kind == 0:
        return None
    if kind == 1:
        return changed(book, as_of_ms=NOW_MS - draw(st.integers(1_501, 10**9)))
    if kind == 2:
        return changed(book, as_of_ms=NOW_MS + draw(st.integers(1_001, 10**9)))
    if kind == 3:
        bids, asks = [*bids, (best_ask, 1)], [*asks, (best_ask, 1)]
    elif kind == 4:
        off_grid = (best_bid + tick // 2 if side is Side.SELL else best_ask - tick // 2, 10**9)
        bids, asks = (bids, [*asks, off_grid]) if side is Side.BUY else ([*bids, off_grid], asks)
    elif kind == 5:
        bids, asks = ([*bids], []) if side is Side.BUY else ([], [*asks])
    else:
        tick = draw(st.sampled_from([0, -1, 300_000, MICRO]))
    return view_of(bids, asks, tick_micro=tick, min_size_micro=0, as_of_ms=NOW_MS, fresh=True)


@given(chasing_cases() | cases(), st.sampled_from(Kill), st.data())
def test_a_missing_stale_crossed_off_grid_or_empty_book_never_moves_a_new_order(
    case: tuple[Remainder, BookView, Limits], kill: Kill, data: st.DataObject
) -> None:
    rest, book, limits = case

    assert decide(rest, poisoned(data.draw, book, rest.side), limits, kill, NOW_MS).action is not Action.CHASE


@given(chasing_cases() | cases(), st.data())
def test_worse_data_never_turns_a_hold_into_a_chase(
    case: tuple[Remainder, BookView, Limits], data: st.DataObject
) -> None:
    rest, book, limits = case
    assume(off(*case).action is Action.HOLD)
    keep_bids, keep_asks = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 7))
    shallower = changed(book, bids=book.bids[:keep_bids], asks=book.asks[:keep_asks])
    thinner = changed(
        book, bids=tuple((p, 1) for p, _ in book.bids), asks=tuple((p, 1) for p, _ in book.asks)
    )
    for worse in (poisoned(data.draw, book, rest.side), shallower, thinner):
        assert off(rest, worse, limits).action is not Action.CHASE
    assert off(rest, book, limits, NOW_MS + data.draw(st.integers(0, 10**7))).action is not Action.CHASE


@given(cases(), st.data())
def test_a_book_that_cannot_be_trusted_decides_no_cancel_either(
    case: tuple[Remainder, BookView, Limits], data: st.DataObject
) -> None:
    rest, book, limits = case
    no_dust = max(rest.remaining_usd_micro, limits.min_remainder_usd_micro)
    rest = changed(rest, remaining_usd_micro=no_dust)

    decision = off(rest, changed(book, fault="poisoned"), limits)

    assert (decision.row, decision.action, decision.warnings) == (5, Action.HOLD, (Reason.BOOK_UNTRUSTED,))


# Whole chains


@given(grids, sides, st.data())
def test_a_chain_of_chases_never_drifts_past_the_cap_and_never_trades_more_than_the_intent(
    tick: int, side: Side, data: st.DataObject
) -> None:
    """The card's two properties over whole stories: fills, races, price moves and grids that change."""
    draw = data.draw
    root = draw(prices(tick))
    bounds = Bounds(side, draw(st.integers(10_000, 10**10)), 0)
    bounds = changed(bounds, cost_pico=bounds.size_micro * root)
    limits = Limits(
        chase_max_ticks=draw(st.integers(0, 10)),
        cancel_on_book_thin=draw(st.booleans()),
        chase_max_reposts=10**6,
    )
    limit_price = draw(st.none() | st.integers(1, MICRO - 1))
    wide = draw(st.booleans())
    dead: list[Child] = []
    live = Child("o0", root, bounds.size_micro, 0, may_fill=True)
    caps = []
    for step in range(1, draw(st.integers(1, 8)) + 1):
        live = changed(live, filled_micro=draw(st.integers(live.filled_micro, live.size_micro)))
        if draw(st.integers(0, 5)) == 0:
            tick = draw(grids)
        book = draw(books(tick, root))
        left = live.size_micro - live.filled_micro
        rest_size, rest_usd = bounds.rest([*dead, changed(live, may_fill=False)])
        decision = decide(
            Remainder(
                side=side,
                price_micro=live.price_micro,
                root_price_micro=root,
                filled_usd_micro=live.filled_micro * live.price_micro // MICRO,
                remaining_usd_micro=draw(st.sampled_from([left * live.price_micro // MICRO, 10**12])),
                rest_size_micro=rest_size,
                rest_usd_micro=rest_usd,
                policy=Policy.CHASE,
                allow_wide_chase=wide,
                limit_price_micro=limit_price,
                reposts=step - 1,
            ),
            book,
            limits,
            Kill.OFF,
            NOW_MS,
        )
        if decision.price_micro is None or decision.size_micro is None:
            continue
        price = decision.price_micro
        caps.append((price, tick))
        assert not beyond_cap(side, root, tick, limits.chase_max_ticks, price)
        assert chain_fault(bounds, [*dead, live], price, decision.size_micro) is not None

        raced = draw(st.integers(live.filled_micro, live.size_micro))
        live = changed(live, filled_micro=raced, may_fill=False)
        dead.append(live)
        size = min(decision.size_micro, chase_size(price, *bounds.rest(dead)))
        if size <= 0:
            break
        assert chain_fault(bounds, dead, price, size) is None
        live = Child(f"o{step}", price, size, 0, may_fill=True)

    chain = {child.order_id: child for child in (*dead, live)}.values()
    everything = sum(child.size_micro if child.may_fill else child.filled_micro for child in chain)
    cost = sum((c.size_micro if c.may_fill else c.filled_micro) * c.price_micro for c in chain)
    assert everything <= bounds.size_micro
    if side is Side.BUY:
        assert cost <= bounds.cost_pico
    for price, grid in caps:
        assert not beyond_cap(side, root, grid, limits.chase_max_ticks, price)


@given(grids, sides, st.integers(0, 10), st.data())
def test_the_cap_is_on_the_grid_and_never_beyond_root_limit_or_range(
    tick: int, side: Side, most: int, data: st.DataObject
) -> None:
    root = data.draw(st.integers(1, MICRO - 1))
    limit = data.draw(st.none() | st.integers(1, MICRO - 1))

    cap = cap_price(side, root, tick, most, limit)

    assert cap % tick == 0
    assert not beyond_cap(side, root, tick, most, cap)
    if limit is not None:
        assert within_cap(side, cap, limit)
    assert 0 <= cap <= MICRO
    assert cap <= MICRO - tick if side is Side.BUY else cap >= tick


# What the reports rest on


@given(grids, st.integers(1, 10**12), st.data())
def test_the_remainder_is_the_original_size_less_what_filled(
    tick: int, size: int, data: st.DataObject
) -> None:
    """Card: "Remainder size in ExecutionReport always equals original_size - filled_usd"."""
    price = data.draw(prices(tick))
    filled = data.draw(st.integers(0, size))
    child = Child("o", price, size, filled, may_fill=True)

    assert child.open_micro == size - filled
    assert size * price - filled * price == child.open_micro * price
    assert Bounds(Side.BUY, size, size * price).rest([changed(child, may_fill=False)]) == (
        size - filled,
        (size - filled) * price // MICRO,
    )
