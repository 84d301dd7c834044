"""A bot as the host sees it, in place of the bots of all the partitions that the host owns."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from polytraders_hookspecs import (
    BookUpdate,
    BotHealth,
    BotManifest,
    CommandResult,
    ExecutionReport,
    HookResult,
    KillSwitchSignal,
    call_hook,
    first_hook,
    gather_hook,
    hookimpl,
)

from polytraders_pfh.host.cluster.room import Room

_KILL_S: Final = 30.0
_COMMAND_S: Final = 30.0
_WORSE: Final = ("green", "amber", "red")


class PartitionedBot:
    """Passes on what is for every partition, and sums up what they say. Events go to their room directly.

    Args:
        plugin_name: The plugin whose bots it stands for.
        manifest: Theirs.
        rooms: The rooms that are open now.
        on_kill: Told of every signal first.
    """

    def __init__(
        self,
        plugin_name: str,
        manifest: BotManifest,
        rooms: Callable[[], tuple[Room, ...]],
        on_kill: Callable[[KillSwitchSignal], None],
    ) -> None:
        self._plugin_name = plugin_name
        self._manifest = manifest
        self._rooms = rooms
        self._on_kill = on_kill

    @hookimpl
    def describe_bot(self) -> BotManifest:
        """Say who they are."""
        return self._manifest

    @hookimpl
    def on_killswitch(self, signal: KillSwitchSignal) -> Awaitable[list[ExecutionReport]]:
        """Have every bot called at the loop's next turn, and the other hosts told."""
        calls = asyncio.gather(
            *[gather_hook(call, deadline_s=_KILL_S, signal=signal) for call in self._each("on_killswitch")]
        )
        self._on_kill(signal)
        return _reports(calls)

    @hookimpl
    def on_book_update(self, update: BookUpdate) -> None:
        """Show it to every bot."""
        for call in self._each("on_book_update"):
            for result in call_hook(call, update=update):
                if result.error is not None:
                    raise result.error

    @hookimpl
    async def on_bot_command(
        self, bot_id: str, command: str, arguments: Mapping[str, str]
    ) -> CommandResult | None:
        """Obey once in every partition; what any of them did is the answer, else what the last one said."""
        if bot_id != self._manifest.bot_id:
            return None
        results = []
        for call in self._each("on_bot_command"):
            found = await first_hook(
                call, deadline_s=_COMMAND_S, bot_id=bot_id, command=command, arguments=arguments
            )
            if found is not None and isinstance(found.value, CommandResult):
                results.append(found.value)
        if not results:
            return CommandResult(ok=False, message="this host owns no partition now; ask another one")
        if "order" in arguments:
            return next((result for result in results if result.ok), results[-1])
        return next((result for result in results if not result.ok), results[-1])

    @hookimpl
    def check_health(self) -> BotHealth:
        """Return the worst health of any partition, with every reason."""
        found = [
            result.value
            for call in self._each("check_health")
            for result in call_hook(call)
            if isinstance(result.value, BotHealth)
        ]
        if not found:
            return BotHealth(
                bot_id=self._manifest.bot_id,
                status="amber",
                mode=self._manifest.mode,
                kill_switch_active=False,
                reasons=("this host owns no partition now",),
            )
        worst = max(found, key=lambda health: _WORSE.index(health.status))
        reasons = dict.fromkeys(reason for health in found for reason in health.reasons)
        killed = any(health.kill_switch_active for health in found)
        return worst.model_copy(update={"reasons": tuple(reasons), "kill_switch_active": killed})

    def _each(self, hook: str) -> list[Any]:
        callers = [room.caller(self._plugin_name, hook) for room in self._rooms()]
        return [caller for caller in callers if caller is not None]


async def _reports(calls: "asyncio.Future[list[list[HookResult]]]") -> list[ExecutionReport]:
    results = [result for answers in await calls for result in answers]
    return [report for result in results if isinstance(result.value, list) for report in result.value]
