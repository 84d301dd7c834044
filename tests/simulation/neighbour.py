"""Another bot on the same host, which takes some chases, forgets others, and fails in the middle of some."""

from __future__ import annotations

import asyncio

from polytraders_hookspecs import CancelReplace, CancelReplaceResult, hookimpl
from polytraders_hookspecs.wire import from_micro, to_micro

from simulation.truth import MICRO, Order, Wish
from simulation.world import LOT, World


class Neighbour:
    """An optimiser that stands before this plugin in line."""

    def __init__(self, world: World) -> None:
        self._world = world

    @hookimpl
    async def on_cancel_replace(self, instruction: CancelReplace) -> CancelReplaceResult | None:
        """Carry out a chase, or leave it to the next in line."""
        world, fate = self._world, self._world.rng.random()
        world.on_call()
        await world.pause()
        if fate < 0.5:
            return None
        if fate < 0.58:
            raise RuntimeError("half way")
        if fate < 0.62:
            await asyncio.sleep(40)
            return None
        order = world.orders[instruction.order_id]
        if order.status != "LIVE":
            return CancelReplaceResult(outcome="closed" if not order.open else "cancel_unconfirmed")
        world.end(order, "the neighbour took it")
        size, price = self._size(order.wish, order, instruction), to_micro(instruction.price)
        if fate < 0.72 or size < 5 * MICRO or world.bot_is_killed():
            return CancelReplaceResult(outcome="cancelled")
        new = Order(world.new_id(), order.wish.next_name(), order.wish, size, price)
        order.wish.sent.append(new.order_id)
        order.wish.orders.append(new)
        world.orders[new.order_id] = new
        world.changed = True
        world.story.tell("the neighbour posts {}: {} at {}", new.name, size, price)
        return CancelReplaceResult(
            outcome="unconfirmed" if fate < 0.8 else "posted",
            new_order_id=new.order_id,
            price=from_micro(price),
            size_shares=from_micro(size),
        )

    def _size(self, wish: Wish, order: Order, instruction: CancelReplace) -> int:
        """Return the most that it may post: an honest neighbour, which knows what filled."""
        price = to_micro(instruction.price)
        filled = sum(o.filled for o in wish.orders)
        spent = sum(o.filled * o.price for o in wish.orders)
        most = min(order.size - order.matched, to_micro(instruction.max_size_shares), wish.size - filled)
        most = min(most, max(wish.size * wish.price - spent, 0) // price)
        if wish.declared is not None:
            most = min(most, max(wish.declared - filled, 0))
        most = min(most, to_micro(instruction.max_cost_usd) * MICRO // price)
        return most - most % LOT
