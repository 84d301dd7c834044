"""Exact arithmetic: grids, decimals, fees, text."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_DOWN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.paper_core import BUY, FAK, GTC, SELL, World, micro

from polytraders_pfh.paper.core.amounts import (
    AMOUNT_DECIMALS,
    decimal_text,
    has_decimals,
    limit_price,
    on_grid,
    taker_fee,
)
from polytraders_pfh.paper.core.model import MICRO, Market, Outcome

WORLD = World()


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0"),
        (1, "0.000001"),
        (500_000, "0.5"),
        (5_000_000, "5"),
        (-1_250_000, "-1.25"),
        (4_990_000, "4.99"),
    ],
)
def test_amounts_read_as_short_decimals(amount: int, text: str) -> None:
    assert decimal_text(amount) == text


@given(st.integers(-(10**12), 10**12))
def test_text_says_exactly_the_amount(amount: int) -> None:
    assert micro(decimal_text(amount)) == amount


@pytest.mark.parametrize(
    ("amount", "most", "fine"),
    [(10_000, 2, True), (1_000, 2, False), (100, 4, True), (10, 4, False), (1, 6, True)],
)
def test_decimals_are_counted(amount: int, most: int, fine: bool) -> None:
    assert has_decimals(amount, most) is fine


@pytest.mark.parametrize("tick", AMOUNT_DECIMALS)
def test_every_grid_holds_its_own_multiples_between_its_bounds(tick: int) -> None:
    inside = [price for price in range(0, MICRO + 1, 100) if on_grid(price, tick)]
    assert inside == list(range(tick, MICRO - tick + 1, tick))


@given(
    tick=st.sampled_from(sorted(AMOUNT_DECIMALS)),
    step=st.integers(1, 9_999),
    hundredths=st.integers(1, 10**7),
    side=st.sampled_from([BUY, SELL]),
)
def test_a_lot_at_a_grid_price_always_names_that_price(
    tick: int, step: int, hundredths: int, side: object
) -> None:
    price = tick * (1 + step % (MICRO // tick - 1))
    size = hundredths * 10_000
    usd = price * size // MICRO
    assert usd * MICRO == price * size
    amounts = (usd, size) if side is BUY else (size, usd)
    request = WORLD.raw("ann", BUY if side is BUY else SELL, *amounts, kind=GTC)
    assert limit_price(request, tick) == price


@given(
    tick=st.sampled_from([10_000, 5_000, 2_500, 1_000]),
    step=st.integers(1, 999),
    cents=st.integers(100, 10**6),
    rounding=st.sampled_from([ROUND_DOWN, ROUND_CEILING]),
)
def test_a_market_buy_cut_after_four_decimals_names_its_grid_price(
    tick: int, step: int, cents: int, rounding: str
) -> None:
    price = tick * (1 + step % (MICRO // tick - 1))
    shares = (Decimal(cents) / 100 / (Decimal(price) / MICRO)).quantize(Decimal("0.0001"), rounding)
    request = WORLD.raw("ann", BUY, cents * 10_000, micro(shares), kind=FAK)
    assert limit_price(request, tick) == price


@pytest.mark.parametrize(("maker", "taker"), [("10", "18.1"), ("10", "18.3"), ("3.33", "9.9")])
def test_a_market_buy_between_two_grid_prices_has_none(maker: str, taker: str) -> None:
    assert limit_price(WORLD.raw("ann", BUY, micro(maker), micro(taker), kind=FAK), 10_000) is None


@given(
    size=st.integers(1, 10**12),
    price=st.integers(1, MICRO - 1),
    rate=st.integers(0, 100_000),
    exponent=st.integers(0, 3),
)
def test_a_fee_is_the_formula_floored_to_five_decimals(
    size: int, price: int, rate: int, exponent: int
) -> None:
    market = Market(
        "0xc",
        "?",
        (Outcome("1", "Yes"), Outcome("2", "No")),
        taker_fee_rate_micro=rate,
        fee_exponent=exponent,
    )
    p = Decimal(price) / MICRO
    exact = Decimal(size) / MICRO * Decimal(rate) / MICRO * (p * (1 - p)) ** exponent
    if rate:
        exact = exact.quantize(Decimal("1e-20"), ROUND_DOWN)
    assert taker_fee(market, size, price) == micro(exact.quantize(Decimal("0.00001"), ROUND_DOWN))
