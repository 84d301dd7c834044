"""A second bot in the host, which does nothing but listen: what every bot was told, and the books it saw.

The lockstep asks it whether the host has heard everything; the oracle holds the reports to the events it
wrote down.
"""

from dataclasses import dataclass, field

from polytraders_hookspecs import (
    HOOKSPEC_VERSION,
    BookSnapshot,
    BookUpdate,
    BotManifest,
    HostServices,
    LastTrade,
    PartialFill,
    PriceChange,
    SignedEvent,
    StreamGap,
    hookimpl,
)

from polytraders_pfh.paper.core.model import BookView

PLUGIN_NAME = "demo.observer"

Sides = tuple[dict[int, int], dict[int, int]]
"""Bids and asks: price_micro to size_micro."""


@dataclass(eq=False)
class Observer:
    """Plugin and bot in one: one host, one observer.

    Attributes:
        partials: Every PARTIAL as it was handed over, oldest first.
        books: The books as the market channel told them.
    """

    partials: list[PartialFill] = field(default_factory=list)
    books: dict[str, Sides] = field(default_factory=dict)

    @hookimpl
    def register_bot(self, host: HostServices) -> "ObserverBot":
        """Join the host."""
        return ObserverBot(self)

    def events(self) -> set[tuple[str, int]]:
        """Return every PARTIAL handed over so far, as order id and time."""
        return {(partial.order_id, partial.event_ts_ms or 0) for partial in self.partials}

    def sees(self, view: BookView) -> bool:
        """Return whether the book told is the exchange's own, level by level."""
        told = self.books.get(view.token_id)
        return told is not None and told == (dict(view.bids), dict(view.asks))


class ObserverBot:
    """The bot's hooks."""

    def __init__(self, observer: Observer) -> None:
        self._seen = observer

    @hookimpl
    def describe_bot(self) -> BotManifest:
        """Say that this one only listens."""
        return BotManifest(
            bot_id=PLUGIN_NAME,
            name="Observer",
            version="1",
            hookspec_version=HOOKSPEC_VERSION,
            mode="shadow_only",
            modes=("shadow_only",),
            reads=("PartialFill", "BookUpdate"),
            emits=(),
            topics=(),
        )

    @hookimpl
    def on_partial_fill(self, envelope: SignedEvent) -> None:
        """Write down what the other bots are handed as well."""
        self._seen.partials.append(PartialFill.from_json(envelope.body))

    @hookimpl
    def on_book_update(self, update: BookUpdate) -> None:
        """Follow the book."""
        books = self._seen.books
        match update:
            case BookSnapshot():
                books[update.token_id] = (dict(update.bids), dict(update.asks))
            case PriceChange():
                book = books.get(update.token_id)
                if book is not None:
                    _set(book[0 if update.bid else 1], update.price_micro, update.size_micro)
            case StreamGap():
                for token_id in update.token_ids or tuple(books):
                    books.pop(token_id, None)
            case LastTrade():
                pass
            case _:
                books.pop(update.token_id, None)


def _set(side: dict[int, int], price_micro: int, size_micro: int) -> None:
    if size_micro:
        side[price_micro] = size_micro
    else:
        side.pop(price_micro, None)
