"""The life of a remainder, as one table.

A remainder is the live order of an intent and what may come after it. Three rules made this table.

Rule 1: a request that was sent is a state of its own. Between "cancel sent" and "cancel proven" the
order may fill, die or live on, so nothing may be posted from there. There is no edge from
CANCEL_SENT or CANCEL_UNKNOWN to anything that posts; the only way on is proof.

Rule 2: doubt is a state, not an error. A timeout, a 5xx, a garbled or contradictory answer leads to
CANCEL_UNKNOWN or POST_UNKNOWN, and out of there only by asking: FOUND_ALIVE, FOUND_CLOSED, FOUND_ABSENT.
A post in doubt keeps its part of the intent reserved until one of these came.

Rule 3: write before acting. POST_RECORDED stands between RECONCILED and POST_SENT: the hash of the
order that is about to be sent is on record before the first byte leaves.

The kill switch is not a state. It is read at the edge into POST_SENT; when it is on, HELD_BACK leads to
CLOSED instead. CLOSED is final for this remainder; a late fill or a settlement reversal changes the
chain's sums, never the state.
"""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a remainder stands."""

    RESTING = "RESTING"
    CANCEL_SENT = "CANCEL_SENT"
    CANCEL_UNKNOWN = "CANCEL_UNKNOWN"
    PROVEN_DEAD = "PROVEN_DEAD"
    RECONCILED = "RECONCILED"
    POST_RECORDED = "POST_RECORDED"
    POST_SENT = "POST_SENT"
    POST_UNKNOWN = "POST_UNKNOWN"
    CLOSED = "CLOSED"


class Step(StrEnum):
    """What happened to it."""

    CANCEL_STARTED = "CANCEL_STARTED"
    CANCEL_PROVEN = "CANCEL_PROVEN"
    CANCEL_DOUBTFUL = "CANCEL_DOUBTFUL"
    CANCEL_REFUSED = "CANCEL_REFUSED"
    FOUND_ALIVE = "FOUND_ALIVE"
    FOUND_CLOSED = "FOUND_CLOSED"
    FOUND_ABSENT = "FOUND_ABSENT"
    SIZE_READ = "SIZE_READ"
    NOTHING_LEFT = "NOTHING_LEFT"
    HELD_BACK = "HELD_BACK"
    POST_RECORDED = "POST_RECORDED"
    POST_STARTED = "POST_STARTED"
    POST_ACCEPTED = "POST_ACCEPTED"
    POST_REFUSED = "POST_REFUSED"
    POST_DOUBTFUL = "POST_DOUBTFUL"
    ORDER_CLOSED = "ORDER_CLOSED"


TRANSITIONS: Final[dict[State, dict[Step, State]]] = {
    State.RESTING: {
        Step.CANCEL_STARTED: State.CANCEL_SENT,
        Step.FOUND_CLOSED: State.CLOSED,
        Step.ORDER_CLOSED: State.CLOSED,
    },
    State.CANCEL_SENT: {
        Step.CANCEL_PROVEN: State.PROVEN_DEAD,
        Step.CANCEL_DOUBTFUL: State.CANCEL_UNKNOWN,
        Step.CANCEL_REFUSED: State.RESTING,
    },
    State.CANCEL_UNKNOWN: {
        Step.CANCEL_STARTED: State.CANCEL_SENT,
        Step.CANCEL_PROVEN: State.PROVEN_DEAD,
        Step.FOUND_ALIVE: State.RESTING,
        Step.FOUND_CLOSED: State.PROVEN_DEAD,
    },
    State.PROVEN_DEAD: {
        Step.SIZE_READ: State.RECONCILED,
        Step.NOTHING_LEFT: State.CLOSED,
        Step.HELD_BACK: State.CLOSED,
    },
    State.RECONCILED: {
        Step.POST_RECORDED: State.POST_RECORDED,
        Step.NOTHING_LEFT: State.CLOSED,
        Step.HELD_BACK: State.CLOSED,
    },
    State.POST_RECORDED: {
        Step.POST_STARTED: State.POST_SENT,
        Step.HELD_BACK: State.CLOSED,
    },
    State.POST_SENT: {
        Step.POST_ACCEPTED: State.RESTING,
        Step.POST_REFUSED: State.CLOSED,
        Step.POST_DOUBTFUL: State.POST_UNKNOWN,
    },
    State.POST_UNKNOWN: {
        Step.POST_STARTED: State.POST_SENT,
        Step.FOUND_ALIVE: State.RESTING,
        Step.FOUND_CLOSED: State.CLOSED,
        Step.FOUND_ABSENT: State.CLOSED,
    },
    State.CLOSED: {},
}
"""`TRANSITIONS[state][step]` is the next state; what is not here is illegal and changes nothing."""

MAY_FILL: Final = frozenset(
    {State.RESTING, State.CANCEL_SENT, State.CANCEL_UNKNOWN, State.POST_SENT, State.POST_UNKNOWN}
)
"""States in which the exchange may hold a live order of this remainder."""


class IllegalStep(Exception):
    """A step that the table does not have. It is a bug; nothing was changed."""


def advance(state: State, step: Step) -> State:
    """Return the state after `step`.

    Raises:
        IllegalStep: The table has no such edge. Names the state, the step and what was possible.
    """
    possible = TRANSITIONS[state]
    if step not in possible:
        raise IllegalStep(
            f"step {step.value} came in state {state.value}; possible are "
            f"{', '.join(possible) or 'none, since the state is final'}"
        )
    return possible[step]


def diagram() -> str:
    """Return the table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", "    [*] --> RESTING"]
    for state, edges in TRANSITIONS.items():
        merged: dict[State, list[str]] = {}
        for step, target in edges.items():
            merged.setdefault(target, []).append(step.value.lower())
        lines += [f"    {state.value} --> {target.value}: {', '.join(m)}" for target, m in merged.items()]
        if not edges:
            lines.append(f"    {state.value} --> [*]")
    return "\n".join(lines)
