"""The hook implementations, and nothing else. Entry point `exec.partialfillhandler`.

This module keeps no state: `register_bot` builds one bot per host, so two hosts can live in one process.
"""

import logging
from collections.abc import Awaitable, Mapping
from typing import Final

from polytraders_hookspecs import (
    BookUpdate,
    BotHealth,
    BotManifest,
    CancelReplace,
    CancelReplaceResult,
    CommandResult,
    ExecutionReport,
    HostServices,
    KillSwitchSignal,
    SignedEvent,
    hookimpl,
    require_hookspec,
)

from polytraders_pfh import __version__
from polytraders_pfh.config import BOT_ID, MODES, load_settings
from polytraders_pfh.engine.assembly import Engine, assemble
from polytraders_pfh.engine.outbox import TOPIC
from polytraders_pfh.ops import commands, health

NEEDS_HOOKSPEC: Final = "1.0"
"""The oldest contract this bot can work with."""

_LOG: Final = logging.getLogger("polytraders_pfh")


@hookimpl
def register_bot(host: HostServices) -> "PartialFillHandler | None":
    """Build a bot for this host, or none when its config says `enabled = false`."""
    require_hookspec(BOT_ID, needed=NEEDS_HOOKSPEC, offered=host.hookspec_version)
    settings = load_settings(host.config)
    if not settings.enabled:
        return None
    for warning in settings.warnings():
        _LOG.warning("%s", warning)
    return PartialFillHandler(assemble(host, settings, __version__))


class PartialFillHandler:
    """One host's bot."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @hookimpl
    def on_host_start(self) -> Awaitable[None]:
        """Learn what is open before the first event."""
        return self._engine.start()

    @hookimpl
    def on_decision_report(self, envelope: SignedEvent) -> None:
        """Remember what a strategy decided."""
        self._engine.declared.take(envelope)

    @hookimpl
    def on_partial_fill(self, envelope: SignedEvent) -> Awaitable[ExecutionReport]:
        """Decide what becomes of a remainder."""
        return self._engine.coordinator.on_partial_fill(envelope)

    @hookimpl
    def on_order_closed(self, envelope: SignedEvent) -> Awaitable[None]:
        """Drop what is kept of an order."""
        return self._engine.on_order_closed(envelope)

    @hookimpl
    def on_killswitch(self, signal: KillSwitchSignal) -> Awaitable[list[ExecutionReport]] | None:
        """Latch at once, then cancel every known remainder. Going off resets nothing by itself."""
        if not signal.active:
            return None
        self._engine.tools.kill.set(signal.reason, signal.actor)
        return self._engine.killer.sweep(signal)

    @hookimpl
    def on_book_update(self, update: BookUpdate) -> None:
        """Keep the live book."""
        self._engine.tools.books.apply(update)

    @hookimpl(trylast=True)
    def on_cancel_replace(self, instruction: CancelReplace) -> Awaitable[CancelReplaceResult | None]:
        """Carry out a chase of this bot's own when no optimiser took it."""
        return self._engine.carrier.on_cancel_replace(instruction)

    @hookimpl
    def check_health(self) -> BotHealth:
        """Answer from what is known."""
        return health.check(self._engine)

    @hookimpl
    def on_bot_command(
        self, bot_id: str, command: str, arguments: Mapping[str, str]
    ) -> Awaitable[CommandResult] | None:
        """Obey a command addressed to this bot."""
        return commands.run(self._engine, command, arguments) if bot_id == BOT_ID else None

    @hookimpl
    def describe_bot(self) -> BotManifest:
        """Say who this is."""
        return BotManifest(
            bot_id=BOT_ID,
            name="PartialFillHandler",
            version=__version__,
            hookspec_version=NEEDS_HOOKSPEC,
            mode=self._engine.tools.mode.now.value,
            modes=MODES,
            reads=("PartialFill", "OrderClosed", "DecisionReport", "KillSwitchSignal", "BookUpdate"),
            emits=("ExecutionReport",),
            topics=(TOPIC,),
        )

    @hookimpl
    def on_host_stop(self) -> Awaitable[None]:
        """Let sequences end, publish what waits, stop."""
        return self._engine.close()
