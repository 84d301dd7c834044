"""The bots' life in one host: registered, started, commanded, stopped; one that fails is shown and stays."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from polytraders_hookspecs import CommandResult, HookResult, HostServices, first_hook, gather_hook

from polytraders_pfh.host.discovery import BotRoster
from polytraders_pfh.host.dispatch import show_hook_error
from polytraders_pfh.host.errors import DiscoveryError
from polytraders_pfh.host.metrics import HostMetrics

_START_S: Final = 60.0
_STOP_S: Final = 30.0
_COMMAND_S: Final = 30.0


class BotCrew:
    """The bots of one host.

    Attributes:
        roster: Bots, refused plugins, and the plugin manager.
    """

    def __init__(self, roster: BotRoster, metrics: HostMetrics) -> None:
        self.roster = roster
        self._metrics = metrics

    def register(self, enabled: Iterable[str], services_for: Callable[[str], HostServices]) -> None:
        """Discover and register.

        Raises:
            DiscoveryError: Bots are enabled, and not one of them could be registered.
        """
        self.roster.discover(enabled, services_for)
        if self.roster.refused and not self.roster.bots:
            raise DiscoveryError("; ".join(bot.reason for bot in self.roster.refused))

    async def start(self) -> None:
        """Let every bot recover."""
        hook = self.roster.manager.hook.on_host_start
        self._show_errors("on_host_start", await gather_hook(hook, deadline_s=_START_S))

    async def stop(self) -> None:
        """Let every bot drain, flush and close."""
        hook = self.roster.manager.hook.on_host_stop
        self._show_errors("on_host_stop", await gather_hook(hook, deadline_s=_STOP_S))

    async def command(self, bot_id: str, command: str, arguments: Mapping[str, str]) -> CommandResult | None:
        """Hand an operator's command to its bot; None when no bot took it.

        Args:
            bot_id: Whom it is meant for.
            command: For example `cancel-remainder`.
            arguments: Must hold `actor` and `reason`.
        """
        result = await first_hook(
            self.roster.manager.hook.on_bot_command,
            deadline_s=_COMMAND_S,
            bot_id=bot_id,
            command=command,
            arguments=arguments,
        )
        if result is None:
            return None
        if result.error is not None:
            message = f"{result.plugin_name} failed: {type(result.error).__name__}: {result.error}"
            return CommandResult(ok=False, message=message)
        return result.value if isinstance(result.value, CommandResult) else None

    def _show_errors(self, hook: str, results: list[HookResult]) -> None:
        for result in results:
            if result.error is not None:
                show_hook_error(self._metrics, hook, result)
