"""Asking the exchange what became of an order: once, or until something is known."""

from opentelemetry.trace import Span

from polytraders_pfh.core.lifecycle import Step
from polytraders_pfh.core.outcomes import OrderRecord, RecordVerdict
from polytraders_pfh.engine.intents import ChainOrder, Intent, take_record
from polytraders_pfh.engine.journal import Kind
from polytraders_pfh.engine.steplog import StepLog
from polytraders_pfh.engine.tools import Tools
from polytraders_pfh.telemetry import names


class Inquiry:
    """Reads orders' records and trades, with the configured retries."""

    def __init__(self, tools: Tools, log: StepLog) -> None:
        self._t = tools
        self._log = log

    async def ask(self, intent: Intent, span: Span | None = None) -> RecordVerdict:
        """Read the working order's record once and move the remainder by what it proves."""
        verdict, record = await self._read(intent, intent.working, span)
        if verdict is RecordVerdict.ALIVE:
            intent.step(Step.FOUND_ALIVE)
        elif verdict is RecordVerdict.CLOSED:
            intent.step(Step.FOUND_CLOSED)
        if verdict is not RecordVerdict.UNKNOWN and verdict is not RecordVerdict.ABSENT:
            take_record(intent, intent.working, record)
        self._log.note(Kind.FOUND, intent, intent.working.order_id, verdict=verdict.value)
        return verdict

    async def look_up(self, intent: Intent, span: Span | None) -> RecordVerdict:
        """Ask for the hash of a post in doubt until something is known, within the configured retries."""
        verdict = RecordVerdict.UNKNOWN
        for attempt in range(self._t.settings.read_retries + 1):
            await self._pause(attempt)
            verdict = await self.ask(intent, span)
            if verdict is RecordVerdict.ALIVE or verdict is RecordVerdict.CLOSED:
                return verdict
        return verdict

    async def read_size(self, intent: Intent, order: ChainOrder, span: Span | None) -> bool:
        """Read the dead order's matched size, with the configured retries; False when it stays unknown."""
        for attempt in range(self._t.settings.read_retries + 1):
            await self._pause(attempt)
            verdict, record = await self._read(intent, order, span)
            if verdict is RecordVerdict.CLOSED:
                take_record(intent, order, record)
                order.unread = False
                return True
        return False

    async def read_trades(self, intent: Intent, order: ChainOrder, span: Span | None) -> int | None:
        """Return how much of an order its recent trades add up to, in micro-shares, or None."""
        t = self._t
        after_ms = max(t.clock.now_ms() - t.settings.trades_back_ms, 0)
        with t.traces.step(names.SPAN_READ_TRADES, intent.trace_id, span):
            return await t.exchange.traded(intent.market_id, order.order_id, after_ms)

    async def _read(
        self, intent: Intent, order: ChainOrder, span: Span | None
    ) -> tuple[RecordVerdict, OrderRecord]:
        with self._t.traces.step(names.SPAN_READ_ORDER, intent.trace_id, span) as child:
            verdict, record = await self._t.exchange.record(order.order_id)
            child.set_attribute(names.ATTR_OUTCOME, verdict.value)
        return verdict, record

    async def _pause(self, attempt: int) -> None:
        if attempt:
            await self._t.clock.sleep(self._t.settings.backoff_ms * 2 ** (attempt - 1) / 1000)
