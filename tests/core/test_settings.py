"""The bot's settings: the card's own load unchanged, and a wrong one is named with path, value and rule."""

import tomllib
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from support.card import card

from polytraders_pfh.config import MODES, Settings, load_settings
from polytraders_pfh.core.modes import Mode
from polytraders_pfh.core.policy import DepthSide, Limits, Policy
from polytraders_pfh.errors import ConfigError

MARKET = "0x" + "a" * 64


def faults(section: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(section)
    return str(caught.value).splitlines()


def test_the_cards_default_config_loads_unchanged_and_is_the_default() -> None:
    assert load_settings(card("default_config")) == load_settings({}) == Settings()


def test_the_cards_default_config_gives_the_cards_parameters() -> None:
    settings = load_settings(card("default_config"))

    assert (settings.bot_id, settings.version, settings.mode, settings.enabled) == (
        "exec.partialfillhandler",
        "0.1.0",
        "shadow_only",
        True,
    )
    assert settings.limits() == Limits(
        default_policy=Policy.HOLD,
        min_remainder_usd_micro=5_000_000,
        chase_max_ticks=3,
        cancel_on_book_thin=True,
        depth_levels=5,
        depth_side=DepthSide.CONTRA,
        max_book_age_ms=1_500,
        closing_margin_ms=5_000,
        chase_max_reposts=5,
        chase_max_seconds=120,
        chase_max_extra_usd_micro=None,
    )
    assert settings.warnings() == ()


def test_the_cards_concurrency_is_the_default() -> None:
    execution = load_settings({}).execution

    assert (execution.max_in_flight, execution.timeout_ms, execution.cancel_retries) == (50, 300, 2)


def test_the_modes_are_those_of_the_core() -> None:
    assert tuple(mode.value for mode in Mode) == MODES


@pytest.mark.parametrize("value", [5, "5", "5.0", Decimal(5), "5.000000"])
def test_an_amount_may_be_a_whole_number_a_text_or_a_decimal(value: object) -> None:
    assert (
        load_settings({"defaults": {"min_remainder_size": value}}).limits().min_remainder_usd_micro
        == 5_000_000
    )


@pytest.mark.parametrize(
    "section",
    [
        {"defaults": {"min_remainder_size": 1, "chase_max_ticks": 10}},
        {"defaults": {"min_remainder_size": "1.000000", "chase_max_ticks": 0}},
        {"overrides": {"s": {"min_remainder_size": 1, "chase_max_ticks": 10}}},
        {"locked": {"min_remainder_size": {"min": 1}, "chase_max_ticks": {"max": 10}}},
        {"locked": {"min_remainder_size": {"min": 5}, "chase_max_ticks": {"max": 3}}},
    ],
)
def test_values_exactly_at_the_locked_bounds_load(section: Any) -> None:
    load_settings(section)


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ({"min_remainder_size": 0}, "min_remainder_size was 0; input should be greater than or equal to 1"),
        (
            {"min_remainder_size": "0.999999"},
            "min_remainder_size was '0.999999'; input should be greater than or equal to 1",
        ),
        ({"chase_max_ticks": 11}, "chase_max_ticks was 11; input should be less than or equal to 10"),
        ({"chase_max_ticks": -1}, "chase_max_ticks was -1; input should be greater than or equal to 0"),
    ],
)
@pytest.mark.parametrize("where", ["defaults", "overrides.s"])
def test_the_cards_hard_bounds_cannot_be_crossed_by_a_config_or_for_a_strategy(
    where: str, section: Any, fault: str
) -> None:
    whole = {"defaults": section} if where == "defaults" else {"overrides": {"s": section}}

    assert faults(whole) == [f"{where}.{fault}"]


@pytest.mark.parametrize(
    ("locked", "fault"),
    [
        (
            {"min_remainder_size": {"min": "0.5"}},
            "locked.min_remainder_size.min was '0.5'; input should be greater than or equal to 1",
        ),
        (
            {"chase_max_ticks": {"max": 11}},
            "locked.chase_max_ticks.max was 11; input should be less than or equal to 10",
        ),
    ],
)
def test_a_locked_bound_cannot_be_drawn_wider(locked: Any, fault: str) -> None:
    assert faults({"locked": locked}) == [fault]


def test_a_locked_bound_drawn_tighter_binds_defaults_and_overrides_and_all_are_named() -> None:
    section = {
        "locked": {"min_remainder_size": {"min": 10}, "chase_max_ticks": {"max": 2}},
        "overrides": {
            "a": {"min_remainder_size": 9},
            "b": {"chase_max_ticks": 3},
            "c": {"min_remainder_size": 10, "chase_max_ticks": 2},
        },
    }

    assert faults(section)[0].split("; ")[::2] == [
        "defaults.min_remainder_size was 5",
        "defaults.chase_max_ticks was 3",
        "overrides.a.min_remainder_size was 9",
        "overrides.b.chase_max_ticks was 3",
    ]
    assert faults(section)[0].split("; ")[1::2] == [
        "locked.min_remainder_size.min is 10",
        "locked.chase_max_ticks.max is 2",
        "locked.min_remainder_size.min is 10",
        "locked.chase_max_ticks.max is 2",
    ]


