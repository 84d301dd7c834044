"""How far each mode lets a decision go (SPEC 5)."""

import pytest

from polytraders_pfh.core.modes import Mode, Reach, may_act, may_post, reaches_further
from polytraders_pfh.core.policy import Action, Decision, Policy
from polytraders_pfh.core.reasons import Reason

MARKET, OTHER = "0x" + "a" * 64, "0x" + "b" * 64
HOLD = Decision(Action.HOLD, Reason.HOLD_REMAINDER, 7, Policy.HOLD)
CANCEL = Decision(Action.CANCEL, Reason.CANCELLED_REMAINDER, 8, Policy.CANCEL)
CHASE = Decision(
    Action.CHASE, Reason.CHASE_ORDER_SUBMITTED, 11, Policy.CHASE, price_micro=500_000, size_micro=100_000_000
)


@pytest.mark.parametrize(
    ("mode", "hold", "cancel", "chase"),
    [
        (Mode.SHADOW_ONLY, False, False, False),
        (Mode.QUARANTINE, True, True, False),
        (Mode.GENERAL_LIVE, True, True, True),
    ],
)
@pytest.mark.parametrize("market", [MARKET, OTHER])
def test_what_a_mode_lets_through_on_every_market(
    mode: Mode, hold: bool, cancel: bool, chase: bool, market: str
) -> None:
    reach = Reach(frozenset({MARKET}), 1)

    assert tuple(may_act(mode, d, market, reach) for d in (HOLD, CANCEL, CHASE)) == (hold, cancel, chase)


@pytest.mark.parametrize(
    ("market", "cap", "hold", "cancel", "chase"),
    [
        (MARKET, 50_000_000, True, True, True),
        (MARKET, 49_999_999, True, True, False),
        (MARKET, 0, True, True, False),
        (OTHER, 50_000_000, False, False, False),
    ],
)
def test_limited_live_acts_on_listed_markets_and_up_to_its_cap_per_chase(
    market: str, cap: int, hold: bool, cancel: bool, chase: bool
) -> None:
    reach = Reach(frozenset({MARKET}), cap)

    assert tuple(may_act(Mode.LIMITED_LIVE, d, market, reach) for d in (HOLD, CANCEL, CHASE)) == (
        hold,
        cancel,
        chase,
    )


def test_the_cap_of_a_chase_is_compared_before_any_rounding() -> None:
    dearer = Decision(
        Action.CHASE,
        Reason.CHASE_ORDER_SUBMITTED,
        11,
        Policy.CHASE,
        price_micro=500_001,
        size_micro=100_000_001,
    )

    assert not may_act(Mode.LIMITED_LIVE, dearer, MARKET, Reach(frozenset({MARKET}), 50_000_100))
    assert may_act(Mode.LIMITED_LIVE, dearer, MARKET, Reach(frozenset({MARKET}), 50_000_101))


def test_limited_live_without_a_list_acts_nowhere() -> None:
    assert not may_act(Mode.LIMITED_LIVE, CANCEL, MARKET, Reach())


@pytest.mark.parametrize(
    ("mode", "market", "cap", "may"),
    [
        (Mode.SHADOW_ONLY, MARKET, 50_000_000, False),
        (Mode.QUARANTINE, MARKET, 50_000_000, False),
        (Mode.LIMITED_LIVE, MARKET, 50_000_000, True),
        (Mode.LIMITED_LIVE, MARKET, 49_999_999, False),
        (Mode.LIMITED_LIVE, OTHER, 50_000_000, False),
        (Mode.GENERAL_LIVE, OTHER, 0, True),
    ],
)
def test_which_order_a_mode_lets_be_sent(mode: Mode, market: str, cap: int, may: bool) -> None:
    assert may_post(mode, market, 500_000, 100_000_000, Reach(frozenset({MARKET}), cap)) is may


def test_modes_reach_further_in_the_order_of_the_ladder() -> None:
    ladder = [Mode.SHADOW_ONLY, Mode.QUARANTINE, Mode.LIMITED_LIVE, Mode.GENERAL_LIVE]

    for i, mode in enumerate(ladder):
        assert [reaches_further(mode, other) for other in ladder] == [i > n for n in range(4)]
