"""Placing root orders for strategies: decision published, signed once, posted once, never re-signed."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

import pluggy
from polytraders_hookspecs import (
    ClobAuth,
    Clock,
    DecisionReport,
    ExchangeReply,
    KillSwitch,
    Strategy,
    UnsignedOrder,
    call_hook,
    from_micro,
    to_micro,
)
from polytraders_hookspecs.events import Side
from polytraders_hookspecs.orders import ZERO_BYTES32
from polytraders_hookspecs.wire import MICRO

from polytraders_pfh.host.clob import ClobAdapter
from polytraders_pfh.host.dispatch import EventSigner, show_hook_error
from polytraders_pfh.host.errors import HostError, PlacementRefused
from polytraders_pfh.host.fenced import FencedClob
from polytraders_pfh.host.lifecycle import OrderLifecycle
from polytraders_pfh.host.metrics import HostMetrics
from polytraders_pfh.host.replies import Outcome, post_outcome, post_status, reply_text
from polytraders_pfh.host.sharing import LastWord
from polytraders_pfh.host.watched import WatchedClob, WatchedSigner

_TRACE_BYTES: Final = 8


def random_trace_id() -> str:
    """Return a trace id that nobody has used: `trc_` and 16 hex digits."""
    return f"trc_{secrets.token_hex(_TRACE_BYTES)}"


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """What a strategy wants. `size_shares` lies on the 0.01 grid, `price` on the market's.

    `limit_price` is the worst price that the strategy accepts for any part of it, which its
    DecisionReport states and no chase crosses; None states the order's own price, so nothing is chased.
    `intended_size_usd` is stated likewise; None states price times size.
    """

    token_id: str
    market_id: str
    side: Side
    price: Decimal
    size_shares: Decimal
    strategy: Strategy | None = None
    builder_code: str = ZERO_BYTES32
    neg_risk: bool | None = None
    order_type: Literal["GTC", "GTD"] = "GTC"
    expiration_s: int = 0
    post_only: bool = False
    trace_id: str | None = None
    limit_price: Decimal | None = None
    intended_size_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """What came of it. `outcome` `unknown` means that it may rest: ask the lifecycle, never sign again."""

    order_id: str
    trace_id: str
    outcome: Outcome
    status: str
    text: str
    reply: ExchangeReply


class OrderDesk:
    """Places root orders through the lifecycle, so that their fills reach the bots."""

    def __init__(
        self,
        *,
        clob: ClobAdapter,
        watched_clob: WatchedClob,
        signer: WatchedSigner,
        lifecycle: OrderLifecycle,
        kill_switch: KillSwitch,
        hooks: pluggy.HookRelay,
        events: EventSigner,
        clock: Clock,
        metrics: HostMetrics,
        new_trace_id: Callable[[], str] = random_trace_id,
    ) -> None:
        self._clob = clob
        self._watched_clob: ClobAuth = watched_clob
        self._signer = signer
        self._lifecycle = lifecycle
        self._kill_switch = kill_switch
        self._hooks = hooks
        self._events = events
        self._clock = clock
        self._metrics = metrics
        self._new_trace_id = new_trace_id

    def fenced_by(self, last_word: LastWord) -> None:
        """Post nothing any more that `last_word` speaks against."""
        self._watched_clob = FencedClob(self._watched_clob, last_word)

    async def place(self, wish: PlaceOrder) -> Placement:
        """Publish the decision, sign the order, post it once, and say how that was answered.

        Raises:
            PlacementRefused: The kill switch is on or unknown, or the numbers are not exact.
            ExchangeRefused: The market's parameters were needed and did not come.
            SigningRefused: The signer would not sign. After any of these nothing was sent.
        """
        await self._require_switch_off()
        trace_id = wish.trace_id or self._new_trace_id()
        unsigned = _unsigned(wish, trace_id, await self._neg_risk(wish))
        declared = self._publish(wish, unsigned)
        signed = await self._signer.sign_order(unsigned)
        self._lifecycle.signed(unsigned, signed.order_id, wish.strategy, declared)
        await self._announce(signed.order_id)
        await self._require_switch_off()
        reply = await self._watched_clob.post_order(signed)
        outcome = post_outcome(reply)
        text = "" if outcome == "accepted" else reply_text(reply)
        return Placement(signed.order_id, trace_id, outcome, post_status(reply), text, reply)

    async def _require_switch_off(self) -> None:
        try:
            status = await self._kill_switch.status()
        except Exception as e:
            raise PlacementRefused(f"the kill switch could not be read ({e}); no order is placed") from e
        if status.active:
            raise PlacementRefused(f"the kill switch is on ({status.reason}); reset it by hand first")

    async def _neg_risk(self, wish: PlaceOrder) -> bool:
        if wish.neg_risk is not None:
            return wish.neg_risk
        return (await self._clob.learn_market(wish.market_id)).neg_risk

    async def _announce(self, order_id: str) -> None:
        try:
            await self._lifecycle.announce(order_id)
        except HostError as e:
            raise PlacementRefused(
                f"the other hosts could not be told of it ({e}); no order is placed"
            ) from e

    def _publish(self, wish: PlaceOrder, unsigned: UnsignedOrder) -> bytes:
        """Tell the bots what the strategy decided, and return it."""
        buys = unsigned.side == "BUY"
        usd_micro = unsigned.maker_amount_micro if buys else unsigned.taker_amount_micro
        report = DecisionReport(
            trace_id=unsigned.trace_id,
            side=unsigned.side,
            intended_size_usd=wish.intended_size_usd or from_micro(usd_micro),
            limit_price=wish.limit_price or wish.price,
            token_id=unsigned.token_id,
            market_id=unsigned.market_id,
            strategy=wish.strategy,
        )
        envelope = self._events.sign(report, trace_id=unsigned.trace_id, ts_ms=self._clock.now_ms())
        for result in call_hook(self._hooks.on_decision_report, envelope=envelope):
            if result.error is not None:
                show_hook_error(self._metrics, "on_decision_report", result)
        return envelope.body


def _unsigned(wish: PlaceOrder, trace_id: str, neg_risk: bool) -> UnsignedOrder:
    try:
        price_micro, size_micro = to_micro(wish.price), to_micro(wish.size_shares)
    except ValueError as e:
        raise PlacementRefused(f"price or size {e}") from None
    usd_micro, rest = divmod(price_micro * size_micro, MICRO)
    if rest or not 0 < price_micro < MICRO or size_micro <= 0:
        raise PlacementRefused(
            f"{wish.size_shares} shares at {wish.price} was no exact order; "
            "use a price between 0 and 1 on the market's grid and a size on the 0.01 grid"
        )
    buys = wish.side == "BUY"
    return UnsignedOrder(
        token_id=wish.token_id,
        market_id=wish.market_id,
        side=wish.side,
        price_micro=price_micro,
        size_micro=size_micro,
        maker_amount_micro=usd_micro if buys else size_micro,
        taker_amount_micro=size_micro if buys else usd_micro,
        builder_code=wish.builder_code,
        neg_risk=neg_risk,
        order_type=wish.order_type,
        expiration_s=wish.expiration_s,
        post_only=wish.post_only,
        trace_id=trace_id,
    )
