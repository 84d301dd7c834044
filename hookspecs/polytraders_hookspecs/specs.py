"""Every hook, in the order of a bot's life. The docstrings are the contract.

Implementations are plain functions or coroutine functions; an awaited hook may return an awaitable or
None. pluggy lets an implementation leave out arguments that it does not need.
"""

from collections.abc import Awaitable, Mapping

import pluggy

from polytraders_hookspecs.events import (
    BookUpdate,
    CancelReplace,
    DustRemainder,
    KillSwitchSignal,
    SignedEvent,
)
from polytraders_hookspecs.reports import (
    BotHealth,
    BotManifest,
    CancelReplaceResult,
    CommandResult,
    ExecutionReport,
)
from polytraders_hookspecs.services import HostServices

PROJECT_NAME = "polytraders"

hookspec = pluggy.HookspecMarker(PROJECT_NAME)


@hookspec
def register_bot(host: HostServices) -> object | None:
    """Build this plugin's bot for one host.

    When: Once per host, after discovery and before any event; a plugin module keeps no state of its own.

    Args:
        host: The services of this host. Keep them; they stay valid until `on_host_stop` has returned.

    Returns: The bot, an object that implements the other hooks, which the host registers under its
        bot id; None when the bot is not enabled in the host's config.

    Failure: Synchronous. An exception keeps this bot out and is shown to the operator; other bots
        register all the same. Call `require_hookspec` first.

    Deadline: None, but the host has not started yet: read no network here.
    """


@hookspec
def on_host_start() -> Awaitable[None] | None:
    """Recover, before the first event.

    When: Once, after every bot of this host is registered.

    Returns: An awaitable, or None when there is nothing to recover.

    Failure: All bots start together, isolated. A bot that fails stays registered and must refuse to
        post until it has recovered; the host shows its error.

    Deadline: 60 seconds.
    """


@hookspec
def on_decision_report(envelope: SignedEvent) -> None:
    """Learn what a strategy decided, before its order is placed.

    When: A strategy's DecisionReport is published, before the root order of its `trace_id` is posted.

    Args:
        envelope: Its body is a `DecisionReport`: intended size, limit price, policy, wide-chase allowance.

    Returns: None. The report is remembered for the intent, and its size and price are never exceeded.

    Failure: Synchronous. An exception is shown and keeps no other bot from hearing it.

    Deadline: It runs on the event loop: microseconds, no I/O.
    """


@hookspec
def on_partial_fill(envelope: SignedEvent) -> Awaitable[ExecutionReport] | None:
    """Decide what becomes of the rest of an order that filled in part, and have it done.

    When: The order-lifecycle manager reports PARTIAL with a remainder above zero. The same event may
        come again, and events of one order may come out of order.

    Args:
        envelope: Its body is a `PartialFill`. Check the signature before parsing it.

    Returns: The execution report. `final` is False when a sequence is still under way; the final
        report then follows on the bus and names this one. A duplicate is answered with the first report.

    Failure: Bots are isolated from each other. An implementation answers hold rather than raise;
        cancelling the call never abandons a sequence that has begun.

    Deadline: 300 ms to decide and begin.
    """


@hookspec
def on_order_closed(envelope: SignedEvent) -> Awaitable[None] | None:
    """Drop what is kept of an order that reached its end.

    When: The order-lifecycle manager reports FILLED or CANCELLED.

    Args:
        envelope: Its body is an `OrderClosed`.

    Returns: An awaitable, or None.

    Failure: Isolated. A close that never comes costs memory, which is bounded, and nothing else.

    Deadline: One second.
    """


@hookspec
def on_killswitch(signal: KillSwitchSignal) -> Awaitable[list[ExecutionReport]] | None:
    """Stop, or note that the switch is off.

    When: The kill switch changed, on every host.

    Args:
        signal: On or off, who did it and why.

    Returns: One report per remainder that was cancelled or could not be proven cancelled.

    Failure: Every bot is called before any is awaited: the flag must be set in the synchronous part of
        the call. Isolated. Off never resumes posting by itself; that takes a reset by hand.

    Deadline: 250 ms until every cancel is sent; the awaitable may take longer to report.
    """


