"""The market waits while an order is being handled: playback goes on when exchange and host are at rest.

At rest means: the host has heard of every fill and every end, the bots have seen the books as they are,
every PARTIAL has its final report, and nothing is queued. Since no market time passes meanwhile, the same
seed gives the same decisions on any machine; latency is not simulated.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from polytraders_hookspecs import ExecutionReport, read_json

from polytraders_pfh.demo.errors import NotAtRest
from polytraders_pfh.demo.lives import Lives
from polytraders_pfh.demo.world import World
from polytraders_pfh.paper.core.model import OrderRecord

PATIENCE_S: Final = 30.0
BOOKS_IN_FLIGHT: Final = 200
"""Steps between two waits for the market channel, so that its queue stays short."""


class Lockstep:
    """Waits for rest, and collects the reports that come meanwhile.

    Attributes:
        reports: Every report of the bus so far, oldest first.
    """

    def __init__(self, world: World) -> None:
        self._w = world
        self.reports: list[dict[str, Any]] = []
        self._open: dict[str, None] = {}
        self._awaited: set[tuple[str, int]] = set()
        self._taken: set[str] = set()
        self._partials_read = 0
        self._unseen_steps = 0
        if isinstance(world.hosts, Lives):
            world.hosts.at_death.append(self._take_reports)

    def expect(self, reports: Iterable[ExecutionReport]) -> None:
        """Be at rest only once the bus has these final reports too."""
        self._awaited |= {(report.order_id or "", report.event_ts_ms or 0) for report in reports}
        self._awaited -= {
            (r.get("order_id", ""), r.get("event_ts_ms", 0)) for r in self.reports if r["final"]
        }

    async def after_step(self) -> bool:
        """Tell the streams what the step did; wait when it concerned an order of ours. True when it did."""
        self._w.server.pump()
        if self._w.exchange.held_orders():
            await self.rest()
            return True
        self._unseen_steps += 1
        if self._unseen_steps >= BOOKS_IN_FLIGHT:
            await self._until_books_are_seen()
        else:
            await self._w.clock.turn()
        return False

    async def rest(self) -> None:
        """Return when nothing is on its way any more.

        Raises:
            NotAtRest: It did not come to that; names what was missing.
        """
        missing = "nothing was waited for"
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (missing := self._missing()) or not await self._answered():
                    await self._w.clock.turn()
        except TimeoutError:
            raise NotAtRest(
                f"exchange and host were not at rest within {PATIENCE_S:g} s: {missing}; "
                "run it again with the same --seed, and report it if it happens again"
            ) from None

    def _missing(self) -> str:
        """Return what is still to happen, or nothing. Lets go what may be told by now."""
        exchange, trouble = self._w.exchange, self._w.trouble
        self._w.server.pump()
        if trouble is not None and (missing := trouble.missing()):
            return missing
        held = exchange.held_orders()
        if held:
            if unseen := self._unseen({record.request.token_id for record in held.values()}):
                return f"the host had not seen the book of token {unseen}"
            self._open |= dict.fromkeys(held)
            exchange.release()
            self._w.server.pump()
            return "orders were told to the host just now"
        return self._order_behind() or self._report_missing()

    async def _answered(self) -> bool:
        """Let the host answer every event it has queued; True when that brought nothing new."""
        return await self._w.host.settle(PATIENCE_S) and not self._missing()

    def _unseen(self, tokens: Iterable[str]) -> str:
        for token_id in tokens:
            view = self._w.exchange.book(token_id, self._w.clock.now_ms())
            if token_id in self._watched() and not self._w.observer.sees(view):
                return token_id
        return ""

    def _watched(self) -> frozenset[str]:
        return self._w.host.lifecycle.tokens()

    def _order_behind(self) -> str:
        for order_id in list(self._open):
            record = self._w.exchange.order(order_id)
            if record is None or not (self._host_knows(record) or self._is_history(record)):
                return f"the host had not heard all of order {order_id}"
            if not record.is_open:
                del self._open[order_id]
        return ""

    def _host_knows(self, record: OrderRecord) -> bool:
        tracked = self._w.host.lifecycle.order(record.order_id)
        if tracked is None:
            return False
        heard = tracked.filled_micro == record.size_matched_micro == tracked.reported_micro
        return heard and record.is_open == (tracked.end is None)

    def _is_history(self, record: OrderRecord) -> bool:
        """Return whether an order ended, and was told, before the host that runs now was started."""
        gone = not record.is_open and self._w.host.lifecycle.order(record.order_id) is None
        return gone and isinstance(self._w.hosts, Lives) and self._w.hosts.restarts > 0

    def _report_missing(self) -> str:
        self._take_reports()
        if isinstance(self._w.hosts, Lives):
            self._awaited -= self._w.hosts.unaccepted
        return f"no final report had come for {next(iter(self._awaited))}" if self._awaited else ""

    def _take_reports(self) -> None:
        """Take what bots were handed and what is on the bus; a message published before is taken once."""
        partials = self._w.observer.partials
        for partial in partials[self._partials_read :]:
            self._awaited.add((partial.order_id, partial.event_ts_ms or 0))
        self._partials_read = len(partials)
        messages = self._w.bus.messages
        while messages:
            message = messages.popleft()
            if message.message_id in self._taken:
                continue
            self._taken.add(message.message_id)
            report = read_json(message.payload)
            self.reports.append(report)
            if report.get("final"):
                self._awaited.discard((report.get("order_id"), report.get("event_ts_ms")))

    async def _until_books_are_seen(self) -> None:
        self._unseen_steps = 0
        tokens = self._watched()
        try:
            async with asyncio.timeout(PATIENCE_S):
                while self._unseen(tokens):
                    await self._w.clock.turn()
        except TimeoutError:
            raise NotAtRest(
                f"the host had not seen the books within {PATIENCE_S:g} s; run it again"
            ) from None
