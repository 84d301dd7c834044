"""The evidence of the promotion gates: from a test run's report, from the journal, from a Prometheus."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET

from polytraders_pfh.core.basis import decode
from polytraders_pfh.core.gates import (
    LIVE_RUN_MS,
    LIVE_SILENCE_MS,
    SHADOW_SILENCE_MS,
    Count,
    LiveRun,
    PricedChase,
    ShadowRun,
    Stretch,
    SuiteRun,
    Verdict,
    to_general_live,
    to_limited_live,
    to_shadow,
)
from polytraders_pfh.core.modes import Mode
from polytraders_pfh.core.reasons import Reason
from polytraders_pfh.engine.journal import Kind
from polytraders_pfh.errors import PfhError
from polytraders_pfh.ops.sources import records
from polytraders_pfh.ops.words import told_by

_DUST: Final = Reason.PARTIAL_FILL_DUST_AUTO_CANCEL.value
_REJECTED: Final = Reason.EVENT_REJECTED.value
_CHASED: Final = Reason.CHASE_ORDER_SUBMITTED.value
_SCRAPED_WITHIN_MS: Final = 120_000
"""By then the last report has been scraped."""

Scrape = Callable[[int, int], Count]
"""Counts between two moments (Unix ms) as somebody else saw them."""


class EvidenceError(PfhError):
    """Evidence that was given cannot be read. The message says what to do."""


class _Reported(NamedTuple):
    """One final report about a partial fill."""

    record: int
    at_ms: int
    mode: str
    verdict: str
    decided: str | None


@dataclass(slots=True)
class _Run:
    """The latest unbroken run in one mode, and the reports of it that `keeps` and that are not too old."""

    mode: Mode
    silence_ms: int
    keep_ms: int
    keeps: Callable[[_Reported], bool]
    stretch: Stretch | None = None
    kept: deque[_Reported] = field(default_factory=deque)
    broken: bool = False

    def take(self, one: _Reported) -> None:
        """Take the journal's next report, whatever its mode."""
        if one.mode != self.mode:
            self.broken = True
            return
        longer = None
        if self.stretch is not None and not self.broken:
            longer = self.stretch.follows(one.record, one.at_ms, self.silence_ms)
        if longer is None:
            longer = Stretch(one.record, one.record, one.at_ms, one.at_ms, 1)
            self.kept.clear()
        self.stretch, self.broken = longer, False
        if self.keeps(one):
            self.kept.append(one)
        while self.kept and self.kept[0].at_ms < longer.last_ms - self.keep_ms:
            self.kept.popleft()


def evaluate(
    journal: Path | None, junit: Sequence[Path], now_ms: int, scrape: Scrape | None = None
) -> tuple[Verdict, Verdict, Verdict]:
    """Return what the three gates say, from whatever evidence is given.

    Args:
        journal: As for `explain`; None leaves the gates that need one without evidence.
        junit: Reports of one test run, which may be in several files.
        now_ms: The time, by which the age of a run is measured.
        scrape: What a Prometheus counted between two moments.

    Raises:
        JournalFailed: The journal is not there, altered, or cannot be read.
        EvidenceError: A report of the tests cannot be read, or Prometheus did not answer.
    """
    shadow = _Run(Mode.SHADOW_ONLY, SHADOW_SILENCE_MS, now_ms, lambda one: one.verdict == _CHASED)
    live = _Run(Mode.LIMITED_LIVE, LIVE_SILENCE_MS, LIVE_RUN_MS, lambda one: True)
    for one in _reported(journal) if journal is not None else ():
        shadow.take(one)
        live.take(one)
    return (
        to_shadow(suite_run(junit) if junit else None),
        to_limited_live(_shadow_run(shadow), now_ms),
        to_general_live(_live_run(live, now_ms, scrape), now_ms),
    )


def suite_run(files: Sequence[Path]) -> SuiteRun:
    """Return the outcome of a test run from its JUnit reports.

    Raises:
        EvidenceError: One of them cannot be read, or holds no test.
    """
    passed: list[str] = []
    failed: list[str] = []
    skipped: list[str] = []
    for path in files:
        try:
            cases = list(ET.parse(path).iter("testcase"))  # noqa: S314  # the operator's own file
        except (ET.ParseError, OSError) as e:
            raise EvidenceError(f"{path} is no JUnit report ({e}); write one with --junitxml") from e
        if not cases:
            raise EvidenceError(f"{path} holds no test; write one with --junitxml")
        for case in cases:
            found = {child.tag for child in case}
            where = failed if found & {"failure", "error"} else skipped if "skipped" in found else passed
            where.append(case.get("name", "?"))
    return SuiteRun(tuple(passed), tuple(failed), tuple(skipped))


def _reported(journal: Path) -> Iterator[_Reported]:
    """Yield the final reports about partial fills. What was refused as no event is none."""
    for seq, record, _ in records(journal, {Kind.REPORTED}):
        verdict, decided = record.facts.get("verdict"), record.facts.get("decided")
        if record.facts.get("final") is True and verdict != _REJECTED:
            text = decided if isinstance(decided, str) else None
            yield _Reported(seq, record.at_ms, str(told_by(record).get("mode")), str(verdict), text)


def _shadow_run(run: _Run) -> ShadowRun:
    priced = [(one.record, _priced(one)) for one in run.kept]
    return ShadowRun(
        run.stretch,
        tuple([chase for _, chase in priced if chase is not None]),
        tuple([record for record, chase in priced if chase is None]),
    )


def _priced(one: _Reported) -> PricedChase | None:
    """Return a chase with what its price is measured by, or None when that is not on record."""
    try:
        basis, decision = decode(one.decided or "")
    except ValueError:
        return None
    if basis.book is None or decision.price_micro is None:
        return None
    rest = basis.remainder
    return PricedChase(
        record=one.record,
        side=rest.side,
        price_micro=decision.price_micro,
        root_price_micro=rest.root_price_micro,
        chase_max_ticks=basis.limits.chase_max_ticks,
        tick_micro=basis.book.tick_micro,
    )


def _live_run(run: _Run, now_ms: int, scrape: Scrape | None) -> LiveRun:
    count = Count(len(run.kept), sum(1 for one in run.kept if one.verdict == _DUST))
    if run.stretch is None or scrape is None:
        return LiveRun(run.stretch, count)
    until_ms = min(run.stretch.last_ms + _SCRAPED_WITHIN_MS, now_ms)
    return LiveRun(run.stretch, count, scrape(run.kept[0].at_ms, until_ms))
