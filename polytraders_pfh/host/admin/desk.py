"""Carries out what is ordered by hand, whichever way it came in: by the door or by the page.

A kill switch waits for nothing: neither for other orders, nor for room in any bot, nor for their answers.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from polytraders_hookspecs import CommandResult, HookResult

from polytraders_pfh.host.admin.orders import Order
from polytraders_pfh.host.crew import BotCrew
from polytraders_pfh.host.errors import KillSwitchUnknown
from polytraders_pfh.host.kill import FileKillSwitch, reports_in
from polytraders_pfh.host.standing import Standing

_log: Final = logging.getLogger(__name__)
_BOTS_ANSWER_S: Final = 5.0
_UNPROVEN: Final = "CANCEL_UNCONFIRMED"


class AdminDesk:
    """One host's desk for orders by hand."""

    def __init__(self, crew: BotCrew, kill_switch: FileKillSwitch, standing: Standing) -> None:
        self._crew = crew
        self._kill_switch = kill_switch
        self._standing = standing
        self._killing: set[asyncio.Task[list[HookResult]]] = set()
        self._orders: dict[str, Callable[[Order], Awaitable[CommandResult]]] = {
            "status": self._status,
            "kill": self._kill,
            "reset-kill": self._reset_kill,
            "mode": self._mode,
            "bot": self._bot,
        }

    async def close(self) -> None:
        """Wait until every kill switch that was thrown here is done."""
        if self._killing:
            await asyncio.wait(set(self._killing))

    async def obey(self, order: Order) -> CommandResult:
        """Carry out an order and say what came of it."""
        if order.command != "status":
            who, why = order.caller.actor, order.reason or "no reason given"
            _log.warning("by hand: %s %s (%s: %s)", order.command, dict(order.options), who, why)
        return await self._orders[order.command](order)

    async def _status(self, order: Order) -> CommandResult:
        data = await self._standing.members()
        bots = [f"{bot['bot_id']} {bot['status']} in {bot['mode']}" for bot in data["bots"]]
        switch = {True: "ON", False: "off", None: "unknown"}[data["kill_switch"]["active"]]
        told = f"{data['status']}; kill switch {switch}; {data['open_remainders']} open remainders"
        message = f"{told}; {', '.join(bots) or 'no bots'}"
        return CommandResult(ok=data["status"] != "red", message=message, data=data)

    async def _kill(self, order: Order) -> CommandResult:
        """Switch on. The latch is set before anything is awaited, so the answer waits for no bot for long."""
        reason = order.reason or "switched on by hand"
        task = asyncio.create_task(
            self._kill_switch.signal(True, reason, order.caller.actor), name="kill switch by hand"
        )
        self._killing.add(task)
        task.add_done_callback(self._killing.discard)
        await asyncio.wait({task}, timeout=_BOTS_ANSWER_S)
        if not task.done():
            return CommandResult(ok=True, message="the kill switch is ON; bots are still cancelling")
        try:
            results = task.result()
        except KillSwitchUnknown as e:
            return CommandResult(ok=False, message=f"the kill switch is ON in this host, but: {e}")
        return _killed(results)

    async def _reset_kill(self, order: Order) -> CommandResult:
        """Switch off in the host, since a bot unlatches only when it finds that off; then in every bot."""
        try:
            await self._kill_switch.signal(False, order.reason or "reset by hand", order.caller.actor)
        except KillSwitchUnknown as e:
            return CommandResult(ok=False, message=f"the kill switch stays on: {e}")
        told = {
            bot.bot_id: await self._crew.command(bot.bot_id, "reset-kill", order.arguments())
            for bot in self._crew.roster.bots
        }
        return _answers("the kill switch is off in the host", told)

    async def _mode(self, order: Order) -> CommandResult:
        known = [bot.bot_id for bot in self._crew.roster.bots]
        wanted = order.options.get("bot")
        if wanted is not None and wanted not in known:
            return _no_bot(wanted, known)
        chosen = [wanted] if wanted is not None else known
        return _answers("", {bot: await self._crew.command(bot, "mode", order.arguments()) for bot in chosen})

    async def _bot(self, order: Order) -> CommandResult:
        bot_id, command = order.options.get("bot", ""), order.options.get("command", "")
        known = [bot.bot_id for bot in self._crew.roster.bots]
        if bot_id not in known:
            return _no_bot(bot_id, known)
        arguments = order.arguments()
        del arguments["bot"]
        arguments.pop("command", None)
        answer = await self._crew.command(bot_id, command, arguments)
        return answer or CommandResult(ok=False, message=f"{bot_id} does not know the command {command!r}")


def _killed(results: list[HookResult]) -> CommandResult:
    failed = [f"{r.plugin_name} failed: {type(r.error).__name__}: {r.error}" for r in results if r.error]
    reports = reports_in(results)
    doubtful = [report for report in reports if report.verdict == _UNPROVEN]
    held = [report for report in reports if report.executed is False]
    cancelled = len(reports) - len(doubtful) - len(held)
    parts = ["the kill switch is ON", f"{cancelled} remainders were cancelled"]
    if doubtful:
        parts.append(f"{len(doubtful)} are not proven dead yet and are asked for")
    if held:
        parts.append(f"{len(held)} rest, since their bot's mode sends nothing: cancel them on the exchange")
    data = {"reports": [report.model_dump(exclude_none=True) for report in reports]}
    return CommandResult(ok=not failed and not held, message="; ".join(parts + failed), data=data)


def _answers(head: str, told: dict[str, CommandResult | None]) -> CommandResult:
    """Return the bots' answers as one, every bot named."""
    said = {bot: answer.message if answer else "does not know this command" for bot, answer in told.items()}
    message = "; ".join(([head] if head else []) + [f"{bot}: {text}" for bot, text in said.items()])
    data = {bot: answer.model_dump() if answer else None for bot, answer in told.items()}
    ok = all(answer is not None and answer.ok for answer in told.values())
    return CommandResult(ok=ok, message=message or "there are no bots", data={"bots": data})


def _no_bot(wanted: str, known: list[str]) -> CommandResult:
    return CommandResult(
        ok=False, message=f"there is no bot {wanted!r}; this host has {', '.join(known) or 'none'}"
    )
