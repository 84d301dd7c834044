"""Bots' own orders, seen on their way out: what they sign, post and cancel is shown to the lifecycle."""

from typing import Final

from polytraders_hookspecs import ClobAuth, ExchangeReply, SignedOrder, Signer, UnsignedOrder

from polytraders_pfh.host.lifecycle import OrderLifecycle
from polytraders_pfh.host.replies import cancelled_ids

_NO_ANSWER: Final = ExchangeReply(status=None, detail="the call was cancelled before an answer came")


class WatchedSigner:
    """A signer that remembers what each signature was for."""

    def __init__(self, signer: Signer, lifecycle: OrderLifecycle) -> None:
        self._signer = signer
        self._lifecycle = lifecycle

    def __repr__(self) -> str:
        return f"WatchedSigner({self._signer!r})"

    async def sign_order(self, order: UnsignedOrder) -> SignedOrder:
        signed = await self._signer.sign_order(order)
        self._lifecycle.signed(order, signed.order_id)
        if order.root_order_id is not None:  # a root order is announced with its strategy, by the desk
            await self._lifecycle.announce(signed.order_id)
        return signed


class WatchedClob:
    """A trading side that tells the lifecycle of every post before it is sent, and how it was answered."""

    def __init__(self, clob: ClobAuth, lifecycle: OrderLifecycle) -> None:
        self._clob = clob
        self._lifecycle = lifecycle

    async def cancel_orders(self, order_ids: tuple[str, ...]) -> ExchangeReply:
        reply = await self._clob.cancel_orders(order_ids)
        self._lifecycle.cancelled(cancelled_ids(reply))
        return reply

    async def post_order(self, order: SignedOrder) -> ExchangeReply:
        self._lifecycle.posting(order.order_id)
        reply = _NO_ANSWER
        try:
            reply = await self._clob.post_order(order)
        finally:
            self._lifecycle.posted(order.order_id, reply)
        return reply

    async def get_order(self, order_id: str) -> ExchangeReply:
        return await self._clob.get_order(order_id)

    async def get_trades(self, market_id: str, after_ms: int) -> ExchangeReply:
        return await self._clob.get_trades(market_id, after_ms)
