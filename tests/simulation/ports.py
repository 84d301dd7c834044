"""The host's other services, each of which may fail, hang or lie as the seed has it."""

from __future__ import annotations

import asyncio

from polytraders_hookspecs import KillSwitchStatus, OrderFacts, SignedOrder, UnsignedOrder
from support.fake_host import FakeSigner

from simulation.faults import Faults
from simulation.world import World


class Signer(FakeSigner):
    """Hashes for real; the world remembers whose order each hash is."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    async def sign_order(self, order: UnsignedOrder) -> SignedOrder:
        """Sign, or fail, or sign something else."""
        world, faults = self._world, self._world.faults
        world.on_call()
        await world.pause()
        if faults.strikes("signer fails", 0.1):
            raise RuntimeError("no key")
        if faults.strikes("signer hangs", 0.05):
            await asyncio.sleep(10)
        self.twist = None
        if faults.strikes("signer changes the chain", 0.1):
            self.twist = lambda signed: signed.model_copy(update={"chain_id": 5})
        elif faults.strikes("signer changes an amount", 0.1):
            more = {"taker_amount_micro": order.taker_amount_micro + 1}
            self.twist = lambda signed: signed.model_copy(update=more)
        signed: SignedOrder = await super().sign_order(order)
        assert order.root_order_id is not None
        world.signed_for[signed.order_id] = world.orders[order.root_order_id].wish
        return signed


class BookKeeper:
    """The order-lifecycle manager. It knows the truth, when it answers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.asked = False

    async def get(self, order_id: str) -> OrderFacts | None:
        """Return an order's facts."""
        await self._pause(0.02)
        order = self._world.orders.get(order_id)
        return None if order is None or order.status == "COMING" else order.wish.facts(order)

    async def open_partials(self) -> tuple[OrderFacts, ...]:
        """Return what is partly filled and may still fill."""
        await self._pause(0.1)
        self.asked = True
        orders = self._world.orders.values()
        return tuple(o.wish.facts(o) for o in orders if o.open and o.matched and o.status != "COMING")

    async def _pause(self, most_s: float) -> None:
        if self._world.rng.random() < 0.5:
            await asyncio.sleep(self._world.rng.random() * most_s)
        if self._world.faults.strikes("facts fail", 0.35):
            raise ConnectionError("no facts")
        if self._world.faults.strikes("facts hang", 0.05):
            await asyncio.sleep(10)


class Switch:
    """The host's kill switch."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.on = False

    async def status(self) -> KillSwitchStatus:
        """Say whether it is on."""
        self._world.on_call()
        if self._world.rng.random() < 0.3:
            await asyncio.sleep(self._world.rng.random() * 0.02)
        if self._world.faults.strikes("kill switch fails", 0.1):
            raise ConnectionError("no switch")
        if self._world.faults.strikes("kill switch hangs", 0.05):
            await asyncio.sleep(10)
        return KillSwitchStatus(active=self.on, reason="the host's own" if self.on else "")


class Bus:
    """The report bus; it outlives every process, and keeps every copy that it got."""

    def __init__(self, faults: Faults, world: World) -> None:
        self._faults = faults
        self._world = world
        self.got: list[tuple[str, bytes]] = []

    async def publish(self, topic: str, key: str, payload: bytes, message_id: str) -> None:
        """Take a report, or not, or take it and not say so."""
        if self._world.rng.random() < 0.3:
            await asyncio.sleep(0.01)
        if self._faults.strikes("bus fails"):
            raise ConnectionError("no bus")
        if self._faults.strikes("bus hangs", 0.05):
            await asyncio.sleep(10)
        self.got.append((message_id, payload))
        self._world.story.tell("report {} reaches the bus", message_id)
        if self._faults.strikes("bus loses its acknowledgement", 0.1):
            raise ConnectionError("no acknowledgement")
