"""Reading back one's own state: orders, trades, balances."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from aiohttp import web
from py_clob_client_v2.config import get_contract_config

from polytraders_pfh.paper.core.model import OrderRecord
from polytraders_pfh.paper.protocol import shapes
from polytraders_pfh.paper.protocol.auth import ApiKey
from polytraders_pfh.paper.protocol.refusals import INVALID_ORDER_ID, INVALID_TOKEN, Refused
from polytraders_pfh.paper.protocol.routes_cancels import ORDER_ID
from polytraders_pfh.paper.protocol.venue import Venue, reply

PAGE: Final = 100
END_CURSOR: Final = "LTE="
INVALID_ORDER_PARAMS: Final = "invalid order params payload"
INVALID_TRADE_PARAMS: Final = "Invalid trade params payload"
_SIGNATURE_TYPES: Final = ("0", "1", "2", "3")


class DataRoutes:
    """L2 reads. A key sees its own orders and the trades it took part in, nothing else."""

    def __init__(self, venue: Venue) -> None:
        contracts = get_contract_config(venue.options.chain_id)
        self._venue = venue
        self._spenders = tuple(
            str(spender)
            for spender in (
                contracts.exchange_v2,
                contracts.neg_risk_exchange_v2,
                contracts.neg_risk_adapter,
            )
        )

    def table(self) -> list[web.RouteDef]:
        """The routes and who answers them."""
        return [
            web.get("/data/order/{order_id}", self._order),
            web.get("/data/orders", self._orders),
            web.get("/data/trades", self._trades),
            web.get("/balance-allowance", self._balance),
            web.get("/balance-allowance/update", self._balance),
        ]

    async def _order(self, request: web.Request) -> web.Response:
        key = await self._venue.caller(request)
        order_id = request.match_info["order_id"]
        if not ORDER_ID.fullmatch(order_id):
            raise Refused(400, INVALID_ORDER_ID)
        record = self._own(order_id, key)
        if record is None:
            raise Refused(404, "Order not found")
        return reply(shapes.order(record))

    async def _orders(self, request: web.Request) -> web.Response:
        key = await self._venue.caller(request)
        query = request.query
        if "id" in query:
            # Asked for by id, an order is shown in any status; the bare list holds live ones only.
            record = self._own(query["id"], key)
            records: Sequence[OrderRecord] = () if record is None else (record,)
        else:
            records = self._venue.exchange.open_orders(
                key.key, condition_id=query.get("market"), token_id=query.get("asset_id")
            )
        return reply(_page([shapes.order(record) for record in records], request, INVALID_ORDER_PARAMS))

    async def _trades(self, request: web.Request) -> web.Response:
        key = await self._venue.caller(request)
        query = request.query
        maker = query.get("maker_address")
        found = self._venue.exchange.trades(
            key.key,
            trade_id=query.get("id"),
            condition_id=query.get("market"),
            token_id=query.get("asset_id"),
            maker=maker.lower() if maker else None,
            after_ms=_seconds(query.get("after")),
            before_ms=_seconds(query.get("before")),
        )
        rows = [shapes.trade(trade, key.key) for trade in found]
        return reply(_page(rows, request, INVALID_TRADE_PARAMS))

    async def _balance(self, request: web.Request) -> web.Response:
        key = await self._venue.caller(request)
        kind, token_id = request.query.get("asset_type"), request.query.get("token_id")
        signature_type = request.query.get("signature_type", "0")
        if kind not in ("COLLATERAL", "CONDITIONAL") or signature_type not in _SIGNATURE_TYPES:
            raise Refused(400, "Invalid asset type or signature type")
        if kind == "CONDITIONAL" and not token_id:
            raise Refused(400, INVALID_TOKEN)
        asset = token_id if kind == "CONDITIONAL" else None
        held = self._venue.wallets.balance(key.address, int(signature_type), asset)
        return reply(shapes.balance_allowance(held, self._spenders))

    def _own(self, order_id: str, key: ApiKey) -> OrderRecord | None:
        record = self._venue.exchange.order(order_id.lower())
        return record if record is not None and record.request.api_key == key.key else None


def _page(rows: list[shapes.Json], request: web.Request, refusal: str) -> shapes.Json:
    start = _offset(request.query.get("next_cursor", ""), refusal)
    end = start + PAGE
    following = base64.b64encode(str(end).encode()).decode() if end < len(rows) else END_CURSOR
    return shapes.page(rows[start:end], following, PAGE)


def _offset(cursor: str, refusal: str) -> int:
    """A cursor is the base64 of a row number; MA== is 0 and LTE= is -1, past the end."""
    if not cursor:
        return 0
    try:
        number = base64.b64decode(cursor, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, refusal) from None
    if not number.isdigit():
        raise Refused(400, refusal)
    return int(number)


def _seconds(text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()):
        raise Refused(400, INVALID_TRADE_PARAMS)
    return int(text) * 1_000
