"""Promotion gates: evidence in, passed or refused with reasons out; the card's three, figure and threshold.

Only evidence promotes, and too little of it refuses. What the card leaves open is settled here, to the
careful side: how long a run may be silent, how many chases and fills make a run, how old it may be. Going
down needs no gate: the `mode` command while the host runs, or the mode in the config.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from polytraders_pfh.core.market import Side
from polytraders_pfh.core.modes import Mode
from polytraders_pfh.core.money import MICRO, plain

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
SHADOW_RUN_MS: Final = 48 * HOUR_MS
LIVE_RUN_MS: Final = 7 * DAY_MS
SHADOW_SILENCE_MS: Final = 6 * HOUR_MS
"""A longer time without any report ends a shadow run: the bot may have been down."""
LIVE_SILENCE_MS: Final = 24 * HOUR_MS
LEAST_TESTS: Final = 1_000
"""Fewer are a part of the tests, whatever their report says."""
LEAST_CHASES: Final = 30
LEAST_FILLS: Final = 100
DUST_PERCENT: Final = 5
LONGEST_AGE_MS: Final = 7 * DAY_MS
"""A run that ended longer ago says little of the market and the config of today."""
_NAMED: Final = 5


class Gate(StrEnum):
    """The three gates, by where they lead."""

    TO_SHADOW = "to_shadow"
    TO_LIMITED_LIVE = "to_limited_live"
    TO_GENERAL_LIVE = "to_general_live"


class Verdict(NamedTuple):
    """What a gate says: passed when nothing is missing. All texts are for a person."""

    gate: Gate
    figure: str
    threshold: str
    evidence: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the gate is open."""
        return not self.missing


class SuiteRun(NamedTuple):
    """The outcome of a test run, by the tests' names."""

    passed: tuple[str, ...]
    failed: tuple[str, ...]
    skipped: tuple[str, ...]


class Stretch(NamedTuple):
    """An unbroken run of reports in one mode: its records' numbers, its moments in Unix ms, its reports."""

    first_record: int
    last_record: int
    first_ms: int
    last_ms: int
    reports: int

    @property
    def span_ms(self) -> int:
        """How long it lasted."""
        return self.last_ms - self.first_ms

    def follows(self, record: int, at_ms: int, silence_ms: int) -> "Stretch | None":
        """Return the stretch with one more report, or None when it came after too long a silence."""
        if at_ms - self.last_ms > silence_ms:
            return None
        return self._replace(last_record=record, last_ms=max(at_ms, self.last_ms), reports=self.reports + 1)


class PricedChase(NamedTuple):
    """A chase that was decided: its record's number, and what its price is measured by."""

    record: int
    side: Side
    price_micro: int
    root_price_micro: int
    chase_max_ticks: int
    tick_micro: int

    @property
    def bound_micro(self) -> int:
        """The card's bound: original_price ± chase_max_ticks x tick_size."""
        reach = self.chase_max_ticks * self.tick_micro
        return self.root_price_micro + (reach if self.side is Side.BUY else -reach)

    @property
    def violates(self) -> bool:
        """Whether the price is beyond the bound."""
        if self.side is Side.BUY:
            return self.price_micro > self.bound_micro
        return self.price_micro < self.bound_micro


class ShadowRun(NamedTuple):
    """The latest shadow run. `lacking` are the records of chases that keep no inputs to measure by."""

    stretch: Stretch | None
    chases: tuple[PricedChase, ...]
    lacking: tuple[int, ...]


