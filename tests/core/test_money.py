"""Every rounding in its named direction, against fractions."""

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decisions import TICKS_MICRO

from polytraders_pfh.core.money import grid_down, grid_up, lots_down, plain, size_down, usd_down, usd_up

MICRO = 1_000_000
amounts = st.integers(0, 10**18)
prices = st.integers(1, MICRO - 1)


@given(prices, amounts)
def test_pusd_is_rounded_down_and_up_to_the_millionth(price: int, size: int) -> None:
    exact = Fraction(price * size, MICRO)

    assert (usd_down(price, size), usd_up(price, size)) == (floor(exact), ceil(exact))


@given(amounts, prices)
def test_shares_for_pusd_are_rounded_down(usd: int, price: int) -> None:
    assert size_down(usd, price) == floor(Fraction(usd * MICRO, price))


@given(amounts)
def test_lots_are_hundredths_of_a_share_rounded_down(size: int) -> None:
    lots = lots_down(size)

    assert lots % 10_000 == 0
    assert 0 <= size - lots < 10_000


@given(st.integers(0, MICRO), st.sampled_from(TICKS_MICRO))
def test_prices_are_rounded_to_the_grid_on_the_named_side(price: int, tick: int) -> None:
    down, up = grid_down(price, tick), grid_up(price, tick)

    assert (down % tick, up % tick) == (0, 0)
    assert down <= price <= up
    assert up - down == (0 if price % tick == 0 else tick)


@pytest.mark.parametrize(("price", "down", "up"), [(-5_000, -10_000, 0), (-10_000, -10_000, -10_000)])
def test_the_grid_goes_on_below_zero(price: int, down: int, up: int) -> None:
    """A cap of a SELL may come to less than nothing before it is drawn in."""
    assert (grid_down(price, 10_000), grid_up(price, 10_000)) == (down, up)


@pytest.mark.parametrize(
    ("price", "size", "down", "up"),
    [(620_000, 403_225_806, 249_999_999, 250_000_000), (500_000, 2, 1, 1), (1, 1, 0, 1), (620_000, 0, 0, 0)],
)
def test_pusd_by_literals(price: int, size: int, down: int, up: int) -> None:
    assert (usd_down(price, size), usd_up(price, size)) == (down, up)


@pytest.mark.parametrize(
    ("micro", "text"),
    [
        (620_000, "0.62"),
        (1, "0.000001"),
        (0, "0"),
        (10_000_000, "10"),
        (250_000_000, "250"),
        (-1_500_000, "-1.5"),
        (-1, "-0.000001"),
        (999_999_999_999_999_999, "999999999999.999999"),
    ],
)
def test_millionths_as_the_shortest_text(micro: int, text: str) -> None:
    assert plain(micro) == text


@given(st.integers(-(10**18), 10**18))
def test_the_text_of_millionths_is_exact(micro: int) -> None:
    assert Fraction(plain(micro)) * MICRO == micro
