"""The host's own health: whether it may post, and what holds it back. Bots tell theirs by `check_health`."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from polytraders_hookspecs.events import TradingStatus

from polytraders_pfh.host.clob import ClobAdapter
from polytraders_pfh.host.heartbeat import Heartbeat, Pulse
from polytraders_pfh.host.rate_limits import GROUPS

Status = Literal["green", "amber", "red"]


@dataclass(frozen=True, slots=True)
class HostHealth:
    """`limited_ms` is for how long each group of calls is still inside a limit that the exchange named."""

    status: Status
    reasons: tuple[str, ...]
    trading: TradingStatus
    limited_ms: dict[str, int]
    heartbeat: Pulse | Literal["off"]

    def members(self) -> dict[str, Any]:
        """Return it as JSON members."""
        return asdict(self)


def host_health(clob: ClobAdapter, heartbeat: Heartbeat | None) -> HostHealth:
    """Return how the host stands now: red without a heartbeat that was asked for, amber when held back."""
    pulse: Pulse | Literal["off"] = heartbeat.pulse if heartbeat else "off"
    limited_ms: dict[str, int] = {group: clob.limits.left_ms(group) for group in GROUPS}
    trading = clob.trading.now()
    reasons = [f"{group} are limited for {ms} ms" for group, ms in limited_ms.items() if ms]
    if trading != "open":
        reasons.append(f"trading is {trading.replace('_', '-')}")
    if pulse == "contested":
        reasons.append("another sender moves this key's heartbeat ids; give each sender a key of its own")
    if heartbeat and pulse == "silent":
        reasons.insert(0, f"no order is posted: {heartbeat.obstacle()}")
    status: Status = "red" if pulse == "silent" else "amber" if reasons else "green"
    return HostHealth(status, tuple(reasons), trading, limited_ms, pulse)
