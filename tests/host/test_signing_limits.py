"""What a signer refuses by its own limits, order by order."""

from typing import Any

import pytest
from polytraders_hookspecs.orders import ZERO_BYTES32
from support.orders import BUILDER, TOKEN, unsigned

from polytraders_pfh.host.signing.limits import Pace, SigningLimits

SECOND = 1_000_000_000


def limits(**changes: Any) -> SigningLimits:
    fields: dict[str, Any] = {
        "tokens": frozenset({TOKEN}),
        "max_size_micro": 100_000_000,
        "orders_per_minute": 10,
        "sides": frozenset({"BUY"}),
        "min_price_micro": 400_000,
        "max_price_micro": 600_000,
        "builder_codes": frozenset({BUILDER}),
    }
    return SigningLimits(**(fields | changes))


def test_an_order_inside_every_limit_is_signed() -> None:
    assert limits().refusal(unsigned()) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"token_id": "7"}, "token 7 is not in limits.tokens; add it there if it is meant"),
        ({"side": "SELL"}, "side was SELL; limits.sides allows BUY"),
        ({"price_micro": 399_999}, "price was 0.399999; limits allow 0.4 to 0.6"),
        ({"price_micro": 600_001}, "price was 0.600001; limits allow 0.4 to 0.6"),
        ({"size_micro": 100_000_001}, "size was 100.000001 shares; limits.max_size_shares is 100"),
        (
            {"builder_code": ZERO_BYTES32},
            f"builder code {ZERO_BYTES32} is not in limits.builder_codes; add it if it is yours",
        ),
    ],
)
def test_an_order_beyond_a_limit_is_refused_in_a_sentence(change: dict[str, Any], words: str) -> None:
    assert limits().refusal(unsigned(**change)) == words


@pytest.mark.parametrize("change", [{"price_micro": 400_000}, {"price_micro": 600_000}])
def test_the_ends_of_a_band_are_inside_it(change: dict[str, Any]) -> None:
    assert limits().refusal(unsigned(**change)) == ""


def test_every_token_is_allowed_only_where_that_was_said() -> None:
    assert limits(tokens=None).refusal(unsigned(token_id="7")) == ""


def test_signatures_within_any_sixty_seconds_are_counted() -> None:
    pace = Pace(2)
    pace.signing(0)
    pace.signing(30 * SECOND)

    refusals = [pace.refusal(at * SECOND) for at in (31, 59, 60, 89)]

    assert refusals == [
        "2 orders were signed within a minute, the limit; the next may be in 29 s",
        "2 orders were signed within a minute, the limit; the next may be in 1 s",
        "",
        "",
    ]
