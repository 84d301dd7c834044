"""The strategies' desk: the same order once per lane, and the withdrawal when its window is over."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from polytraders_hookspecs import Strategy, from_micro
from polytraders_hookspecs.events import Policy, Side

from polytraders_pfh.demo.errors import DemoError, HostDied
from polytraders_pfh.demo.lanes import Lane
from polytraders_pfh.demo.signing import seeded_hex
from polytraders_pfh.demo.strategy import Idea
from polytraders_pfh.demo.world import World
from polytraders_pfh.host import PlaceOrder
from polytraders_pfh.paper.core.model import MICRO

TRIES: Final = 60
PAUSE_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Intent:
    """What one lane's strategy asked for: the root order, and the bounds that it declared.

    `builder_code` is the intent's own: every order of its chain must carry it, so the exchange's records
    alone tell which orders belong together. `limit_micro` is the worst price that was declared.
    """

    number: int
    trace_id: str
    builder_code: str
    policy: Policy
    style: str
    title: str
    condition_id: str
    token_id: str
    outcome: str
    side: Side
    price_micro: int
    size_micro: int
    tick_micro: int
    limit_micro: int
    order_id: str
    placed_ms: int

    @property
    def usd_micro(self) -> int:
        """What the strategy wanted to pay or get, in micro-pUSD."""
        return self.price_micro * self.size_micro // MICRO


class Desk:
    """Places and withdraws.

    Attributes:
        intents: Everything that was placed, oldest first.
    """

    def __init__(self, world: World, lanes: Sequence[Lane], seed: int, chase_max_ticks: int) -> None:
        self._w = world
        self._lanes = lanes
        self._seed = seed
        self._chase_max_ticks = chase_max_ticks
        self._by_idea: dict[int, list[Intent]] = {}
        self.intents: list[Intent] = []

    async def place(self, idea: Idea) -> list[Intent]:
        """Place an idea once per lane; each place publishes its DecisionReport first.

        Raises:
            DemoError: The exchange did not accept it, although nothing is to go wrong.
            PlacementRefused: The kill switch is on.
        """
        placed = [await self._place_in(lane, idea) for lane in self._lanes]
        self._by_idea[idea.number] = placed
        self.intents += placed
        return placed

    async def withdraw(self, idea: Idea) -> None:
        """Cancel what is still open of an idea, whatever order of the chain that is."""
        for intent in self._by_idea.pop(idea.number, ()):
            if open_ids := self._open_ids(intent):
                await self._cancel(intent, open_ids)

    def _open_ids(self, intent: Intent) -> tuple[str, ...]:
        return tuple(
            order.order_id
            for order in self._w.exchange.open_orders(self._w.api_key, token_id=intent.token_id)
            if order.request.builder_code == intent.builder_code
        )

    async def _cancel(self, intent: Intent, open_ids: tuple[str, ...]) -> None:
        """Cancel these; where something goes wrong, again until nothing of the intent is open."""
        for _ in range(TRIES):
            with contextlib.suppress(HostDied):
                await self._w.hosts.ask(lambda host: host.clob.cancel_orders(open_ids))
            if self._w.trouble is None or not (open_ids := self._open_ids(intent)):
                return
            await self._w.clock.sleep(PAUSE_S)
        raise DemoError(
            f"order {intent.number} ({intent.policy}) could not be withdrawn in {TRIES} tries; "
            "run it again with the same seeds, and report it if it happens again"
        )

    async def _place_in(self, lane: Lane, idea: Idea) -> Intent:
        trace_id = f"trc_{seeded_hex(self._seed, 'trace', idea.number, lane.policy)[:16]}"
        builder_code = "0x" + seeded_hex(self._seed, "builder", trace_id)
        reach = self._chase_max_ticks * idea.tick_micro
        limit = idea.price_micro + (reach if idea.side == "BUY" else -reach)
        limit = min(max(limit, idea.tick_micro), MICRO - idea.tick_micro)
        condition_id = lane.condition_id(idea.market.condition_id)
        token_id = lane.token_id(idea.token_id)
        wish = PlaceOrder(
            token_id=token_id,
            market_id=condition_id,
            side=idea.side,
            price=_decimal(idea.price_micro),
            size_shares=_decimal(idea.size_micro),
            strategy=Strategy(
                id=idea.style.name,
                partial_fill_policy=lane.policy,
                allow_wide_chase=idea.style.allow_wide_chase,
            ),
            builder_code=builder_code,
            trace_id=trace_id,
            limit_price=_decimal(limit),
        )
        order_id = await self._placed(wish, f"order {idea.number} ({lane.policy})")
        return Intent(
            number=idea.number,
            trace_id=trace_id,
            builder_code=builder_code,
            policy=lane.policy,
            style=idea.style.name,
            title=idea.title,
            condition_id=condition_id,
            token_id=token_id,
            outcome=idea.market.outcomes[idea.outcome].name,
            side=idea.side,
            price_micro=idea.price_micro,
            size_micro=idea.size_micro,
            tick_micro=idea.tick_micro,
            limit_micro=limit,
            order_id=order_id,
            placed_ms=self._w.clock.now_ms(),
        )

    async def _placed(self, wish: PlaceOrder, name: str) -> str:
        """Place it and return its id; empty when the host died before there was one."""
        try:
            placement = await self._w.hosts.ask(lambda host: host.place(wish))
        except HostDied:
            return self._w.signer.first_with(wish.builder_code)
        if placement.outcome != "accepted" and self._w.trouble is None:
            raise DemoError(
                f"{name} was {placement.outcome} by the paper exchange: "
                f"{placement.text}; report it together with the seed"
            )
        return placement.order_id


def _decimal(micro: int) -> Decimal:
    return from_micro(micro)
