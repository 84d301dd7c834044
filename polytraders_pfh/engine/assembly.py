"""The engine of one bot, put together from one host's services. Nothing is shared between hosts."""

from dataclasses import dataclass
from typing import Final

from polytraders_hookspecs.events import KillSwitchSignal, OrderClosed, SignedEvent
from polytraders_hookspecs.services import HostServices, SharedLog
from polytraders_hookspecs.signing import check_signature
from polytraders_hookspecs.wire import to_micro

from polytraders_pfh.config import Settings
from polytraders_pfh.core.lifecycle import State, Step
from polytraders_pfh.core.modes import Mode, Reach
from polytraders_pfh.core.money import size_down
from polytraders_pfh.core.policy import Kill
from polytraders_pfh.engine.books import Books
from polytraders_pfh.engine.carrier import Carrier
from polytraders_pfh.engine.coordinator import Coordinator
from polytraders_pfh.engine.decider import Decider
from polytraders_pfh.engine.declared import Declared
from polytraders_pfh.engine.exchange import Exchange
from polytraders_pfh.engine.fencing import Fencing
from polytraders_pfh.engine.fold import Chronicle
from polytraders_pfh.engine.intents import IntentTable
from polytraders_pfh.engine.journal import Journal, MemoryJournal, SharedJournal, SqliteJournal
from polytraders_pfh.engine.kill import KillLatch
from polytraders_pfh.engine.killing import Killer
from polytraders_pfh.engine.mode import ModeSwitch
from polytraders_pfh.engine.outbox import Outbox
from polytraders_pfh.engine.override import record_override
from polytraders_pfh.engine.recovery import Recovery
from polytraders_pfh.engine.reporter import Reporter
from polytraders_pfh.engine.restart import finish, recall
from polytraders_pfh.engine.sequencer import Sequencer
from polytraders_pfh.engine.tools import Tools
from polytraders_pfh.telemetry import names
from polytraders_pfh.telemetry.metrics import Metrics
from polytraders_pfh.telemetry.traces import Traces

_DRAIN_S: Final = 10.0
_ENDS: Final = {
    State.RESTING: (Step.ORDER_CLOSED,),
    State.CANCEL_UNKNOWN: (Step.FOUND_CLOSED, Step.NOTHING_LEFT),
    State.POST_UNKNOWN: (Step.FOUND_CLOSED,),
}
"""The working order's own end settles a doubt about it too."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What the hooks call."""

    settings: Settings
    tools: Tools
    coordinator: Coordinator
    carrier: Carrier
    killer: Killer
    declared: Declared
    recovery: Recovery
    reporter: Reporter
    outbox: Outbox
    host: HostServices

    async def start(self) -> None:
        """Open the log, learn what is open; cancel it when the kill switch is on, or went on meanwhile."""
        await self.tools.journal.open()
        self.tools.kill.remind()
        await record_override(self.tools, self.settings)
        self.outbox.start()
        left_open = await recall(self.tools, self.coordinator)
        await self.recovery.run()
        finish(left_open, self.tools, self.reporter)
        kill = self.tools.kill
        if await kill.state() is Kill.ON:
            now_ms = self.tools.clock.now_ms()
            await self.killer.sweep(KillSwitchSignal(active=True, ts_ms=now_ms, reason=kill.reason))

    async def on_order_closed(self, envelope: SignedEvent) -> None:
        """Let an intent go when its live order reached its end.

        Raises:
            EventForged: The signature is wrong.
            WireError: The body is not an OrderClosed.
        """
        check_signature(envelope, self.host.event_keys)
        closed = OrderClosed.from_json(envelope.body)
        intent = self.tools.intents.get(closed.order_id)
        if intent is None:
            self.tools.intents.note_end(closed.order_id)
            return
        async with intent.lock:
            for order in intent.orders:
                if order.order_id == closed.order_id and closed.filled_usd is not None:
                    filled = size_down(to_micro(closed.filled_usd), order.price_micro)
                    order.filled_micro = max(order.filled_micro, min(filled, order.size_micro))
            if intent.working.order_id == closed.order_id:
                for step in _ENDS.get(intent.state, ()):
                    intent.step(step)
        if intent.state is State.CLOSED:
            self.tools.intents.close(intent, self.tools.clock.now_ms())
            self.coordinator.look_again()

    async def close(self) -> None:
        """Let sequences end, publish what waits, stop."""
        await self.carrier.close(_DRAIN_S)
        self.reporter.flush()
        await self.outbox.close(_DRAIN_S)
        await self.tools.journal.close()


