"""A trial signature, after one that failed: nothing is cancelled for a chase that nobody would sign (row 10).

A signer that works costs nothing here. One that failed is asked first, for a minute after each failure.
"""

from typing import Final

from opentelemetry.trace import Span
from polytraders_hookspecs.orders import SignedOrder

from polytraders_pfh.core.policy import Decision
from polytraders_pfh.engine.intents import Intent
from polytraders_pfh.engine.orders import unsigned_chase
from polytraders_pfh.engine.tools import Tools
from polytraders_pfh.telemetry import names

_DOUBT_NS: Final = 60_000_000_000


class SignerTrial:
    """Asks the signer for what a chase will most likely need, while it is in doubt."""

    def __init__(self, tools: Tools) -> None:
        self._t = tools
        self._until_ns = 0
        tools.exchange.on_unsigned = self._doubt

    async def fault(self, intent: Intent, decision: Decision, span: Span) -> str:
        """Return why the signer would not sign this chase, or an empty text when that is not known."""
        if self._t.clock.monotonic_ns() >= self._until_ns:
            return ""
        neg_risk = self._t.books.neg_risk(intent.token_id) if intent.neg_risk is None else intent.neg_risk
        price, size = decision.price_micro, decision.size_micro
        if neg_risk is None or price is None or size is None:
            return ""
        with self._t.traces.step(names.SPAN_SIGN, intent.trace_id, span):
            answer = await self._t.exchange.sign(unsigned_chase(intent, price, size, neg_risk))
        return "" if isinstance(answer, SignedOrder) else answer

    def _doubt(self) -> None:
        self._until_ns = self._t.clock.monotonic_ns() + _DOUBT_NS