@pytest.mark.parametrize(
    ("section", "warned"),
    [
        ({"min_remainder_size": 2, "chase_max_ticks": 5}, []),
        ({"min_remainder_size": "1.999999"}, ["min_remainder_size is 1.999999: below 2 pUSD"]),
        ({"chase_max_ticks": 6}, ["chase_max_ticks is 6: beyond 5 ticks"]),
        (
            {"min_remainder_size": 1, "chase_max_ticks": 10},
            ["min_remainder_size is 1: below 2 pUSD", "chase_max_ticks is 10: beyond 5 ticks"],
        ),
    ],
)
@pytest.mark.parametrize("where", ["defaults", "overrides.s"])
def test_past_the_cards_warning_values_a_config_loads_with_a_warning(
    where: str, section: Any, warned: list[str]
) -> None:
    whole = {"defaults": section} if where == "defaults" else {"overrides": {"s": section}}
    warnings = load_settings(whole).warnings()

    assert len(warnings) == len(warned)
    assert all(
        warning.startswith(f"{where}.{start}") for warning, start in zip(warnings, warned, strict=True)
    )


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ({"modee": "x"}, "modee is not a setting; remove it or mend its name"),
        (
            {"defaults": {"chase_max_tick": 3}},
            "defaults.chase_max_tick is not a setting; remove it or mend its name",
        ),
        (
            {"locked": {"default_policy": {}}},
            "locked.default_policy is not a setting; remove it or mend its name",
        ),
        (
            {"overrides": {"s": {"mode": "general_live"}}},
            "overrides.s.mode is not a setting; remove it or mend its name",
        ),
        ({"bot_id": "exec.other"}, "bot_id was 'exec.other'; input should be 'exec.partialfillhandler'"),
        (
            {"mode": "live"},
            "mode was 'live'; input should be 'shadow_only', 'quarantine', 'limited_live' or 'general_live'",
        ),
        ({"enabled": "yes"}, "enabled was 'yes'; input should be a valid boolean"),
        ({"enabled": 1}, "enabled was 1; input should be a valid boolean"),
        ({"version": 1}, "version was 1; input should be a valid string"),
        (
            {"defaults": {"default_policy": "HOLD"}},
            "defaults.default_policy was 'HOLD'; input should be 'hold', 'cancel' or 'chase'",
        ),
        (
            {"defaults": {"chase_max_ticks": True}},
            "defaults.chase_max_ticks was True; input should be a valid integer",
        ),
        (
            {"defaults": {"chase_max_ticks": "3"}},
            "defaults.chase_max_ticks was '3'; input should be a valid integer",
        ),
        (
            {"defaults": {"cancel_on_book_thin": 0}},
            "defaults.cancel_on_book_thin was 0; input should be a valid boolean",
        ),
        (
            {"execution": {"max_in_flight": 0}},
            "execution.max_in_flight was 0; input should be greater than or equal to 1",
        ),
        (
            {"execution": {"timeout_ms": 0}},
            "execution.timeout_ms was 0; input should be greater than or equal to 1",
        ),
        (
            {"execution": {"max_in_flight": 30, "resume_in_flight": 40}},
            "execution.resume_in_flight was 40; it must not exceed max_in_flight = 30",
        ),
        ({"book": {"depth_side": "both"}}, "book.depth_side was 'both'; input should be 'contra' or 'own'"),
        ({"book": {"levels": 0}}, "book.levels was 0; input should be greater than or equal to 1"),
        (
            {"chase": {"max_reposts": -1}},
            "chase.max_reposts was -1; input should be greater than or equal to 0",
        ),
        (
            {"limited_live": {"markets": ["0x12"]}},
            "limited_live.markets.0 was '0x12'; string should match pattern '^0x[0-9a-f]{64}$'",
        ),
        (
            {"limited_live": {"markets": MARKET}},
            f"limited_live.markets was '{MARKET[:59]}…; input should be a valid tuple",
        ),
        ({"defaults": []}, "defaults was []; input should be a valid dictionary or instance of Defaults"),
        ({"overrides": {7: {}}}, "overrides.7.[key] was {}; input should be a valid string"),
        (
            {"overrides": {"s": 3}},
            "overrides.s was 3; input should be a valid dictionary or instance of Override",
        ),
    ],
)
def test_a_wrong_key_is_named_with_its_path_its_value_and_the_rule(section: Any, fault: str) -> None:
    assert faults(section) == [fault]


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ({"defaults": {"min_remainder_size": -1}}, "defaults.min_remainder_size was -1"),
        ({"defaults": {"min_remainder_size": "five"}}, "defaults.min_remainder_size was 'five' (str)"),
        ({"defaults": {"min_remainder_size": True}}, "defaults.min_remainder_size was True (bool)"),
        (
            {"defaults": {"min_remainder_size": "5.0000001"}},
            "defaults.min_remainder_size was '5.0000001' (str)",
        ),
        ({"chase": {"max_extra_usd": "1e3"}}, "chase.max_extra_usd was '1e3' (str)"),
        ({"limited_live": {"max_chase_usd": "-1"}}, "limited_live.max_chase_usd was '-1' (str)"),
        ({"book": {"default_min_shares": "NaN"}}, "book.default_min_shares was 'NaN' (str)"),
    ],
)
def test_an_amount_that_breaks_the_rule_is_named(section: Any, path: str) -> None:
    (fault,) = faults(section)

    assert fault.startswith(f"{path}; write a plain decimal number, not negative")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "[defaults]\nmin_remainder_size = 5.0",
            "defaults.min_remainder_size was 5.0 (float); write a plain",
        ),
        ("[chase]\nmax_extra_usd = 0.1", "chase.max_extra_usd was 0.1 (float); write a plain"),
        (
            "[defaults]\nmin_remainder_size = nan",
            "defaults.min_remainder_size was nan (float); write a plain",
        ),
        (
            "[defaults]\nchase_max_ticks = 3.0",
            "defaults.chase_max_ticks was 3.0; input should be a valid integer",
        ),
        ("[limited_live]\nmax_chase_usd = inf", "limited_live.max_chase_usd was inf (float); write a plain"),
    ],
)
def test_a_binary_fraction_from_a_toml_file_is_refused(text: str, fault: str) -> None:
    """A float has already lost what was written; texts and whole numbers have not."""
    (found,) = faults(tomllib.loads(text))

    assert found.startswith(fault)


