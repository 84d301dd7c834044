"""Two other ways to do the job, on the same services: the card's pseudocode, and a chaser as is common.

Both are given more than they ask for: true and authentic events only, order facts where an event has none,
and exact integers. Neither is sabotaged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

from polytraders_hookspecs import BookSnapshot, ExchangeReply, PartialFill, SignedOrder, UnsignedOrder
from polytraders_hookspecs.wire import to_micro
from support.fake_host import BUILDER, MARKET

from simulation.process import Process, Services, Setup
from simulation.truth import MICRO, Order
from simulation.world import LOT, World

MIN_REMAINDER_USD: Final = 5 * MICRO
MAX_TICKS: Final = 3
LEVELS: Final = 5
ANSWER: Final = SimpleNamespace(verdict="DONE")
PATIENCE_S: Final = 2.0
ATTEMPTS: Final = 3


class Rival:
    """What both have in common: hooks that do nothing, and an order in exact integers."""

    def __init__(self, world: World, services: Services, default_policy: str) -> None:
        self.world = world
        self.services = services
        self.default_policy = default_policy
        self.engine = SimpleNamespace(
            tools=SimpleNamespace(kill=SimpleNamespace(latched=False)),
            coordinator=SimpleNamespace(in_flight=0),
        )

    async def on_partial_fill(self, envelope: Any) -> Any:
        """Do what is done on a partial fill."""
        event = PartialFill.from_json(envelope.body)
        await self.handle(event, self.world.orders[event.order_id])
        return ANSWER

    async def handle(self, event: PartialFill, order: Order) -> None:
        """Do it."""
        raise NotImplementedError

    async def on_host_start(self) -> None:
        """Nothing is known from before."""

    async def on_host_stop(self) -> None:
        """Nothing is to be finished."""

    async def on_order_closed(self, envelope: Any) -> None:
        """It is over."""

    def on_decision_report(self, envelope: Any) -> None:
        """Nobody asked."""

    def on_book_update(self, update: Any) -> None:
        """The book is read when it is needed."""

    def on_killswitch(self, signal: Any) -> asyncio.Future[list[Any]]:
        """The switch is asked at the next event."""
        self.engine.tools.kill.latched = True
        done: asyncio.Future[list[Any]] = self.world.loop.create_future()
        done.set_result([])
        return done

    async def on_bot_command(self, bot: str, command: str, arguments: dict[str, str]) -> Any:
        """Cancel by hand, or reset."""
        if command == "reset-kill":
            self.engine.tools.kill.latched = False
        elif "order" in arguments:
            await self.cancel(arguments["order"])
        return SimpleNamespace(ok=True)

    def policy(self, order: Order) -> str:
        """Return what the strategy wants, or what the config says."""
        return order.wish.strategy.partial_fill_policy or self.default_policy

    async def cancel(self, order_id: str) -> ExchangeReply:
        """Ask for the cancel of an order."""
        return await self.services.clob_auth.cancel_orders((order_id,))

    async def signed(self, order: Order, price: int, size: int) -> SignedOrder:
        """Build a new order for the rest of another, and have it signed."""
        wish = order.wish
        usd = price * size // MICRO
        asked = UnsignedOrder(
            token_id=wish.token,
            market_id=MARKET,
            side=wish.side,  # type: ignore[arg-type]
            price_micro=price,
            size_micro=size,
            maker_amount_micro=usd if wish.buying else size,
            taker_amount_micro=size if wish.buying else usd,
            builder_code=BUILDER,
            neg_risk=False,
            trace_id=wish.trace,
            root_order_id=order.order_id,
        )
        return await self.services.signer.sign_order(asked)


def best(book: BookSnapshot, order: Order) -> int:
    """Return the price at which an order would trade at once; the middle when that side is empty."""
    prices = [price for price, _ in (book.asks if order.wish.buying else book.bids)]
    return (min(prices) if order.wish.buying else max(prices)) if prices else 0


def shares(usd: int, price: int) -> int:
    """Return so many pUSD as shares, in whole lots."""
    size = usd * MICRO // price
    return size - size % LOT


class Card(Rival):
    """The pseudocode of the card, line by line. `remaining` in pUSD is posted as that many pUSD's shares."""

    async def handle(self, event: PartialFill, order: Order) -> None:
        """Do what the card says."""
        if (await self.services.kill_switch.status()).active:
            await self.cancel(event.order_id)
            return
        remaining = to_micro(event.remaining_usd)
        if remaining < MIN_REMAINDER_USD:
            await self.cancel(event.order_id)
            return
        book = await self.services.clob_public.get_book(order.wish.token)
        side = book.asks if order.wish.buying else book.bids
        depth = sum(price * size // MICRO for price, size in side[:LEVELS])
        if depth < remaining:
            await self.cancel(event.order_id)
            return
        policy = self.policy(order)
        if policy == "cancel":
            await self.cancel(event.order_id)
        elif policy == "chase":
            price = best(book, order)
            ticks_away = abs(price - order.price) / (book.tick_micro or 1)
            await self.cancel(event.order_id)
            if ticks_away <= MAX_TICKS:
                new = await self.signed(order, price, shares(remaining, order.price))
                await self.services.clob_auth.post_order(new)


class CancelThenPlace(Rival):
    """One worker an order, requests that are retried, no second look at what was replaced: common care."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._taken: set[str] = set()

    async def handle(self, event: PartialFill, order: Order) -> None:
        """Cancel what is left, and once that has worked place it anew at the best price."""
        policy = self.policy(order)
        if order.order_id in self._taken or policy == "hold" or self.engine.tools.kill.latched:
            return
        self._taken.add(order.order_id)
        if not await self._cancelled(order):
            self._taken.discard(order.order_id)
        elif policy == "chase":
            await self._place(order, to_micro(event.remaining_usd))

    async def _cancelled(self, order: Order) -> bool:
        """Cancel; a 200 is taken for done, as is an order that is not there any more."""
        for _ in range(ATTEMPTS):
            reply = await _patiently(lambda: self.cancel(order.order_id))
            if reply is not None and reply.status == 200:
                return True
        return False

    async def _place(self, order: Order, remaining_usd: int) -> None:
        """Place the rest; what failed is built, signed and sent once more."""
        for _ in range(ATTEMPTS):
            try:
                book = await self.services.clob_public.get_book(order.wish.token)
                price, size = best(book, order), shares(remaining_usd, order.price)
                if (
                    not price
                    or abs(price - order.price) > MAX_TICKS * (book.tick_micro or 1)
                    or size < 5 * MICRO
                ):
                    return
                new = await self.signed(order, price, size)
            except Exception:  # a book or a signer that fails is tried again
                continue
            if self.engine.tools.kill.latched or (await self.services.kill_switch.status()).active:
                return
            reply = await _patiently(lambda new=new: self.services.clob_auth.post_order(new))
            if reply is not None and reply.status in {200, 400}:
                return


async def _patiently(ask: Callable[[], Any]) -> ExchangeReply | None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            reply: ExchangeReply = await ask()
    except Exception:  # no answer, as far as anybody can say
        return None
    return reply


class RivalProcess(Process):
    """One life of a host with another bot."""

    def __init__(self, life: int, setup: Setup, kind: type[Rival]) -> None:
        super().__init__(life, setup)
        bot = kind(setup.world, self.services, setup.settings.defaults.default_policy)
        self.bot = bot  # type: ignore[assignment]
        self.engine = bot.engine  # type: ignore[assignment]

    @property
    def is_open(self) -> bool:
        """There is no log to open."""
        return True
