"""Where trouble can be put in: before a request takes effect, and between its effect and its answer.

    request ──► before_commit ──► the exchange acts ──► before_answer ──► client
                  not landed                               landed

A plan may wait (the methods are coroutines), replace the answer, or cut the connection.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Call:
    """One REST request as it arrived: `number` counts from 1 in order of arrival; `path` has no query."""

    number: int
    method: str
    path: str
    body: bytes
    api_key: str | None
    at_ms: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What would go back: HTTP status, raw body (JSON unless a fault garbled it) and extra headers."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cut:
    """No answer at all: the connection is closed under the client."""


class FaultPlan(Protocol):
    """Asked twice per REST request; one request's questions are answered in order."""

    async def before_commit(self, call: Call) -> Answer | Cut | None:
        """Return None to let the request through; anything else is sent instead and nothing has happened."""
        ...

    async def before_answer(self, call: Call, answer: Answer) -> Answer | Cut:
        """Return what to send; the request has taken effect whatever comes back here."""
        ...


class NoFaults:
    """Everything works."""

    async def before_commit(self, call: Call) -> Answer | Cut | None:
        """Let the request through."""
        return None

    async def before_answer(self, call: Call, answer: Answer) -> Answer | Cut:
        """Send the true answer."""
        return answer
