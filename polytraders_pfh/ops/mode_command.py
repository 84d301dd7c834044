"""The command `mode`: shown to anybody, lowered at once, raised with an explicit word and on record first."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from polytraders_hookspecs.reports import CommandResult

from polytraders_pfh.core.lifecycle import MAY_FILL
from polytraders_pfh.core.modes import Mode, reaches_further
from polytraders_pfh.engine.assembly import Engine
from polytraders_pfh.ops.on_record import record_command

_MEANS: Final = {
    Mode.SHADOW_ONLY: "and nothing is sent for them any more, not even by the kill switch",
    Mode.QUARANTINE: "which may be cancelled and are not posted again",
}


async def mode(engine: Engine, arguments: Mapping[str, str]) -> CommandResult:
    """Show the mode; lower it at once, or raise it with an explicit word, never above the config's."""
    switch = engine.tools.mode
    wanted = arguments.get("to", "")
    if not wanted:
        by_hand = f", lowered by hand ({switch.why})" if switch.lowered else ""
        return _mode_result(engine, True, f"mode {switch.now}{by_hand}; the config's is {switch.ceiling}")
    if wanted not in tuple(Mode):
        return _mode_result(engine, False, f"mode was {wanted!r}; there are {', '.join(Mode)}")
    if reaches_further(Mode(wanted), switch.ceiling):
        return _mode_result(
            engine,
            False,
            f"mode {wanted} is above the config's {switch.ceiling}; run polytraders-pfh gates, and once its "
            "gate has passed set mode in the config and restart",
        )
    if reaches_further(Mode(wanted), switch.now):
        return await _promote(engine, Mode(wanted), arguments)
    return await _demote(engine, Mode(wanted), arguments)


async def _demote(engine: Engine, wanted: Mode, arguments: Mapping[str, str]) -> CommandResult:
    """Lower the mode first and record it then: nothing stands in the way of less."""
    was = engine.tools.mode.now
    engine.tools.mode.set(wanted, _why(arguments))
    unrecorded = ""
    try:
        await _record_mode(engine, was, wanted, arguments, _why(arguments))
    except Exception as e:
        unrecorded = f"; it is not on record ({e}), so lower it in the config before the next start"
    resting = sum(1 for intent in engine.tools.intents if intent.state in MAY_FILL)
    told = f"; {resting} remainders are open, {_MEANS[wanted]}" if resting and wanted in _MEANS else ""
    return _mode_result(engine, True, f"mode is {wanted}, it was {was}{told}{unrecorded}")


async def _promote(engine: Engine, wanted: Mode, arguments: Mapping[str, str]) -> CommandResult:
    """Raise the mode once that is on record, unless it was set again meanwhile."""
    switch = engine.tools.mode
    was, changes = switch.now, switch.changes
    if arguments.get("promote") != "yes" or not arguments.get("reason"):
        return _mode_result(
            engine, False, f"mode {wanted} lets more through than {was}; say --promote and give a --reason"
        )
    try:
        await _record_mode(engine, was, wanted, arguments, _why(arguments))
    except Exception as e:
        return _mode_result(
            engine, False, f"mode stays {switch.now}: that it is raised could not be recorded ({e})"
        )
    if switch.changes != changes:
        with suppress(Exception):  # so that this command's record is not the last word
            await _record_mode(engine, wanted, switch.now, arguments, switch.why)
        return _mode_result(engine, False, f"mode was set to {switch.now} meanwhile, and stays there")
    switch.set(wanted, _why(arguments))
    return _mode_result(engine, True, f"mode is {wanted}, it was {was}")


def _mode_result(engine: Engine, ok: bool, message: str) -> CommandResult:
    switch = engine.tools.mode
    data = {"mode": switch.now.value, "config_mode": switch.ceiling.value, "lowered_by": switch.why}
    return CommandResult(ok=ok, message=message, data=data)


def _why(arguments: Mapping[str, str]) -> str:
    return f"{arguments.get('actor') or 'somebody'}: {arguments.get('reason') or 'no reason given'}"


async def _record_mode(engine: Engine, was: Mode, to: Mode, arguments: Mapping[str, str], why: str) -> None:
    lowered = to is not engine.tools.mode.ceiling
    facts = {"from": was.value, "to": to.value, "lowered": lowered, "why": why}
    await record_command(engine, "mode", arguments, facts=facts)
