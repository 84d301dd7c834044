"""Commands given by hand to this bot: the same locks, the same steps, each on record with who and why.

    cancel-remainder   order=ID                  cancel one remainder, whatever its policy says
    mode               [to=MODE] [promote=yes]   show the mode, lower it, or raise it up to the config's
    reset-kill                                   unlatch the kill switch
    status                                       how the bot is

`actor` and `reason` come with every command; `peer` says how the host knows the actor, where it does.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

from polytraders_hookspecs.reports import CommandResult

from polytraders_pfh.core.lifecycle import State
from polytraders_pfh.core.policy import Action, Decision, Policy
from polytraders_pfh.core.reasons import Reason
from polytraders_pfh.engine.assembly import Engine
from polytraders_pfh.ops import health
from polytraders_pfh.ops.mode_command import mode
from polytraders_pfh.ops.on_record import record_command

Command = Callable[[Engine, Mapping[str, str]], Awaitable[CommandResult]]


async def cancel_remainder(engine: Engine, arguments: Mapping[str, str]) -> CommandResult:
    """Cancel one remainder, whatever its policy says; it is not posted again."""
    order_id = arguments.get("order", "").lower()
    intent = engine.tools.intents.get(order_id)
    if intent is None:
        return CommandResult(
            ok=False,
            message=f"order {order_id or '(none)'} is not a remainder this bot knows; pass --order ID",
        )
    if intent.state is State.CLOSED:
        return CommandResult(ok=True, message=f"order {order_id} had already closed; nothing was sent")
    with suppress(Exception):  # a cancel goes out whether or not it can be recorded
        await record_command(engine, "cancel-remainder", arguments, intent, order_id)
    decision = Decision(Action.CANCEL, Reason.CANCELLED_REMAINDER, 8, intent.policy or Policy.HOLD)
    now_ms = engine.tools.clock.now_ms()
    report = await engine.killer.cancel_one(intent, decision, now_ms, "command")
    if not report.executed:
        return CommandResult(
            ok=False,
            message=f"mode {report.mode} sends nothing; change the mode first, or cancel on the exchange",
        )
    done = report.verdict != Reason.CANCEL_UNCONFIRMED.value
    message = f"order {report.order_id}: {report.verdict}"
    return CommandResult(ok=done, message=message, data={"report_id": report.report_id})


async def status(engine: Engine, arguments: Mapping[str, str]) -> CommandResult:
    """Say how the bot is."""
    found = health.check(engine)
    message = f"{found.status}, mode {found.mode}" + "".join(f"; {reason}" for reason in found.reasons)
    return CommandResult(ok=found.status != "red", message=message, data=dict(found.figures))


async def reset_kill(engine: Engine, arguments: Mapping[str, str]) -> CommandResult:
    """Unlatch the kill switch once that is on record; refused while the host's is on or does not answer."""
    signals = engine.tools.kill.signals
    try:
        await record_command(engine, "reset-kill", arguments)
    except Exception as e:
        why = str(e) or type(e).__name__
        return CommandResult(
            ok=False, message=f"the kill switch stays latched: that it is reset could not be recorded ({why})"
        )
    if await engine.tools.kill.reset(signals):
        return CommandResult(ok=True, message="the kill switch is unlatched; posting is possible again")
    return CommandResult(
        ok=False,
        message="the host's kill switch is on, went on meanwhile or does not answer; switch it off first",
    )


COMMANDS: Final[dict[str, Command]] = {
    "cancel-remainder": cancel_remainder,
    "mode": mode,
    "status": status,
    "reset-kill": reset_kill,
}


async def run(engine: Engine, command: str, arguments: Mapping[str, str]) -> CommandResult:
    """Run a command addressed to this bot."""
    known = COMMANDS.get(command)
    if known is None:
        return CommandResult(
            ok=False, message=f"command {command!r} is not known; there are {', '.join(sorted(COMMANDS))}"
        )
    return await known(engine, arguments)