def test_all_faults_are_named_at_once() -> None:
    section = {
        "mode": "live",
        "nonsense": 1,
        "defaults": {"min_remainder_size": 0, "chase_max_ticks": 11, "default_policy": 7},
        "overrides": {"a": {"chase_max_ticks": 99}, "b": {"x": 1}},
        "execution": {"max_in_flight": "many"},
    }

    assert sorted(fault.split(" ")[0] for fault in faults(section)) == [
        "defaults.chase_max_ticks",
        "defaults.default_policy",
        "defaults.min_remainder_size",
        "execution.max_in_flight",
        "mode",
        "nonsense",
        "overrides.a.chase_max_ticks",
        "overrides.b.x",
    ]


def test_what_stands_under_an_unknown_key_is_not_repeated_since_it_may_be_a_secret() -> None:
    (fault,) = faults({"private_key": "0xdeadbeef"})

    assert fault == "private_key is not a setting; remove it or mend its name"


def test_an_override_changes_what_it_names_for_its_own_strategy_alone() -> None:
    settings = load_settings(
        {
            "defaults": {"default_policy": "cancel", "min_remainder_size": 7, "chase_max_ticks": 4},
            "overrides": {
                "fast": {"default_policy": "chase", "chase_max_ticks": 0, "cancel_on_book_thin": False},
                "small": {"min_remainder_size": "1.5"},
            },
        }
    )

    def four(strategy: str | None) -> tuple[str, int, int, bool]:
        limits = settings.limits(strategy)
        return (
            limits.default_policy.value,
            limits.min_remainder_usd_micro,
            limits.chase_max_ticks,
            limits.cancel_on_book_thin,
        )

    assert four(None) == four("unheard of") == ("cancel", 7_000_000, 4, True)
    assert four("fast") == ("chase", 7_000_000, 0, False)
    assert four("small") == ("cancel", 1_500_000, 4, True)


def test_the_other_sections_reach_the_limits() -> None:
    settings = load_settings(
        {
            "book": {"levels": 3, "depth_side": "own", "max_age_ms": 100},
            "chase": {"max_reposts": 1, "max_seconds": 2, "max_extra_usd": "0.25", "closing_margin_ms": 3},
        }
    )

    limits = settings.limits()

    assert (limits.depth_levels, limits.depth_side, limits.max_book_age_ms) == (3, DepthSide.OWN, 100)
    assert (limits.chase_max_reposts, limits.chase_max_seconds, limits.closing_margin_ms) == (1, 2, 3)
    assert limits.chase_max_extra_usd_micro == 250_000


def test_lists_and_read_only_mappings_are_read() -> None:
    section = MappingProxyType({"limited_live": MappingProxyType({"markets": [MARKET], "max_chase_usd": 10})})

    limited = load_settings(section).limited_live

    assert (limited.markets, limited.max_chase_usd) == ((MARKET,), Decimal(10))


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings({}).mode = "general_live"  # type: ignore[misc]


def test_a_small_bound_of_work_draws_its_hysteresis_down_with_it() -> None:
    execution = load_settings({"execution": {"max_in_flight": 7}}).execution

    assert (execution.max_in_flight, execution.resume_in_flight) == (7, 7)
