"""Each kind of record in plain words."""

import pytest

from polytraders_pfh.engine.journal import Kind, Record
from polytraders_pfh.engine.journal.records import Facts
from polytraders_pfh.ops.words import meaning, short, words_of

OLD = "0x" + "c3" * 32


def record(kind: Kind, facts: Facts, payload: bytes = b"") -> Record:
    return Record(kind, 1, "trc_1", OLD, OLD, facts, payload)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (
            record(Kind.DECIDED, {"action": "CANCEL", "row": 6, "confirmed": False}),
            "the kept book says CANCEL by rule 6; a fresh book is asked before anything is done",
        ),
        (
            record(Kind.DECIDED, {"action": "CANCEL", "row": 6, "confirmed": True}),
            "decided: CANCEL by rule 6; it is begun",
        ),
        (
            record(Kind.CANCEL_STARTED, {"why": "KILL_SWITCH_ACTIVE"}),
            "its cancel is sent (KILL_SWITCH_ACTIVE)",
        ),
        (record(Kind.CANCEL_STARTED, {"attempt": 2}), "its cancel is sent, attempt 3"),
        (
            record(Kind.CANCEL_ANSWERED, {"verdict": "alive"}),
            "the exchange refused the cancel, and the order is as it was",
        ),
        (
            record(Kind.SIZE_READ, {"filled_micro": 1, "size_micro": 2_000_000, "traded_micro": None}),
            "it is dead: 0.000001 of 2 shares filled",
        ),
        (
            record(Kind.POST_RECORDED, {"price_micro": 630_000, "size_micro": 5_000_000}),
            "it is a later order of the intent: 5 shares at 0.63",
        ),
        (
            record(Kind.POST_ANSWERED, {"verdict": "refused", "words": "not enough balance (HTTP 400)"}),
            "the exchange refused it (not enough balance (HTTP 400))",
        ),
        (record(Kind.POST_ANSWERED, {"verdict": "a new word", "words": ""}), "a new word"),
        (record(Kind.HELD_BACK, {"why": "KILL_SWITCH_ACTIVE"}), "it is not sent: KILL_SWITCH_ACTIVE"),
        (
            record(Kind.KILL_SWITCH, {"active": True, "reason": ""}),
            "the kill switch went on: no reason given",
        ),
        (record(Kind.KILL_SWITCH, {"active": False}), "the kill switch was reset by hand"),
        (
            record(Kind.COMMAND, {"command": "cancel-remainder", "actor": "ana", "reason": "too slow"}),
            "ana commanded cancel-remainder: too slow",
        ),
        (
            record(Kind.COMMAND, {"command": "kill"}),
            "somebody who gave no name commanded kill: no reason given",
        ),
        (record(Kind.EVENT_ACCEPTED, {"event_ts_ms": 1}), "its event is on record as answered"),
        (
            record(
                Kind.REPORTED,
                {"verdict": "CANCELLED_REMAINDER", "final": True, "by": "command"},
                b'{"executed":false,"mode":"shadow_only","warnings":["EVENT_STALE"],"detail":"so it was"}',
            ),
            (
                "by hand: reported CANCELLED_REMAINDER: Remainder cancelled per policy. "
                "Nothing is sent in mode shadow_only. Warning EVENT_STALE: The event is outside the replay "
                "window; the order was read from the exchange. (so it was)"
            ),
        ),
        (
            record(Kind.REPORTED, {"verdict": "PARTIAL_FILL_SHED", "final": False}, b"{}"),
            (
                "reported for the time being PARTIAL_FILL_SHED: "
                "Too many partial fills at once; the order rests and is looked at again."
            ),
        ),
    ],
)
def test_record_is_told_in_one_sentence(one: Record, words: str) -> None:
    assert words_of(one) == words


def test_verdict_of_another_version_is_said_to_be_unknown() -> None:
    assert meaning("FLIPPED") == "This version does not know that word."


def test_ids_are_told_as_a_person_recognises_them() -> None:
    assert (short(OLD), short("trc_12")) == ("0xc3c3c3…c3c3", "trc_12")