class Count(NamedTuple):
    """Decisions about partial fills, and how many of them were dust cancels."""

    fills: int
    dust: int

    @property
    def below(self) -> bool:
        """Whether the dust rate is below the threshold, without rounding."""
        return self.dust * 100 < DUST_PERCENT * self.fills

    @property
    def words(self) -> str:
        """The rate in words, rounded up to hundredths of a percent."""
        if not self.fills:
            return "no partial fill"
        hundredths = -(-self.dust * 10_000 // self.fills)
        return f"{self.dust} dust cancels in {self.fills} partial fills, {plain(hundredths * 10_000)}%"


class LiveRun(NamedTuple):
    """The latest run in limited_live; what is counted of it, and between which moments (Unix ms).

    `scraped` is the same count as a Prometheus saw it, None when none was asked.
    """

    stretch: Stretch | None
    journal: Count
    scraped: Count | None = None


class Override(NamedTuple):
    """A person's word in place of a gate's. It counts with a name and a reason alone, and goes on record."""

    who: str
    why: str


NEEDED: Final = {
    Mode.SHADOW_ONLY: Gate.TO_SHADOW,
    Mode.QUARANTINE: Gate.TO_SHADOW,
    Mode.LIMITED_LIVE: Gate.TO_LIMITED_LIVE,
    Mode.GENERAL_LIVE: Gate.TO_GENERAL_LIVE,
}
"""Which gate leads to each mode. Quarantine sends nothing but cancels."""


def refusal(mode: Mode, verdicts: Iterable[Verdict], override: Override | None = None) -> str:
    """Return why a host must not act in this mode on the real exchange, or empty."""
    gate = NEEDED[mode]
    if override is not None and override.who.strip() and override.why.strip():
        return ""
    told = [verdict for verdict in verdicts if verdict.gate is gate]
    if any(verdict.passed for verdict in told):
        return ""
    why = "; ".join(told[0].missing) if told else "it was not evaluated"
    return (
        f"mode {mode} needs the gate {gate}, and it is not passed: {why}. "
        "Run `polytraders-pfh gates`, use a mode further down, or override it with a name and a reason"
    )


def to_shadow(run: SuiteRun | None) -> Verdict:
    """Every test passes, those of dust and of a thin book among them."""
    threshold = f"100% of at least {LEAST_TESTS} tests pass, dust and book-thin scenarios among them"
    if run is None:
        lacking = ("a JUnit report of the tests (pytest --junitxml=FILE, then --junit FILE)",)
        return Verdict(Gate.TO_SHADOW, "no test run", threshold, (), lacking)
    ran = len(run.passed) + len(run.failed)
    dust = sum(1 for name in run.passed if "dust" in name)
    thin = sum(1 for name in run.passed if "thin" in name)
    missing = [f"{len(run.failed)} tests must be mended: {_first(run.failed)}"] if run.failed else []
    missing += [f"{LEAST_TESTS - ran} more tests: give the report of the whole run"] * (ran < LEAST_TESTS)
    missing += ["no dust scenario passed"] if not dust else []
    missing += ["no book-thin scenario passed"] if not thin else []
    if 20 * len(run.skipped) > ran:
        missing.append(f"{len(run.skipped)} tests were skipped, more than 1 in 20: {_first(run.skipped)}")
    evidence = [f"{dust} tests of dust and {thin} of thin books passed"]
    evidence += [f"{len(run.skipped)} tests were skipped: {_first(run.skipped)}"] if run.skipped else []
    figure = f"{len(run.passed)} of {ran} tests passed"
    return Verdict(Gate.TO_SHADOW, figure, threshold, tuple(evidence), tuple(missing))


def to_limited_live(run: ShadowRun, now_ms: int) -> Verdict:
    """No chase of a 48 h shadow run is priced beyond original_price ± chase_max_ticks x tick_size."""
    beyond = [chase for chase in run.chases if chase.violates]
    threshold = f"0 violations in at least {LEAST_CHASES} chase orders over at least {_hours(SHADOW_RUN_MS)}"
    missing = _too_short(run.stretch, "shadow_only", SHADOW_RUN_MS, SHADOW_SILENCE_MS, now_ms)
    if beyond:
        first = beyond[0]
        missing.append(
            f"record {first.record} prices a {first.side} chase at {plain(first.price_micro)}, "
            f"beyond {plain(first.bound_micro)}; {len(beyond)} are "
            f"(records {_numbers(chase.record for chase in beyond)})"
        )
    if len(run.chases) < LEAST_CHASES:
        missing.append(f"{LEAST_CHASES - len(run.chases)} more chase orders")
    if run.lacking:
        missing.append(f"the inputs of {len(run.lacking)} chases (records {_numbers(run.lacking)})")
    evidence = _stretch_words(run.stretch)
    if run.chases:
        evidence.append(f"chase orders in records {_numbers(chase.record for chase in run.chases)}")
        ticks = sorted({chase.chase_max_ticks for chase in run.chases})
        evidence.append(f"chase_max_ticks in force: {', '.join(map(str, ticks))}")
    figure = f"{len(beyond)} violations in {len(run.chases)} chase orders"
    return Verdict(Gate.TO_LIMITED_LIVE, figure, threshold, tuple(evidence), tuple(missing))


def to_general_live(run: LiveRun, now_ms: int) -> Verdict:
    """Fewer than 5% of the partial fills of 7 days in limited_live were dust; both counts agree."""
    count, scraped = run.journal, run.scraped
    threshold = (
        f"below {DUST_PERCENT}% of at least {LEAST_FILLS} partial fills over {_hours(LIVE_RUN_MS)} "
        "in limited_live"
    )
    missing = _too_short(run.stretch, "limited_live", LIVE_RUN_MS, LIVE_SILENCE_MS, now_ms)
    if count.fills < LEAST_FILLS:
        missing.append(f"{LEAST_FILLS - count.fills} more partial fills")
    if count.fills and not count.below:
        missing.append(f"fewer dust cancels: {count.words} is not below {DUST_PERCENT}%")
    evidence = [*_stretch_words(run.stretch), f"journal: {count.words}"]
    if scraped is not None:
        evidence.append(f"Prometheus: {scraped.words}")
        if not agree(count, scraped):
            missing.append(
                f"agreement: the journal has {count.words}, Prometheus {scraped.words}; "
                "a difference of more than 1% of the fills is not explained by what restarts lose"
            )
    return Verdict(Gate.TO_GENERAL_LIVE, count.words, threshold, tuple(evidence), tuple(missing))


def agree(count: Count, scraped: Count) -> bool:
    """Return whether two counts of one run tell the same.

    A restart loses what was counted since the last scrape, so 1% of the fills may be missing on one side;
    never is one side below the threshold and the other not.
    """
    most = max(max(count.fills, scraped.fills) // 100, 1)
    near = abs(count.fills - scraped.fills) <= most and abs(count.dust - scraped.dust) <= most
    return near and count.below == scraped.below


def _too_short(stretch: Stretch | None, mode: str, span_ms: int, silence_ms: int, now_ms: int) -> list[str]:
    if stretch is None:
        return [f"a run in {mode}: no report of one is in the journal"]
    missing = []
    if stretch.span_ms < span_ms:
        missing.append(
            f"{_hours(span_ms - stretch.span_ms)} more in {mode} without a silence "
            f"of more than {_hours(silence_ms)}"
        )
    if now_ms - stretch.last_ms > LONGEST_AGE_MS:
        missing.append(
            f"a newer run: this one ended {_hours(now_ms - stretch.last_ms)} ago, "
            f"{_hours(LONGEST_AGE_MS)} is the most"
        )
    return missing


def _stretch_words(stretch: Stretch | None) -> list[str]:
    if stretch is None:
        return []
    numbers = f"records {stretch.first_record} to {stretch.last_record}"
    return [f"{stretch.reports} reports over {_hours(stretch.span_ms)}, {numbers}"]


def _hours(span_ms: int) -> str:
    """Return a time in hours, rounded down to hundredths."""
    return f"{plain(span_ms * 100 // HOUR_MS * (MICRO // 100))} h"


def _numbers(records: Iterable[int]) -> str:
    found = list(records)
    return ", ".join(map(str, found[:_NAMED])) + (f" … {found[-1]}" if len(found) > _NAMED else "")


def _first(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
