"""Every recorded decision made again from its recorded inputs, and held byte for byte to what it was."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from polytraders_pfh.core.basis import decide_on, decode, encode
from polytraders_pfh.core.policy import Decision
from polytraders_pfh.engine.journal import Kind, Record, Stored
from polytraders_pfh.ops.sources import records
from polytraders_pfh.ops.words import told_by

DECIDING: Final = (Kind.DECIDED, Kind.EVENT_ACCEPTED, Kind.REPORTED)
_NAMED: Final = 5

Event = tuple[str, int]
"""(order_id, event_ts_ms)."""


@dataclass(slots=True)
class Replay:
    """What came of it. `first` tells the first difference; `lacking` are records without their inputs."""

    decisions: int = 0
    reproduced: int = 0
    first: str = ""
    lacking: list[int] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every decision on record was made again and came out the same."""
        return self.reproduced == self.decisions and not self.lacking

    @property
    def sentences(self) -> Iterator[str]:
        """All there is to say, counts first."""
        yield (
            f"{self.decisions} decisions were made again from their recorded inputs; "
            f"{self.reproduced} came out byte for byte as recorded"
        )
        if self.first:
            yield f"{self.decisions - self.reproduced} differ; the first is {self.first}"
        if self.lacking:
            named = ", ".join(map(str, self.lacking[:_NAMED])) + (" …" if len(self.lacking) > _NAMED else "")
            yield (
                f"{len(self.lacking)} more cannot be made again, since their inputs are not here (records "
                f"{named}): another version wrote them, or the inputs stand in a segment that was not given"
            )

    def as_json(self) -> dict[str, int | bool | str | list[int]]:
        """The same for a program; `lacking` are the numbers of records."""
        return {
            "ok": self.ok,
            "decisions": self.decisions,
            "reproduced": self.reproduced,
            "first_difference": self.first,
            "lacking": self.lacking,
        }


def replay_decisions(journal: Path) -> Replay:
    """Return what came of making every decision of a journal again. Nothing of the journal is touched.

    Raises:
        JournalFailed: The journal is not there, altered, or cannot be read.
    """
    return replay_records(records(journal, DECIDING))


def replay_records(found: Iterable[Stored]) -> Replay:
    """Return what came of making every decision in these records again; they come in their order."""
    replay, carried = Replay(), set[Event]()
    for seq, record, _ in found:
        text = record.facts.get("decided")
        if isinstance(text, str):
            _again(replay, seq, record, text)
            if record.kind is not Kind.REPORTED and "event_ts_ms" in record.facts:
                carried.add(_event(record))
        elif _decides(record) and _event(record) not in carried:
            replay.lacking.append(seq)
    return replay


def _again(replay: Replay, seq: int, record: Record, text: str) -> None:
    try:
        basis, recorded = decode(text)
    except ValueError:
        replay.lacking.append(seq)
        return
    replay.decisions += 1
    decision = decide_on(basis)
    if encode(basis, decision) == text:
        replay.reproduced += 1
    elif not replay.first:
        replay.first = f"record {seq}, order {record.order_id}: {_difference(recorded, decision)}"


def _decides(record: Record) -> bool:
    """Whether a record tells of a decision of the rules. What a person or the kill switch ordered is none."""
    if record.kind is Kind.DECIDED:
        return True
    return "by" not in record.facts and told_by(record).get("policy_applied") is not None


def _event(record: Record) -> Event:
    moment = record.facts.get("event_ts_ms")
    return record.order_id, moment if isinstance(moment, int) else 0


def _difference(was: Decision, now: Decision) -> str:
    parts = [
        f"{name} was {before!s}, is now {after!s}"
        for name, before, after in zip(Decision._fields, was, now, strict=True)
        if before != after
    ]
    what = "; ".join(parts) or "the text is not in its exact form"
    return (
        f"it was {was.action} by rule {was.row} ({was.reason}); "
        f"these rules give {now.action} by rule {now.row} ({now.reason}): {what}"
    )