def assemble(host: HostServices, settings: Settings, version: str, journal: Journal | None = None) -> Engine:
    """Put one bot's engine together."""
    execution, book = settings.execution, settings.book
    timeout_s = execution.call_timeout_ms / 1000
    metrics = Metrics(host.metrics_registry)
    traces = Traces(host.tracer_provider, version, host.clock.monotonic_ns, metrics.waited)
    books = Books(
        host.clock.now_ms,
        levels=book.levels,
        default_min_size_micro=to_micro(book.default_min_shares),
        fill_rate_window_ms=book.fill_rate_window_ms,
        max_tokens=book.max_tokens,
    )
    exchange = Exchange(host.clob_public, host.clob_auth, host.signer, books, metrics, timeout_s)
    journal = journal or _journal(host, settings, metrics)
    chronicle = Chronicle(journal, host.clock)
    intents = IntentTable(
        execution.max_intents,
        execution.tombstone_ms,
        execution.seen_events,
        chronicle.opened,
        chronicle.ended,
    )
    reach = Reach(frozenset(settings.limited_live.markets), to_micro(settings.limited_live.max_chase_usd))
    kill = KillLatch(host.kill_switch, timeout_s, chronicle.kill_switch)
    outbox = Outbox(
        host.reports,
        journal,
        host.clock,
        traces,
        max_pending=execution.max_pending_reports,
        publish_timeout_s=timeout_s,
    )
    declared = Declared(host.event_keys, execution.max_decision_reports, chronicle.declared)
    tools = Tools(
        exchange=exchange,
        books=books,
        journal=journal,
        kill=kill,
        mode=ModeSwitch(Mode(settings.mode), reach),
        intents=intents,
        clock=host.clock,
        traces=traces,
        metrics=metrics,
        settings=execution,
        max_book_age_ms=book.max_age_ms,
        obstacle=lambda: _obstacle(recovery, outbox),
        fencing=Fencing(getattr(host, "fence", None)),
    )
    _show(tools, outbox)
    reporter = Reporter(tools, outbox)
    sequencer = Sequencer(tools)
    carrier = Carrier(tools, sequencer, host.hooks)
    recovery = Recovery(host.orders, declared, tools, carrier.ask_until_known, timeout_s)
    decider = Decider(tools, declared, settings, host.orders)
    coordinator = Coordinator(tools, decider, carrier, reporter, host.orders, host.event_keys)
    killer = Killer(tools, sequencer, carrier, reporter)

    def sweep(reason: str) -> None:
        signal = KillSwitchSignal(active=True, ts_ms=host.clock.now_ms(), reason=reason)
        killer.sweep(signal)

    kill.on_found = sweep
    return Engine(settings, tools, coordinator, carrier, killer, declared, recovery, reporter, outbox, host)


def _journal(host: HostServices, settings: Settings, metrics: Metrics) -> Journal:
    """Return the log that other hosts read where there is one, else this host's own."""
    timing = metrics.journal_commit_seconds.time
    shared: SharedLog | None = getattr(host, "shared_log", None)
    if shared is not None:
        return SharedJournal(shared, timing=timing)
    if settings.journal.durable:
        return SqliteJournal(host.state_dir / "journal", timing=timing)
    return MemoryJournal()


def _show(tools: Tools, outbox: Outbox) -> None:
    """Show what stands still between events: kill switch, log and bus."""
    show, journal = tools.metrics.show, tools.journal
    show.shown(names.KILL_SWITCH, lambda: tools.kill.latched)
    show.shown(names.JOURNAL_FAILED, lambda: bool(journal.failed))
    show.shown(names.JOURNAL_BACKLOG, lambda: journal.queued)
    show.shown(names.PENDING_REPORTS, lambda: len(outbox))
    show.shown(names.OLDEST_PENDING_REPORT, lambda: outbox.lag_ms / 1000)
    show.shown(names.LOST_REPORTS, lambda: outbox.lost)


def _obstacle(recovery: Recovery, outbox: Outbox) -> str:
    """Return why nothing may be posted now, or empty."""
    if not recovery.done:
        return "what was open before the start is not known yet"
    if recovery.unread:
        return recovery.unread
    return "too many reports wait for the bus" if outbox.full else ""