@hookspec
def on_book_update(update: BookUpdate) -> None:
    """Keep a live book.

    When: A market-channel message arrived: snapshot, price change, last trade, tick-size change, gap.

    Args:
        update: One of the `BookUpdate` models.

    Returns: None.

    Failure: Synchronous and hot. An exception is shown and keeps no other bot from the update.

    Deadline: Microseconds, no I/O.
    """


@hookspec
def on_cancel_replace(instruction: CancelReplace) -> Awaitable[CancelReplaceResult | None] | None:
    """Carry out a chase: cancel one order, prove it dead, post at most its rest at most at the cap.

    When: A bot decided to chase. Called through `first_hook`: the first answer other than None wins, so
        an optimiser registers as usual and the deciding bot's own sequencer is the `trylast` default.

    Args:
        instruction: The order, the plan, and the bounds that hold whoever carries it out.

    Returns: How it ended, or None to leave it to the next implementation, having done nothing.

    Failure: A raise ends the search: the instruction is then unconfirmed, its budget stays reserved
        and nobody posts for it again before the exchange has been asked.

    Deadline: None: once a cancel is out, the sequence runs to its end under its own retry limits.
    """


@hookspec
def on_dust_remainder(dust: DustRemainder) -> Awaitable[None] | None:
    """Take over a remainder that is too small to keep.

    When: A dust remainder was found and its cancel was asked for.

    Args:
        dust: The remainder, with its original order id.

    Returns: An awaitable, or None.

    Failure: Isolated; nothing depends on an answer.

    Deadline: One second.
    """


@hookspec
def check_health() -> BotHealth:
    """Say how the bot is.

    When: The host's health endpoint is asked.

    Returns: Green, amber or red, with a sentence for each reason.

    Failure: Synchronous. An exception reads as red.

    Deadline: Microseconds, no I/O: report what is already known.
    """
    raise NotImplementedError


@hookspec
def on_bot_command(
    bot_id: str, command: str, arguments: Mapping[str, str]
) -> Awaitable[CommandResult | None] | None:
    """Obey a command given by hand.

    When: An operator ran `<host cli> bot COMMAND BOT_ID --option value`. Called through `first_hook`.

    Args:
        bot_id: Whom it is meant for; answer None to anything not addressed to you.
        command: For example `cancel-remainder`.
        arguments: Option names without dashes, and their values; `actor` and `reason` are always there,
            and `peer`, what the system itself says of the caller, where the host knows it.

    Returns: What happened, or None when the command is not this bot's.

    Failure: A raise is shown to the operator with the bot's name.

    Deadline: 30 seconds.
    """


@hookspec
def describe_bot() -> BotManifest:
    """Say who the bot is.

    When: At start, and when the host lists its bots.

    Returns: Identity, versions, modes, what it reads and emits.

    Failure: Synchronous. An exception is shown in the listing.

    Deadline: Microseconds, no I/O.
    """
    raise NotImplementedError


@hookspec
def on_host_stop() -> Awaitable[None] | None:
    """Drain, flush, close.

    When: Once, after the last event. No hook is called afterwards.

    Returns: An awaitable that ends when nothing of the bot is running any more.

    Failure: Isolated; the host shows the error and stops all the same.

    Deadline: 30 seconds.
    """


def new_plugin_manager() -> pluggy.PluginManager:
    """Return a plugin manager that knows every hook of this contract, and no plugin yet."""
    import polytraders_hookspecs.specs as this_module  # noqa: PLC0415, PLW0406 - pluggy wants the module object

    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(this_module)
    return manager


HOOK_NAMES: tuple[str, ...] = tuple(
    name for name, value in list(globals().items()) if hasattr(value, f"{PROJECT_NAME}_spec")
)
"""Every hook of the contract, in the order of a bot's life."""

SYNC_HOOKS: frozenset[str] = frozenset(
    {"register_bot", "on_decision_report", "on_book_update", "check_health", "describe_bot"}
)
"""Hooks that answer at once; all others may return an awaitable."""
