"""How the whole host stands now: its health, its bots', the kill switch, what rests. For door and page."""

from collections.abc import Callable
from typing import Any

from polytraders_pfh.host.discovery import BotRoster
from polytraders_pfh.host.errors import KillSwitchUnknown
from polytraders_pfh.host.health import HostHealth, bot_health, worst
from polytraders_pfh.host.kill import FileKillSwitch
from polytraders_pfh.host.lifecycle import OrderLifecycle
from polytraders_pfh.host.orders import TrackedOrder


class Standing:
    """One host's standing."""

    def __init__(
        self,
        roster: BotRoster,
        kill_switch: FileKillSwitch,
        lifecycle: OrderLifecycle,
        health: Callable[[], HostHealth],
    ) -> None:
        self._roster = roster
        self._kill_switch = kill_switch
        self._lifecycle = lifecycle
        self._health = health

    def remainders(self) -> list[TrackedOrder]:
        """Return every order that filled in part and may still fill, oldest first."""
        return [order for order in self._lifecycle.open_orders() if order.filled_micro]

    async def members(self) -> dict[str, Any]:
        """Return it as JSON members: `status` is the worst of host and bots, `active` null when unknown."""
        host = self._health()
        bots = [bot_health(self._roster, bot, host) for bot in self._roster.bots]
        try:
            switch: dict[str, Any] = (await self._kill_switch.status()).model_dump()
        except KillSwitchUnknown as e:
            switch = {"active": None, "reason": str(e)}
        return {
            "status": worst([host.status, *(bot["status"] for bot in bots)]),
            "kill_switch": switch,
            "open_remainders": len(self.remainders()),
            "host": host.members(),
            "bots": bots,
            "refused": [{"plugin": bot.plugin_name, "reason": bot.reason} for bot in self._roster.refused],
        }
