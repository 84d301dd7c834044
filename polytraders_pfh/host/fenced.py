"""A trading side that posts only while somebody lets it: asked before the call, and before the first byte."""

from polytraders_hookspecs import ClobAuth, ExchangeReply, SignedOrder

from polytraders_pfh.host.sharing import LAST_WORD, LastWord
from polytraders_pfh.host.unsent import unguarded


class FencedClob:
    """Passes everything on but posts that `last_word` speaks against; those are answered as not sent.

    Between the last question and the kernel's taking the bytes nothing waits; a process that is stopped
    right there and goes on after its lease still sends. The exchange refuses a request whose stamp is old.
    """

    def __init__(self, clob: ClobAuth, last_word: LastWord) -> None:
        self._clob = clob
        self._last_word = last_word

    async def cancel_orders(self, order_ids: tuple[str, ...]) -> ExchangeReply:
        return await self._clob.cancel_orders(order_ids)

    async def post_order(self, order: SignedOrder) -> ExchangeReply:
        if why := self._last_word():
            return unguarded("POST /order", why, "lease")
        outer = LAST_WORD.set(self._last_word)
        try:
            return await self._clob.post_order(order)
        finally:
            LAST_WORD.reset(outer)

    async def get_order(self, order_id: str) -> ExchangeReply:
        return await self._clob.get_order(order_id)

    async def get_trades(self, market_id: str, after_ms: int) -> ExchangeReply:
        return await self._clob.get_trades(market_id, after_ms)
