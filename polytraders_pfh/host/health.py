"""Health as this host serves it: its own, and each bot's with what the host knows better.

The host reads its open orders every half minute, so whether the exchange's trading side answers is never
old news here; a bot in shadow mode may not have asked for hours.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from polytraders_hookspecs import BotHealth, call_hook
from polytraders_hookspecs.events import TradingStatus

from polytraders_pfh.host.calls import Reach
from polytraders_pfh.host.clob import ClobAdapter
from polytraders_pfh.host.discovery import BotRoster, RegisteredBot
from polytraders_pfh.host.heartbeat import Heartbeat, Pulse
from polytraders_pfh.host.rate_limits import GROUPS

Status = Literal["green", "amber", "red"]

HOST_HEALTH: Final = {
    "status": "`green`, `amber` or `red`",
    "reasons": "a sentence each, the red ones first; empty when green",
    "trading": "`open`, `post_only`, `cancel_only` or `closed`, as far as the exchange has said",
    "limited_ms": "per group of calls, for how long it is still inside a limit that the exchange named",
    "heartbeat": "`off`, `steady`, `contested` or `silent`: the exchange's dead-man switch",
    "clob_auth": "`reachable`, `unreachable`, or `not asked yet`: the trading side, by its last answer",
    "clob_public": "the same of the side that gives books",
}
"""Every member of the host's own health, and what it is."""


@dataclass(frozen=True, slots=True)
class HostHealth:
    """How the host stands; its members are `HOST_HEALTH`."""

    status: Status
    reasons: tuple[str, ...]
    trading: TradingStatus
    limited_ms: dict[str, int]
    heartbeat: Pulse | Literal["off"]
    clob_auth: Reach
    clob_public: Reach

    def members(self) -> dict[str, Any]:
        """Return it as JSON members."""
        return asdict(self)


def host_health(clob: ClobAdapter, heartbeat: Heartbeat | None) -> HostHealth:
    """Return how the host stands now: red when it cannot trade at all, amber when held back."""
    pulse: Pulse | Literal["off"] = heartbeat.pulse if heartbeat else "off"
    limited_ms: dict[str, int] = {group: clob.limits.left_ms(group) for group in GROUPS}
    trading = clob.trading.now()
    red, amber = _unreachable(clob.reach["clob_auth"], clob.reach["clob_public"])
    if heartbeat and pulse in {"silent", "contested"}:
        red.insert(0, f"no order is posted: {heartbeat.obstacle()}")
    amber += [f"{group} are limited for {ms} ms" for group, ms in limited_ms.items() if ms]
    if trading != "open":
        amber.append(f"trading is {trading.replace('_', '-')}")
    status: Status = "red" if red else "amber" if amber else "green"
    reach = clob.reach
    return HostHealth(
        status,
        tuple(red + amber),
        trading,
        limited_ms,
        pulse,
        clob_auth=reach["clob_auth"],
        clob_public=reach["clob_public"],
    )


def bot_health(roster: BotRoster, bot: RegisteredBot, host: HostHealth) -> dict[str, Any]:
    """Return a bot's health as JSON members: its own answer, and the exchange as the host last found it.

    A bot that cannot say how it is reads as red, `kill_switch_active` null: nobody knows.
    """
    (result,) = call_hook(roster.only("check_health", bot)) or (None,)
    if result is None or not isinstance(result.value, BotHealth):
        error = result.error if result is not None and result.error else "it gave no health"
        reason = f"check_health failed: {type(error).__name__}: {error}"
        members: dict[str, Any] = {"bot_id": bot.bot_id, "status": "red", "reasons": (reason,)}
        members |= {"mode": bot.manifest.mode, "kill_switch_active": None, "figures": {}}
    else:
        members = result.value.model_dump()
    red, amber = _unreachable(host.clob_auth, host.clob_public)
    told = set(members["reasons"])
    red, amber = [r for r in red if r not in told], [r for r in amber if r not in told]
    status = "red" if red else "amber" if amber and members["status"] == "green" else members["status"]
    return {**members, "status": status, "reasons": (*red, *members["reasons"], *amber)}


def worst(statuses: Iterable[str]) -> Status:
    """Return the worst of these colours; green when there are none."""
    found = set(statuses)
    return "red" if "red" in found else "amber" if "amber" in found else "green"


def _unreachable(auth: Reach, public: Reach) -> tuple[list[str], list[str]]:
    """Return the red and the amber reasons (the card: red when clob_auth is unreachable)."""
    red = ["the exchange's trading side did not answer the last request"] if auth == "unreachable" else []
    amber = ["the exchange's books did not answer the last request"] if public == "unreachable" else []
    return red, amber
