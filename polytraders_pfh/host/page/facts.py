"""From the host's orders and reports to what a person reads at a glance: short texts, exact numbers."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from polytraders_hookspecs import ExecutionReport, from_micro

from polytraders_pfh.core.reasons import TEXTS, Reason
from polytraders_pfh.host.orders import TrackedOrder, usd_filled

_TONES: Final = {"INFO": "calm", "WARN": "amber", "HARD_REJECT": "red"}


@dataclass(frozen=True, slots=True)
class Remainder:
    """One row: an order that filled in part and rests. Sizes in shares, money in pUSD."""

    order_id: str
    short: str
    side: str
    price: str
    filled: str
    size: str
    left_usd: str
    age: str
    strategy: str
    chases: str
    last: "Decision | None"


@dataclass(frozen=True, slots=True)
class Decision:
    """One report as a row.

    `tone` is calm, amber or red; `warnings` are code and meaning, `facts` name and value.
    """

    at: str
    order_id: str
    short: str
    verdict: str
    tone: str
    warnings: tuple[tuple[str, str], ...]
    why: str
    held_back: str
    interim: bool
    facts: tuple[tuple[str, str], ...]


def remainder(order: TrackedOrder, last: ExecutionReport | None, now_ms: int) -> Remainder:
    """Return an order as a row, with what was decided last about it."""
    left_micro = usd_filled(order.size_micro, order.price_micro) - usd_filled(
        order.filled_micro, order.price_micro
    )
    return Remainder(
        order_id=order.order_id,
        short=short(order.order_id),
        side=order.side,
        price=_number(order.price_micro),
        filled=_number(order.filled_micro),
        size=_number(order.size_micro),
        left_usd=_number(left_micro),
        age=age(now_ms - order.known_ms),
        strategy=(order.strategy.id if order.strategy else None) or "",
        chases=short(order.root_order_id) if order.root_order_id else "",
        last=decision(last) if last else None,
    )


def decision(report: ExecutionReport) -> Decision:
    """Return a report as a row."""
    figures = {
        "filled": report.filled_usd,
        "left": report.remaining_usd,
        "depth": report.book_depth_usd,
        "ticks": report.ticks_to_fill,
        "chase": report.chase_price,
        "shares": report.chase_size_shares,
    }
    return Decision(
        at=moment(report.evaluated_at_ms),
        order_id=report.order_id or "",
        short=short(report.order_id) if report.order_id else "no order",
        verdict=report.verdict,
        tone=_TONES.get(report.severity or "", "calm"),
        warnings=tuple((code, _meaning(code, "")) for code in report.warnings or ()),
        why=" ".join(text for text in (_meaning(report.verdict, report.user_message), report.detail) if text),
        held_back=f"{report.mode}: not sent" if report.executed is False and report.mode else "",
        interim=report.final is False,
        facts=tuple((name, format(value, "f")) for name, value in figures.items() if value is not None),
    )


def _meaning(code: str, otherwise: str | None) -> str:
    """Return what one of this plugin's codes means; of another bot's code, what that bot says of it."""
    return TEXTS[Reason(code)].meaning if code in Reason.__members__ else otherwise or ""


def short(order_id: str) -> str:
    """Return enough of an id to tell it apart by eye."""
    return order_id if len(order_id) <= 14 else f"{order_id[:8]}…{order_id[-4:]}"


def age(ms: int) -> str:
    """Return a length of time in its two largest units at most."""
    minutes, seconds = divmod(max(ms, 0) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    found = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(found[:2]) or "0 s"


def moment(ms: int) -> str:
    """Return a time of day in UTC, to the second."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%H:%M:%S")


def _number(micro: int) -> str:
    return format(from_micro(micro), "f")
