"""The steps of sequences, on record: what must be durable before anything goes on, and what need not be.

Records reach the disk in the order in which they were noted, and after the first that fails none does.
So a sequence waits in two places alone: before a cancel goes out and before a post does. Whatever was
noted before those is durable then too, and what an answer said can be asked for again after a crash.
"""

from opentelemetry.trace import Span

from polytraders_pfh.core.basis import Basis, encode
from polytraders_pfh.core.policy import Decision
from polytraders_pfh.engine.intents import Intent
from polytraders_pfh.engine.journal import Commit, Kind, Record
from polytraders_pfh.engine.tools import Tools
from polytraders_pfh.engine.within import within
from polytraders_pfh.telemetry import names


class StepLog:
    """Writes down what sequences do."""

    def __init__(self, tools: Tools) -> None:
        self._t = tools

    def note(self, kind: Kind, intent: Intent, order_id: str, **facts: str | int | bool | None) -> Commit:
        """Record one step behind all that were noted before, and return at once."""
        t = self._t
        record = Record(kind, t.clock.now_ms(), intent.trace_id, intent.root_order_id, order_id, facts)
        return t.journal.append(record)

    def mean(self, intent: Intent, basis: Basis, decision: Decision) -> None:
        """Record what was decided on the live book; it is written while the book is confirmed.

        It names the order that will be cancelled, so the cancel need not wait for a record of its own.
        """
        intent.meant = self.note(
            Kind.DECIDED,
            intent,
            intent.working.order_id,
            action=decision.action.value,
            row=decision.row,
            confirmed=False,
            decided=encode(basis, decision),
        )
        intent.meant.urge()

    async def durable(self, commit: Commit, intent: Intent, span: Span | None) -> None:
        """Return when it is on disk. Waiting for that is a step of its own under `span`.

        Raises:
            JournalFailed: It is not, or nobody knows.
            TimeoutError: The disk took too long to say.
        """
        if commit.settled:
            await commit
            return
        with self._t.traces.step(names.SPAN_COMMIT, intent.trace_id, span):
            await within(self._t.settings.call_timeout_ms / 1000, commit)
