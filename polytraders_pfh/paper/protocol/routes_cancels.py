"""The four ways to cancel. 200 means processed, not cancelled: every id is in one of two lists."""

import re
from typing import Final

from aiohttp import web

from polytraders_pfh.paper.core.model import CancelResult
from polytraders_pfh.paper.protocol import shapes
from polytraders_pfh.paper.protocol.envelope import read_json
from polytraders_pfh.paper.protocol.refusals import INVALID_ORDER_ID, INVALID_ORDER_PAYLOAD, Refused
from polytraders_pfh.paper.protocol.venue import Venue, reply

MAX_IDS: Final = 1_000
ORDER_ID: Final = re.compile(r"0x[0-9a-fA-F]{64}")


class CancelRoutes:
    """Cancelling by id, by many ids, everything, or a market."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def table(self) -> list[web.RouteDef]:
        """The routes and who answers them. There is no DELETE /order/{id}: the id travels in the body."""
        return [
            web.delete("/order", self._one),
            web.delete("/orders", self._many),
            web.delete("/cancel-all", self._all),
            web.delete("/cancel-market-orders", self._market),
        ]

    async def _one(self, request: web.Request) -> web.Response:
        key = await self._venue.caller(request)
        fields = _fields(await request.read())
        order_id = _order_id(fields.get("orderID"))
        now_ms = self._venue.clock.now_ms()
        headers = dict(self._venue.limiter.cancel(key.address, 1, now_ms))
        return _answer(self._venue.exchange.cancel(key.key, (order_id,), now_ms), headers)

    async def _many(self, request: web.Request) -> web.Response:
        key = await self._venue.caller(request)
        ids = read_json(await request.read())
        if not isinstance(ids, list) or not ids:
            raise Refused(400, INVALID_ORDER_PAYLOAD)
        if len(ids) > MAX_IDS:
            raise Refused(400, f"Too many orders in payload, max allowed: {MAX_IDS}")
        order_ids = tuple(dict.fromkeys(_order_id(value) for value in ids))
        now_ms = self._venue.clock.now_ms()
        headers = dict(self._venue.limiter.cancel(key.address, len(ids), now_ms))
        return _answer(self._venue.exchange.cancel(key.key, order_ids, now_ms), headers)

    async def _all(self, request: web.Request) -> web.Response:
        key = await self._venue.caller(request)
        now_ms = self._venue.clock.now_ms()
        self._venue.limiter.cancel(key.address, 1, now_ms)
        return self._charged(key.address, self._venue.exchange.cancel_all(key.key, now_ms))

    async def _market(self, request: web.Request) -> web.Response:
        key = await self._venue.caller(request)
        fields = _fields(await request.read())
        condition_id, token_id = _filter(fields, "market"), _filter(fields, "asset_id")
        now_ms = self._venue.clock.now_ms()
        self._venue.limiter.cancel(key.address, 1, now_ms)
        result = self._venue.exchange.cancel_market(key.key, condition_id, token_id, now_ms)
        return self._charged(key.address, result)

    def _charged(self, signer: str, result: CancelResult) -> web.Response:
        now_ms = self._venue.clock.now_ms()
        return _answer(result, dict(self._venue.limiter.cancelled(signer, len(result.canceled), now_ms)))


def _answer(result: CancelResult, headers: dict[str, str]) -> web.Response:
    if result.error is not None:
        if result.retry_after_s is not None:
            headers = {**headers, "Retry-After": str(result.retry_after_s)}
        raise Refused(result.http_status, result.error, headers)
    return reply(shapes.cancelled(result), headers)


def _fields(body: bytes) -> dict[str, object]:
    fields = read_json(body)
    if not isinstance(fields, dict):
        raise Refused(400, INVALID_ORDER_PAYLOAD)
    return fields


def _order_id(value: object) -> str:
    if not isinstance(value, str) or not ORDER_ID.fullmatch(value):
        raise Refused(400, INVALID_ORDER_ID)
    return value.lower()


def _filter(fields: dict[str, object], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused(400, INVALID_ORDER_PAYLOAD)
    return value or None
