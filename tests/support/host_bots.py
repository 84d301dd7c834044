"""Small bots for tests of the host: one that writes down what it hears, and one in a plugin module."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from polytraders_hookspecs import (
    BookUpdate,
    BotHealth,
    BotManifest,
    CommandResult,
    DecisionReport,
    ExecutionReport,
    HostServices,
    KillSwitchSignal,
    OrderClosed,
    PartialFill,
    SignedEvent,
    check_signature,
    hookimpl,
)


class ScribeBot:
    """Checks and writes down every event; answers a PARTIAL with a report that holds."""

    def __init__(self, bot_id: str = "exec.scribe", keys: Mapping[str, bytes] | None = None) -> None:
        self.bot_id = bot_id
        self.keys = keys
        self.host: HostServices | None = None
        self.life: list[str] = []
        self.partials: list[PartialFill] = []
        self.closed: list[OrderClosed] = []
        self.decisions: list[DecisionReport] = []
        self.updates: list[Any] = []
        self.signals: list[KillSwitchSignal] = []
        self.story: list[tuple[str, str]] = []
        self.health = "green"

    def events(self, order_id: str) -> list[tuple[str, str]]:
        """What was heard of one order: (PARTIAL or the end, filled pUSD)."""
        return [(kind.partition(" ")[2], usd) for kind, usd in self.story if kind.startswith(order_id)]

    def _check(self, envelope: SignedEvent) -> None:
        if self.keys is not None:
            check_signature(envelope, self.keys)

    @hookimpl
    async def on_host_start(self) -> None:
        self.life.append("start")

    @hookimpl
    def on_decision_report(self, envelope: SignedEvent) -> None:
        self._check(envelope)
        self.decisions.append(DecisionReport.from_json(envelope.body))

    @hookimpl
    async def on_partial_fill(self, envelope: SignedEvent) -> ExecutionReport:
        self._check(envelope)
        fill = PartialFill.from_json(envelope.body)
        assert (envelope.event_ts_ms, envelope.trace_id) == (fill.event_ts_ms, fill.trace_id)
        self.partials.append(fill)
        self.story.append((f"{fill.order_id} PARTIAL", str(fill.filled_usd)))
        return ExecutionReport(
            report_id=f"r{len(self.partials)}",
            bot_id=self.bot_id,
            order_id=fill.order_id,
            verdict="HOLD_REMAINDER",
            evaluated_at_ms=envelope.event_ts_ms,
        )

    @hookimpl
    async def on_order_closed(self, envelope: SignedEvent) -> None:
        self._check(envelope)
        end = OrderClosed.from_json(envelope.body)
        self.closed.append(end)
        self.story.append((f"{end.order_id} {end.status}", str(end.filled_usd)))

    @hookimpl
    async def on_killswitch(self, signal: KillSwitchSignal) -> list[ExecutionReport]:
        self.signals.append(signal)
        return []

    @hookimpl
    def on_book_update(self, update: BookUpdate) -> None:
        self.updates.append(update)

    @hookimpl
    def check_health(self) -> BotHealth:
        return BotHealth(
            bot_id=self.bot_id,
            status=self.health,
            mode="shadow_only",
            kill_switch_active=False,
        )

    @hookimpl
    async def on_bot_command(
        self, bot_id: str, command: str, arguments: Mapping[str, str]
    ) -> CommandResult | None:
        if bot_id != self.bot_id:
            return None
        return CommandResult(ok=True, message=f"{command} {dict(arguments)}")

    @hookimpl
    def describe_bot(self) -> BotManifest:
        return BotManifest(
            bot_id=self.bot_id,
            name="Scribe",
            version="1",
            hookspec_version="1.0",
            mode="shadow_only",
            modes=("shadow_only",),
            reads=(),
            emits=(),
            topics=(),
        )

    @hookimpl
    async def on_host_stop(self) -> None:
        self.life.append("stop")


def plugin_with(bot: Any, name: str = "a_test_plugin") -> ModuleType:
    """A plugin module, as an entry point would load it, whose `register_bot` hands out this bot."""
    module = ModuleType(name)

    def register_bot(host: HostServices) -> object | None:
        if isinstance(bot, Exception):
            raise bot
        if bot is not None:
            bot.host = host
            bot.keys = host.event_keys
        return bot

    module.register_bot = hookimpl(register_bot)
    return module
