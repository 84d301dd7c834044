"""What happened in a schedule, in words, and the one command that makes it happen again."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Final, NamedTuple

COMMAND: Final = "python tests/simulation --seed {seed}"


class Broken(NamedTuple):
    """An invariant that did not hold."""

    invariant: str
    words: str


class Story:
    """Sentences with their times. Orders go by names: A is a root, A1 its first chase."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._told: list[tuple[float, str, tuple[object, ...]]] = []

    def tell(self, words: str, *facts: object) -> None:
        """Add a sentence; `{}` in it stands for the facts."""
        self._told.append((self._now_s(), words, facts))

    def lines(self) -> list[str]:
        """Return the sentences."""
        return [f"{at_s:9.3f} s  {words.format(*facts)}" for at_s, words, facts in self._told]

    def digest(self) -> str:
        """Return a hash of everything that happened: the same seed yields the same, anywhere."""
        digest = sha256()
        for told in self._told:
            digest.update(repr(told).encode())
        return digest.hexdigest()


def report(seed: int, broken: list[Broken], lines: list[str]) -> str:
    """Return what a person needs to see of a schedule that failed."""
    return told_of(f"seed {seed}", broken, lines, COMMAND.format(seed=seed))


def told_of(what: str, broken: list[Broken], lines: list[str], command: str) -> str:
    """Return what a person needs to see of a failure, and the command that makes it happen again."""
    faults = "\n".join(f"  {invariant}: {words}" for invariant, words in broken)
    history = "\n".join(lines)
    return f"{what} broke\n{faults}\n\n{history}\n\nTo see it again: {command}"
