"""POST /order and POST /orders: from the signed body to the matching core, and its answer back."""

from typing import Final

from aiohttp import web

from polytraders_pfh.paper.core.model import OrderRequest, PostResult
from polytraders_pfh.paper.protocol import shapes
from polytraders_pfh.paper.protocol.auth import ApiKey
from polytraders_pfh.paper.protocol.envelope import Envelope, read_envelope, read_json
from polytraders_pfh.paper.protocol.refusals import (
    INVALID_ORDER_PAYLOAD,
    INVALID_SIGNATURE,
    OWNER_MISMATCH,
    SIGNER_MISMATCH,
    Refused,
)
from polytraders_pfh.paper.protocol.signatures import SignatureType
from polytraders_pfh.paper.protocol.venue import Venue, reply

MAX_BATCH: Final = 15
_ENGINE_AWAY: Final = (425, 503)
_POST_ONLY_MODE: Final = "post_only_mode"


class OrderRoutes:
    """Placing orders, one or up to fifteen at a time."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def table(self) -> list[web.RouteDef]:
        """The routes and who answers them."""
        return [web.post("/order", self._post_one), web.post("/orders", self._post_many)]

    async def _post_one(self, request: web.Request) -> web.Response:
        key = await self._venue.caller(request)
        payload = read_json(await request.read())
        headers = dict(self._venue.limiter.place(key.address, 1, self._venue.clock.now_ms()))
        result = await self._wait_out(self._place(payload, key))
        if not result.accepted:
            raise refusal(result, headers)
        return reply(shapes.posted(result), headers)

    async def _post_many(self, request: web.Request) -> web.Response:
        key = await self._venue.caller(request)
        payload = read_json(await request.read())
        if not isinstance(payload, list) or not payload:
            raise Refused(400, INVALID_ORDER_PAYLOAD)
        if len(payload) > MAX_BATCH:
            raise Refused(400, f"Too many orders in payload: {len(payload)}, max allowed: {MAX_BATCH}")
        headers = dict(self._venue.limiter.place(key.address, len(payload), self._venue.clock.now_ms()))
        legs = [self._place_leg(leg, key) for leg in payload]
        return reply([shapes.posted_leg(await self._wait_out(leg)) for leg in legs], headers)

    def _place_leg(self, payload: object, key: ApiKey) -> PostResult:
        try:
            result = self._place(payload, key)
        except Refused as refused:
            return PostResult(False, refused.status, str(refused.body.get("error", "")), "")
        # With the engine away no leg can be handled, and the batch says so; post-only mode judges each leg.
        if result.http_status in _ENGINE_AWAY and result.code != _POST_ONLY_MODE:
            raise refusal(result, {})
        return result

    def _place(self, payload: object, key: ApiKey) -> PostResult:
        envelope = read_envelope(payload)
        request = self._checked(envelope, key)
        result = self._venue.exchange.post(request, request.created_ms)
        self._venue.pump()
        return result

    def _checked(self, envelope: Envelope, key: ApiKey) -> OrderRequest:
        order = envelope.order
        if envelope.owner != key.key:
            raise Refused(400, OWNER_MISMATCH)
        by_wallet = order.signature_type == SignatureType.DEPOSIT_WALLET
        if not by_wallet and order.signer != key.address:
            raise Refused(400, SIGNER_MISMATCH)
        market = self._venue.exchange.market_of(order.token_id)
        if market is None:
            raise Refused(400, f"the orderbook {order.token_id} does not exist")
        order_id = self._venue.verifier.verify(order, signed_by=key.address, neg_risk=market.neg_risk)
        if not self._venue.wallets.claim(order.maker, key.address, order.signature_type):
            raise Refused(400, INVALID_SIGNATURE)
        return OrderRequest(
            order_id=order_id,
            owner=order.maker,
            api_key=key.key,
            maker=order.maker,
            signer=order.signer,
            token_id=order.token_id,
            side=order.side,
            maker_amount=order.maker_amount,
            taker_amount=order.taker_amount,
            order_type=envelope.order_type,
            expiration_s=envelope.expiration_s,
            post_only=envelope.post_only,
            builder_code=order.builder,
            created_ms=self._venue.clock.now_ms(),
        )

    async def _wait_out(self, result: PostResult) -> PostResult:
        """Hold the answer while a taker delay runs; a market with a seconds delay says `delayed` at once."""
        exchange = self._venue.exchange
        record = exchange.order(result.order_id) if result.status == "delayed" else None
        market = None if record is None else exchange.market(record.condition_id)
        if market is None or market.seconds_delay_ms > 0:
            return result
        await self._venue.clock.sleep_ms(market.taker_delay_ms)
        exchange.advance(self._venue.clock.now_ms())
        self._venue.pump()
        return exchange.post_result(result.order_id) or result


def refusal(result: PostResult, headers: dict[str, str]) -> Refused:
    """A refused post as the HTTP answer: its text, and for a mode also code and waiting time."""
    body: dict[str, object] = {"error": result.error or ""}
    if result.code is not None:
        body["code"] = result.code
    if result.retry_after_s is not None:
        body["retry_after_seconds"] = result.retry_after_s
        headers = {**headers, "Retry-After": str(result.retry_after_s)}
    return Refused(result.http_status, body, headers)
