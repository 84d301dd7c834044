"""The promotion gates: each figure at its threshold, on both sides of it; too little evidence refuses."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decisions import changed

from polytraders_pfh.core.gates import (
    DAY_MS,
    HOUR_MS,
    LONGEST_AGE_MS,
    SHADOW_SILENCE_MS,
    Count,
    Gate,
    LiveRun,
    Override,
    PricedChase,
    ShadowRun,
    Stretch,
    SuiteRun,
    Verdict,
    agree,
    refusal,
    to_general_live,
    to_limited_live,
    to_shadow,
)
from polytraders_pfh.core.market import Side
from polytraders_pfh.core.modes import Mode

END_MS = 1_746_770_100_000
OTHERS = ("test_other",) * 1_000
TESTS = SuiteRun(("test_dust_is_cancelled", "test_thin_book", *OTHERS), (), ())
CHASE = PricedChase(7, Side.BUY, 650_000, 620_000, 3, 10_000)


def run_of(hours: int, reports: int = 500) -> Stretch:
    return Stretch(1, reports, END_MS - hours * HOUR_MS, END_MS, reports)


def shadow(*chases: PricedChase, hours: int = 48, lacking: tuple[int, ...] = ()) -> Verdict:
    return to_limited_live(ShadowRun(run_of(hours), chases, lacking), END_MS)


def live(fills: int, dust: int, scraped: Count | None = None, hours: int = 7 * 24) -> Verdict:
    return to_general_live(LiveRun(run_of(hours), Count(fills, dust), scraped), END_MS)


# to_shadow


def test_whole_test_run_opens_the_gate_to_shadow() -> None:
    verdict = to_shadow(TESTS)

    assert verdict.passed
    assert verdict.figure == "1002 of 1002 tests passed"
    assert verdict.evidence == ("1 tests of dust and 1 of thin books passed",)


@pytest.mark.parametrize(
    ("run", "missing"),
    [
        (None, "a JUnit report of the tests (pytest --junitxml=FILE, then --junit FILE)"),
        (changed(TESTS, passed=TESTS.passed[:999]), "1 more tests: give the report of the whole run"),
        (changed(TESTS, failed=("test_it",)), "1 tests must be mended: test_it"),
        (changed(TESTS, passed=("test_thin_book", *OTHERS)), "no dust scenario passed"),
        (changed(TESTS, passed=("test_dust", *OTHERS)), "no book-thin scenario passed"),
        (
            changed(TESTS, skipped=("test_a",) * 51),
            ("51 tests were skipped, more than 1 in 20: test_a, test_a, test_a, test_a, test_a …"),
        ),
    ],
)
def test_anything_less_than_a_whole_test_run_keeps_it_shut(run: SuiteRun | None, missing: str) -> None:
    assert to_shadow(run).missing == (missing,)


def test_a_thousand_tests_are_enough_and_one_in_twenty_may_be_skipped() -> None:
    passed = TESTS.passed[:1_000]

    assert to_shadow(SuiteRun(passed, (), ("test_a",) * 50)) == Verdict(
        Gate.TO_SHADOW,
        "1000 of 1000 tests passed",
        "100% of at least 1000 tests pass, dust and book-thin scenarios among them",
        (
            "1 tests of dust and 1 of thin books passed",
            "50 tests were skipped: test_a, test_a, test_a, test_a, test_a …",
        ),
        (),
    )
    assert (
        to_shadow(SuiteRun(passed, (), ("test_a",) * 5))
        .evidence[1]
        .endswith(": " + ", ".join(["test_a"] * 5))
    )
    assert to_shadow(SuiteRun(passed, ("test_b",), ())).figure == "1000 of 1001 tests passed"


def test_without_a_test_run_the_gate_says_so() -> None:
    verdict = to_shadow(None)

    assert (verdict.gate, verdict.figure, verdict.evidence) == (Gate.TO_SHADOW, "no test run", ())
    assert verdict.threshold == to_shadow(TESTS).threshold


# to_limited_live


def test_48_hours_without_a_violation_open_the_gate_to_limited_live() -> None:
    verdict = shadow(*[CHASE] * 30)

    assert verdict.passed
    assert verdict.figure == "0 violations in 30 chase orders"
    assert verdict.evidence == (
        "500 reports over 48 h, records 1 to 500",
        "chase orders in records 7, 7, 7, 7, 7 … 7",
        "chase_max_ticks in force: 3",
    )


@pytest.mark.parametrize(
    ("side", "price", "bound"), [(Side.BUY, 650_001, "0.65"), (Side.SELL, 589_999, "0.59")]
)
def test_one_millionth_beyond_the_bound_refuses(side: Side, price: int, bound: str) -> None:
    at_bound = changed(CHASE, side=side, price_micro=650_000 if side is Side.BUY else 590_000)
    beyond = changed(at_bound, record=31, price_micro=price)

    assert shadow(*[at_bound] * 30).passed
    (missing,) = shadow(*[at_bound] * 30, beyond).missing
    assert missing.startswith(f"record 31 prices a {side} chase at ")
    assert f"beyond {bound}; 1 are (records 31)" in missing


@pytest.mark.parametrize(
    ("verdict", "missing"),
    [
        (
            shadow(*[CHASE] * 30, hours=47),
            "1 h more in shadow_only without a silence of more than 6 h",
        ),
        (shadow(*[CHASE] * 29), "1 more chase orders"),
        (shadow(*[CHASE] * 30, lacking=(4, 9)), "the inputs of 2 chases (records 4, 9)"),
        (
            to_limited_live(ShadowRun(run_of(48), (CHASE,) * 30, ()), END_MS + LONGEST_AGE_MS + HOUR_MS),
            "a newer run: this one ended 169 h ago, 168 h is the most",
        ),
    ],
)
def test_too_little_evidence_refuses_and_says_how_much_is_missing(verdict: Verdict, missing: str) -> None:
    assert verdict.missing == (missing,)


def test_journal_without_a_shadow_run_refuses() -> None:
    verdict = to_limited_live(ShadowRun(None, (), ()), END_MS)

    assert verdict.missing == (
        "a run in shadow_only: no report of one is in the journal",
        "30 more chase orders",
    )


@given(
    st.sampled_from(Side),
    st.integers(1, 999_999),
    st.integers(1, 999_999),
    st.integers(0, 10),
    st.sampled_from([100, 1_000, 2_500, 5_000, 10_000, 100_000]),
)
def test_violation_is_the_card_s_formula_and_nothing_else(
    side: Side, price: int, root: int, ticks: int, tick: int
) -> None:
    chase = PricedChase(1, side, price, root, ticks, tick)

    original, reach = Fraction(root, 10**6), ticks * Fraction(tick, 10**6)
    beyond = original + reach < Fraction(price, 10**6) or side is Side.SELL
    if side is Side.SELL:
        beyond = Fraction(price, 10**6) < original - reach
    assert chase.violates == beyond


# to_general_live


@pytest.mark.parametrize(("fills", "dust", "passed"), [(100, 4, True), (100, 5, False), (1_000, 49, True)])
def test_dust_rate_is_compared_without_rounding(fills: int, dust: int, passed: bool) -> None:
    assert live(fills, dust).passed is passed


@given(st.integers(100, 10**9), st.data())
def test_gate_is_open_exactly_below_one_twentieth(fills: int, data: st.DataObject) -> None:
    near = st.integers(max(fills // 20 - 2, 0), fills // 20 + 2)
    dust = data.draw(near | st.integers(0, fills))

    assert live(fills, dust).passed is (Fraction(dust, fills) < Fraction(5, 100))


@pytest.mark.parametrize(
    ("verdict", "missing"),
    [
        (live(99, 0), "1 more partial fills"),
        (live(100, 5), "fewer dust cancels: 5 dust cancels in 100 partial fills, 5% is not below 5%"),
        (
            live(100, 4, hours=160),
            "8 h more in limited_live without a silence of more than 24 h",
        ),
        (
            live(1_000, 10, Count(1_011, 10)),
            (
                "agreement: the journal has 10 dust cancels in 1000 partial fills, 1%, Prometheus "
                "10 dust cancels in 1011 partial fills, 0.99%; a difference of more than 1% of the fills is "
                "not explained by what restarts lose"
            ),
        ),
    ],
)
def test_missing_live_evidence_is_named(verdict: Verdict, missing: str) -> None:
    assert verdict.missing == (missing,)


def test_rate_that_is_told_is_never_below_the_true_one() -> None:
    assert Count(30_001, 1_500).words == "1500 dust cancels in 30001 partial fills, 5%"
    assert Count(30_001, 1_500).below


@pytest.mark.parametrize(
    ("journal", "scraped", "same"),
    [
        (Count(1_000, 10), Count(1_000, 10), True),
        (Count(1_000, 10), Count(990, 9), True),
        (Count(1_000, 10), Count(985, 10), False),
        (Count(1_000, 10), Count(1_000, 25), False),
        (Count(1_000, 49), Count(1_000, 50), False),
        (Count(0, 0), Count(0, 0), True),
    ],
)
def test_two_counts_agree_within_what_restarts_lose(journal: Count, scraped: Count, same: bool) -> None:
    assert agree(journal, scraped) is same


# Which mode may be entered


OPEN = live(100, 4)
SHUT = live(100, 5)


@pytest.mark.parametrize("mode", Mode)
def test_no_mode_is_entered_without_its_gate(mode: Mode) -> None:
    assert refusal(mode, []).startswith(f"mode {mode} needs the gate to_")
    assert "it was not evaluated" in refusal(mode, [])


def test_passed_gate_opens_its_own_mode_and_no_other() -> None:
    assert refusal(Mode.GENERAL_LIVE, [OPEN]) == ""
    assert "to_limited_live" in refusal(Mode.LIMITED_LIVE, [OPEN])


def test_refused_gate_says_what_is_missing_and_what_to_do() -> None:
    shut = SHUT._replace(missing=("this", "that"))
    todo = "Run `polytraders-pfh gates`, use a mode further down, or override it with a name and a reason"
    start = "mode general_live needs the gate to_general_live, and it is not passed: "

    assert refusal(Mode.GENERAL_LIVE, [shut]) == f"{start}this; that. {todo}"
    assert refusal(Mode.GENERAL_LIVE, []) == f"{start}it was not evaluated. {todo}"


@pytest.mark.parametrize(
    ("override", "refused"),
    [(Override("ana", "drill"), False), (Override(" ", "drill"), True), (Override("ana", ""), True)],
)
def test_override_counts_with_a_name_and_a_reason_alone(override: Override, refused: bool) -> None:
    assert bool(refusal(Mode.GENERAL_LIVE, [SHUT], override)) is refused


# Runs


def test_run_is_broken_by_a_long_silence_alone() -> None:
    begun = Stretch(1, 1, END_MS, END_MS, 1)

    assert begun.follows(2, END_MS + SHADOW_SILENCE_MS, SHADOW_SILENCE_MS) == Stretch(
        1, 2, END_MS, END_MS + SHADOW_SILENCE_MS, 2
    )
    assert begun.follows(2, END_MS + SHADOW_SILENCE_MS + 1, SHADOW_SILENCE_MS) is None


def test_clock_that_was_set_back_does_not_shorten_a_run() -> None:
    run = Stretch(1, 9, END_MS - DAY_MS, END_MS, 9).follows(10, END_MS - HOUR_MS, HOUR_MS)

    assert run is not None
    assert (run.last_ms, run.last_record) == (END_MS, 10)


def test_gates_are_three() -> None:
    assert [gate.value for gate in Gate] == ["to_shadow", "to_limited_live", "to_general_live"]
