"""What one check found."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """How it stands: `wrong` keeps a host from doing its work, `warning` may, `skipped` could not be seen."""

    RIGHT = "right"
    WARNING = "warning"
    WRONG = "wrong"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a report."""

    check: str
    verdict: Verdict
    found: str
    mend: str = ""

    @property
    def line(self) -> str:
        """The finding for a person: what is right or wrong, and how to mend it."""
        told = f"{self.verdict.value:<8} {self.check}: {self.found}"
        return f"{told}; {self.mend}" if self.mend else told

    def members(self) -> dict[str, Any]:
        """Return it as JSON members."""
        return {"check": self.check, "verdict": self.verdict.value, "found": self.found, "mend": self.mend}


def right(check: str, found: str) -> Finding:
    return Finding(check, Verdict.RIGHT, _one_line(found))


def warning(check: str, found: str, mend: str) -> Finding:
    return Finding(check, Verdict.WARNING, _one_line(found), mend)


def wrong(check: str, found: object, mend: str = "") -> Finding:
    """Return what is wrong; a sentence that says itself what to do needs no `mend`."""
    return Finding(check, Verdict.WRONG, _one_line(str(found)), mend)


def skipped(check: str, why: str) -> Finding:
    return Finding(check, Verdict.SKIPPED, why)


def _one_line(text: str) -> str:
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())
