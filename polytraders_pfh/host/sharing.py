"""The seam between one host's orders and the other hosts that share them; a lone host shares with nobody."""

from collections.abc import Awaitable
from contextvars import ContextVar
from typing import Final, Protocol

import pluggy

from polytraders_pfh.host.dispatch_events import Closed, Partial
from polytraders_pfh.host.orders import TrackedOrder
from polytraders_pfh.host.payloads import OrderNews


class LastWord(Protocol):
    """Why an order must not be sent, or empty; asked when the connection is there, before the first byte."""

    def __call__(self) -> str: ...


LAST_WORD: Final[ContextVar[LastWord | None]] = ContextVar("polytraders last word", default=None)


class Sharing(Protocol):
    """What the lifecycle and the dispatcher ask before orders and their events are this host's to handle."""

    def ours(self, order: TrackedOrder) -> bool:
        """Return whether this host tells the bots of this order now."""
        ...

    def learns(self, news: OrderNews) -> bool:
        """Return whether the others are asked about an order nobody here announced; it comes in later."""
        ...

    def announce(self, order: TrackedOrder) -> Awaitable[None]:
        """Tell the others of an order that is about to be posted; raises when they could not be told."""
        ...

    def before(self, order: TrackedOrder, event: Partial | Closed, ts_ms: int) -> Awaitable[bool]:
        """Make an event known before bots hear of it; False when it is no longer this host's to tell."""
        ...

    def after(self, order: TrackedOrder, event: Partial | Closed) -> Awaitable[None]:
        """Take in that the bots have answered an event."""
        ...

    def hooks(self, order: TrackedOrder, default: pluggy.HookRelay) -> pluggy.HookRelay:
        """Return through which hooks an order's bots hear of it."""
        ...


class Alone:
    """Everything is this host's."""

    def ours(self, order: TrackedOrder) -> bool:
        return True

    def learns(self, news: OrderNews) -> bool:
        return False

    async def announce(self, order: TrackedOrder) -> None:
        """Nobody to tell."""

    async def before(self, order: TrackedOrder, event: Partial | Closed, ts_ms: int) -> bool:
        return True

    async def after(self, order: TrackedOrder, event: Partial | Closed) -> None:
        """Nobody to tell."""

    def hooks(self, order: TrackedOrder, default: pluggy.HookRelay) -> pluggy.HookRelay:
        return default


ALONE: Final = Alone()
