"""Green, amber or red, by the card's thresholds, each colour with its reasons in sentences.

Rates are per minute over a sliding five minutes, compared as counts so that nothing rounds:
dust cancels green below 0.2, red above 1; chase aborts green below 0.1, red above 0.5. Whether the
exchange can be reached is what its last answer, or silence, to this bot says; a bot that has not asked yet
does not know, says so in its figures, and leaves it to the host, which asks all the time.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from polytraders_hookspecs.reports import BotHealth

from polytraders_pfh.config import BOT_ID
from polytraders_pfh.engine.assembly import Engine
from polytraders_pfh.telemetry.rates import WINDOW_MS

_MINUTES: Final = WINDOW_MS // 60_000


@dataclass(frozen=True, slots=True)
class _Threshold:
    """Green below `amber_tenths`, red above `red_tenths`; both in tenths of an event per minute."""

    what: str
    amber_tenths: int
    red_tenths: int


FIGURES: Final = {
    "clob_auth": "`reachable`, `unreachable`, or `not asked yet`: the trading side, by its last answer",
    "clob_public": "the same of the side that gives books",
    "dust_cancels_5m": "dust cancels within the last five minutes",
    "dust_cancels_per_min": "the same per minute, exact",
    "chase_aborts_5m": "chase aborts within the last five minutes",
    "chase_aborts_per_min": "the same per minute, exact",
    "in_flight": "partial fills in work now",
    "active_intents": "intents kept in memory now",
    "pending_reports": "reports that the bus has not acknowledged",
    "config_mode": "the config's mode, which `mode` stands below when somebody lowered it",
}
"""Every figure of this bot's health, and what it is."""

_REACH: Final = {None: "not asked yet", True: "reachable", False: "unreachable"}
_DUST: Final = _Threshold("dust cancels", 2, 10)
_ABORTS: Final = _Threshold("chase aborts", 1, 5)


def check(engine: Engine) -> BotHealth:
    """Return the bot's health from what is already known; nothing is asked."""
    amber: list[str] = []
    red: list[str] = []
    tools, now_ms = engine.tools, engine.tools.clock.now_ms()
    if tools.exchange.auth_reachable is False:
        red.append("the exchange's trading side did not answer the last request")
    if tools.exchange.public_reachable is False:
        amber.append("the exchange's books did not answer the last request")
    dust, aborts = engine.reporter.dust.count(now_ms), engine.reporter.aborts.count(now_ms)
    for count, threshold in ((dust, _DUST), (aborts, _ABORTS)):
        rate = f"{threshold.what} ran at {Decimal(count) / _MINUTES} per minute over {_MINUTES} minutes"
        if count * 10 > threshold.red_tenths * _MINUTES:
            red.append(f"{rate}; red is above {Decimal(threshold.red_tenths) / 10}")
        elif count * 10 >= threshold.amber_tenths * _MINUTES:
            amber.append(f"{rate}; green is below {Decimal(threshold.amber_tenths) / 10}")
    _add_state(engine, amber, red)
    return BotHealth(
        bot_id=BOT_ID,
        status="red" if red else "amber" if amber else "green",
        reasons=tuple(red + amber),
        mode=tools.mode.now.value,
        kill_switch_active=tools.kill.latched,
        figures={
            "clob_auth": _REACH[tools.exchange.auth_reachable],
            "clob_public": _REACH[tools.exchange.public_reachable],
            "dust_cancels_5m": dust,
            "dust_cancels_per_min": Decimal(dust) / _MINUTES,
            "chase_aborts_5m": aborts,
            "chase_aborts_per_min": Decimal(aborts) / _MINUTES,
            "in_flight": engine.coordinator.in_flight,
            "active_intents": len(tools.intents),
            "pending_reports": len(engine.outbox),
            "config_mode": tools.mode.ceiling.value,
        },
    )


def _add_state(engine: Engine, amber: list[str], red: list[str]) -> None:
    tools = engine.tools
    if tools.journal.failed:
        red.append(f"the journal failed: {tools.journal.failed}")
    obstacle = tools.obstacle()
    if obstacle:
        red.append(f"nothing is posted: {obstacle}")
    if engine.outbox.lost:
        red.append(f"{engine.outbox.lost} reports are lost: the journal failed while the bus was down")
    stopped = [intent for intent in tools.intents if intent.stopped]
    if stopped:
        first = stopped[0]
        red.append(f"{len(stopped)} intents are stopped, first {first.root_order_id}: {first.stopped}")
    if tools.mode.lowered:
        amber.append(
            f"mode was lowered to {tools.mode.now} by {tools.mode.why}; the config's is {tools.mode.ceiling}"
        )
    if tools.kill.latched:
        amber.append("the kill switch is latched; reset it by hand once the cause is mended")
