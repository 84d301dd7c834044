"""How orders, verdicts and times are written on a screen."""

from datetime import UTC, datetime
from typing import Final

from polytraders_pfh.core.money import plain
from polytraders_pfh.demo.board import Card
from polytraders_pfh.demo.desk import Intent

STYLES: Final = {
    "HOLD_REMAINDER": "cyan",
    "CANCELLED_REMAINDER": "yellow",
    "CHASE_ORDER_SUBMITTED": "green",
    "PARTIAL_FILL_DUST_AUTO_CANCEL": "magenta",
    "PARTIAL_FILL_BOOK_THIN_CANCEL": "magenta",
    "PARTIAL_FILL_CHASE_ABORTED": "yellow",
    "REMAINDER_CLOSED": "dim",
    "KILL_SWITCH_ACTIVE": "bold red",
}
"""A colour per verdict; others stand out in red."""

SHORT: Final = {
    "HOLD_REMAINDER": "held",
    "CANCELLED_REMAINDER": "cancelled",
    "CHASE_ORDER_SUBMITTED": "chased",
    "PARTIAL_FILL_DUST_AUTO_CANCEL": "dust",
    "PARTIAL_FILL_BOOK_THIN_CANCEL": "thin book",
    "PARTIAL_FILL_CHASE_ABORTED": "too far",
    "REMAINDER_CLOSED": "closed",
    "KILL_SWITCH_ACTIVE": "kill switch",
}
"""A verdict in the table's few letters; the summary has the codes."""


def verdict_style(verdict: str) -> str:
    """Return the colour of a verdict; none without one."""
    return STYLES.get(verdict, "red") if verdict else ""


def short_verdict(verdict: str) -> str:
    """Return a verdict in a word or two."""
    return SHORT.get(verdict, verdict)


def order_text(intent: Intent) -> str:
    """Return an order as a trader says it: BUY 250 Up at 0.51."""
    return f"{intent.side} {plain(intent.size_micro)} {intent.outcome} at {plain(intent.price_micro)}"


def clock_text(at_ms: int) -> str:
    """Return a time of the played market, UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%H:%M:%S}"


def date_text(at_ms: int) -> str:
    """Return a date and time of the played market, UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S}"


def bar(card: Card, width: int) -> str:
    """Return how much of an intent is filled, drawn."""
    eighths = min(card.filled_micro * width * 8 // max(card.intent.size_micro, 1), width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + ("▏▎▍▌▋▊▉"[rest - 1] if rest else "")).ljust(width, "·")
