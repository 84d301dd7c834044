"""Why each rule fired or did not: held against the table of SPEC 4 in its own words."""

import pytest
from core.test_policy_properties import cases, chasing_cases
from hypothesis import given
from hypothesis import strategies as st
from support.decisions import NOW_MS, away, book, changed, remainder

from polytraders_pfh.core.basis import Basis, decide_on
from polytraders_pfh.core.market import BookView, Side, Trading
from polytraders_pfh.core.policy import DepthSide, Kill, Limits, Policy, Remainder
from polytraders_pfh.core.rules import RULES, Outcome, explain

MICRO = 1_000_000
Case = tuple[Remainder, BookView, Limits]


def naive(basis: Basis) -> dict[int, bool]:
    """Whether each row's own condition holds, written from the table and from nothing in the package."""
    rest, book, limits = basis.remainder, basis.book, basis.limits
    policy = rest.policy or limits.default_policy
    when = {3: basis.kill is Kill.ON, 4: rest.remaining_usd_micro < limits.min_remainder_usd_micro}
    age = 0 if book is None else basis.now_ms - book.as_of_ms
    when[5] = book is None or book.fault is not None or not -1_000 <= age <= limits.max_book_age_ms
    if book is None or when[5]:
        return when
    buying, sign = rest.side is Side.BUY, 1 if rest.side is Side.BUY else -1
    contra, own = (book.asks, book.bids) if buying else (book.bids, book.asks)
    levels = (contra if limits.depth_side is DepthSide.CONTRA else own)[: limits.depth_levels]
    depth = sum(price * size for price, size in levels)
    if limits.depth_side is DepthSide.OWN and rest.price_micro in dict(levels):
        depth = max(depth - rest.remaining_usd_micro * MICRO, 0)
    when[6] = limits.cancel_on_book_thin and depth < rest.remaining_usd_micro * MICRO
    when |= {7: policy is Policy.HOLD, 8: policy is Policy.CANCEL}
    ticks = None if not contra else sign * (contra[0][0] - rest.root_price_micro)
    cap = rest.root_price_micro + sign * limits.chase_max_ticks * book.tick_micro
    if rest.limit_price_micro is not None:
        cap = sign * min(sign * cap, sign * rest.limit_price_micro)
    cap -= sign * (sign * cap % book.tick_micro)
    cap = min(cap, MICRO - book.tick_micro) if buying else max(cap, book.tick_micro)
    price = contra[0][0] if contra and sign * contra[0][0] <= sign * cap else cap
    near = ticks is not None and ticks <= limits.chase_max_ticks * book.tick_micro
    wide = ticks is not None and rest.allow_wide_chase and ticks <= 10 * book.tick_micro
    better = bool(contra) and sign * contra[0][0] <= sign * rest.price_micro
    when[9] = better or ((near or wide) and sign * price <= sign * rest.price_micro)
    size = 0 if price <= 0 else min(rest.rest_size_micro, rest.rest_usd_micro * MICRO // price)
    size -= size % 10_000
    marketable = bool(contra) and sign * price >= sign * contra[0][0]
    extra = rest.extra_usd_micro - -abs(price - rest.root_price_micro) * size // MICRO
    when[10] = (
        rest.reposts >= limits.chase_max_reposts
        or rest.chasing_ms > limits.chase_max_seconds * 1_000
        or (limits.chase_max_extra_usd_micro is not None and extra > limits.chase_max_extra_usd_micro)
        or book.trading is not Trading.OPEN
        or (book.closes_at_ms is not None and book.closes_at_ms - basis.now_ms <= limits.closing_margin_ms)
        or size < max(book.min_size_micro, 1)
        or (marketable and price * size < MICRO * MICRO)
        or ((near or wide) and bool(basis.obstacle) and basis.kill is Kill.OFF)
    )
    return when | {11: near, 12: wide, 13: True}


@given(
    chasing_cases() | cases(),
    st.sampled_from(Kill),
    st.sampled_from([True, True, True, False]),
    st.integers(-2_000, 3_000),
    st.sampled_from(["", "", "it is stopped"]),
)
def test_each_rule_fires_exactly_when_its_row_of_the_table_says_so(
    case: Case, kill: Kill, seen: bool, age_ms: int, obstacle: str
) -> None:
    rest, view, limits = case
    basis = Basis(rest, view if seen else None, limits, kill, NOW_MS + age_ms, obstacle)
    decision, tried, when = decide_on(basis), explain(basis), naive(basis)

    assert [rule.row for rule in tried] == list(RULES)
    for rule in tried:
        if rule.row > decision.row:
            assert (rule.outcome, rule.because) == (Outcome.UNTRIED, "")
            continue
        assert rule.because
        assert (rule.outcome is Outcome.FIRED) == (rule.row == decision.row)
        if rule.row > 2:
            assert (rule.outcome is Outcome.FIRED) == when[rule.row], rule


def because(row: int, basis: Basis) -> str:
    return explain(basis)[row - 1].because


def basis_of(rest: Remainder, view: BookView | None, kill: Kill = Kill.OFF, **limits: object) -> Basis:
    return Basis(rest, view, Limits(**limits), kill, NOW_MS)  # type: ignore[arg-type]


CHASE, WIDE = remainder(policy=Policy.CHASE), remainder(policy=Policy.CHASE, allow_wide_chase=True)
NO_ASK = book(asks=())


@pytest.mark.parametrize(
    ("row", "basis", "words"),
    [
        (3, basis_of(remainder(), book(), Kill.ON), "the kill switch was on"),
        (
            3,
            basis_of(remainder(), book(), Kill.UNKNOWN),
            "the kill switch did not answer, which forbids new orders and no cancel",
        ),
        (
            4,
            basis_of(remainder(remaining_usd_micro=4_990_000), book()),
            "4.99 pUSD is left, below the minimum of 5",
        ),
        (4, basis_of(remainder(), book()), "250 pUSD is left, not below the minimum of 5"),
        (5, basis_of(remainder(), None), "no book could be had"),
        (5, basis_of(remainder(), book()), "the book was 0 ms old and in order"),
        (
            5,
            basis_of(remainder(), book(as_of_ms=NOW_MS - 1_501)),
            "the book is 1501 ms old; 1500 ms are allowed",
        ),
        (5, basis_of(remainder(), book(as_of_ms=NOW_MS + 1_001)), "the book is 1001 ms ahead of the clock"),
        (
            5,
            basis_of(remainder(), book(bids=((630_000, 1),))),
            "the book is crossed: bid 0.63, ask 0.63",
        ),
        (
            6,
            basis_of(remainder(), book(asks=((630_000, 100_000_000),))),
            "the best asks, 5 at most, hold 63 pUSD, below the 250 that is left",
        ),
        (
            6,
            basis_of(remainder(), book(), depth_side=DepthSide.OWN),
            "the best bids, 5 at most, hold 1220 pUSD, not below the 250 that is left",
        ),
        (6, basis_of(remainder(), book(), cancel_on_book_thin=False), "cancel_on_book_thin is off"),
        (8, basis_of(remainder(policy=Policy.CANCEL), book()), "the policy is cancel"),
        (
            9,
            basis_of(CHASE, away(Side.BUY, 0)),
            "the best ask is 0.62, and the order's own 0.62 is no worse than the 0.62 a chase would have",
        ),
        (9, basis_of(CHASE, away(Side.BUY, 2)), "the best ask is 0.64, away from the order's own 0.62"),
        (9, basis_of(CHASE, NO_ASK, cancel_on_book_thin=False), "there is no ask to chase"),
        (
            10,
            basis_of(changed(CHASE, reposts=5), away(Side.BUY, 2)),
            "390.62 shares at 0.64 could not be posted: 5 chase orders were posted already",
        ),
        (10, basis_of(CHASE, away(Side.BUY, 2)), "390.62 shares at 0.64 could be posted"),
        (
            10,
            basis_of(CHASE, away(Side.BUY, 2))._replace(obstacle="it is being cancelled"),
            "390.62 shares at 0.64 could not be posted: it is being cancelled",
        ),
        (
            11,
            basis_of(CHASE, away(Side.BUY, 2)),
            "the best ask is 2 ticks from the root price of 0.62, within the 3 of chase_max_ticks",
        ),
        (
            11,
            basis_of(CHASE, away(Side.BUY, 2), Kill.UNKNOWN),
            (
                "the best ask is 2 ticks from the root price of 0.62, within the 3 of chase_max_ticks; "
                "held, since the kill switch did not answer"
            ),
        ),
        (
            11,
            basis_of(WIDE, away(Side.BUY, 7)),
            "the best ask is 7 ticks from the root price of 0.62, beyond the 3 of chase_max_ticks",
        ),
        (
            12,
            basis_of(WIDE, away(Side.BUY, 7)),
            "the best ask is 7 ticks from the root price of 0.62, within the hard limit of 10",
        ),
        (
            12,
            basis_of(CHASE, away(Side.BUY, 7)),
            (
                "the best ask is 7 ticks from the root price of 0.62, "
                "and the strategy does not allow wide chases"
            ),
        ),
        (
            13,
            basis_of(CHASE, NO_ASK, cancel_on_book_thin=False),
            "there is no ask: no chase within its limits reaches the market",
        ),
        (11, basis_of(CHASE, NO_ASK, cancel_on_book_thin=False), "there is no ask"),
        (12, basis_of(CHASE, NO_ASK, cancel_on_book_thin=False), "there is no ask"),
        (
            11,
            basis_of(CHASE, away(Side.BUY, 1)),
            "the best ask is 1 tick from the root price of 0.62, within the 3 of chase_max_ticks",
        ),
        (
            12,
            basis_of(WIDE, away(Side.BUY, 11)),
            "the best ask is 11 ticks from the root price of 0.62, beyond the hard limit of 10",
        ),
    ],
)
def test_reason_is_told_with_its_figures(row: int, basis: Basis, words: str) -> None:
    assert because(row, basis) == words
