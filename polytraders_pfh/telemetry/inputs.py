"""What a decision was made from, as attributes of its span: the same figures that the rules looked at."""

from opentelemetry.util.types import AttributeValue

from polytraders_pfh.core.market import BookView
from polytraders_pfh.core.money import plain
from polytraders_pfh.core.policy import Kill, Limits, Remainder
from polytraders_pfh.telemetry import names


def decision_inputs(
    remainder: Remainder, book: BookView | None, limits: Limits, kill: Kill, now_ms: int
) -> dict[str, AttributeValue]:
    """Return the inputs of `core.policy.decide`. Prices and amounts are exact decimal texts.

    Compute it only for a span that records.
    """
    inputs: dict[str, AttributeValue] = {
        names.ATTR_PRICE: plain(remainder.price_micro),
        names.ATTR_ROOT_PRICE: plain(remainder.root_price_micro),
        names.ATTR_FILLED_USD: plain(remainder.filled_usd_micro),
        names.ATTR_REMAINING_USD: plain(remainder.remaining_usd_micro),
        names.ATTR_MIN_REMAINDER_USD: plain(limits.min_remainder_usd_micro),
        names.ATTR_CHASE_MAX_TICKS: limits.chase_max_ticks,
        names.ATTR_CANCEL_ON_BOOK_THIN: limits.cancel_on_book_thin,
        names.ATTR_KILL: kill.value,
    }
    if book is not None:
        inputs[names.ATTR_BOOK_AGE_MS] = now_ms - book.as_of_ms
        if book.best_bid is not None:
            inputs[names.ATTR_BEST_BID] = plain(book.best_bid)
        if book.best_ask is not None:
            inputs[names.ATTR_BEST_ASK] = plain(book.best_ask)
    return inputs
