"""What to post once the old order is proven dead: price and size on the book as it is now."""

from dataclasses import dataclass

from polytraders_hookspecs.events import CancelReplace
from polytraders_hookspecs.wire import to_micro

from polytraders_pfh.core.chase import below_minimum, chase_size, within_cap
from polytraders_pfh.core.market import BookView, Side, Trading
from polytraders_pfh.core.money import MICRO, lots_down
from polytraders_pfh.core.reasons import Reason
from polytraders_pfh.engine.intents import Intent


@dataclass(frozen=True, slots=True)
class Plan:
    """An order to be posted: price and size in micro, the worst price allowed, and the kind of market."""

    price_micro: int
    size_micro: int
    cap_micro: int
    neg_risk: bool


def plan_on(
    intent: Intent,
    instruction: CancelReplace,
    book: BookView | None,
    neg_risk: bool | None,
    now_ms: int,
    max_book_age_ms: int,
) -> Plan | str:
    """Return price and size on this book, inside the instruction's bounds, or why nothing is posted."""
    if book is None or book.fault is not None or now_ms - book.as_of_ms > max_book_age_ms:
        return Reason.BOOK_UNTRUSTED.value if book is not None else Reason.BOOK_UNAVAILABLE.value
    if neg_risk is None:
        return "whether the market is a neg-risk one is not known"
    if book.trading is not Trading.OPEN:
        return f"the market is {book.trading.value}"
    cap = _on_grid(intent.side, to_micro(instruction.cap_price), book.tick_micro)
    contra = book.best_ask if intent.side is Side.BUY else book.best_bid
    price = contra if contra is not None and within_cap(intent.side, contra, cap) else cap
    size, usd = intent.rest_without_working()
    size = min(size, intent.working.size_micro - intent.working.filled_micro)
    most = chase_size(price, size, min(usd, to_micro(instruction.max_cost_usd)))
    most = lots_down(min(most, to_micro(instruction.max_size_shares)))
    if below_minimum(intent.side, price, most, book) is not None:
        return Reason.BELOW_MIN_ORDER_SIZE.value
    return Plan(price, most, cap, neg_risk)


def _on_grid(side: Side, cap_micro: int, tick_micro: int) -> int:
    """Return the cap on the grid as it is now, rounded to the safe side."""
    if side is Side.BUY:
        return min(cap_micro - cap_micro % tick_micro, MICRO - tick_micro)
    return max(cap_micro + -cap_micro % tick_micro, tick_micro)
