"""Routes that need no key: liveness, books and prices, market parameters."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from polytraders_pfh.paper.core.amounts import decimal_text
from polytraders_pfh.paper.core.model import BookView, Market, Side
from polytraders_pfh.paper.protocol import shapes
from polytraders_pfh.paper.protocol.envelope import read_json
from polytraders_pfh.paper.protocol.refusals import (
    INVALID_PAYLOAD,
    INVALID_TOKEN,
    NO_BOOK,
    NO_MARKET,
    Refused,
)
from polytraders_pfh.paper.protocol.venue import Venue, reply

PROTOCOL_VERSION = 2
MAX_BOOKS = 500


class PublicRoutes:
    """Reads that anyone may make."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def table(self) -> list[web.RouteDef]:
        """The routes and who answers them."""
        by_token = {"tick-size": _tick_size, "neg-risk": _neg_risk, "fee-rate": _fee_rate}
        parameters = [
            web.get(path, self._parameter(shape))
            for name, shape in by_token.items()
            for path in (f"/{name}", f"/{name}/{{token_id}}")
        ]
        return [
            web.get("/", self._ok),
            web.get("/ok", self._ok),
            web.get("/time", self._time),
            web.get("/version", self._version),
            web.get("/book", self._book),
            web.post("/books", self._books),
            web.get("/midpoint", self._midpoint),
            web.get("/price", self._price),
            web.get("/spread", self._spread),
            web.get("/last-trade-price", self._last_trade_price),
            web.get("/clob-markets/{condition_id}", self._clob_market),
            web.get("/markets-by-token/{token_id}", self._parameter(shapes.market_by_token)),
            web.get("/fees/builder-fees/{code}", self._builder_fees),
            *parameters,
        ]

    async def _ok(self, _: web.Request) -> web.Response:
        return reply("OK")

    async def _time(self, _: web.Request) -> web.Response:
        return reply(self._venue.clock.now_ms() // 1_000)

    async def _version(self, _: web.Request) -> web.Response:
        return reply({"version": PROTOCOL_VERSION})

    async def _book(self, request: web.Request) -> web.Response:
        return reply(shapes.book(self._view(request)))

    async def _books(self, request: web.Request) -> web.Response:
        wanted = read_json(await request.read(), INVALID_PAYLOAD)
        if not isinstance(wanted, list) or not all(isinstance(item, dict) for item in wanted):
            raise Refused(400, INVALID_PAYLOAD)
        if len(wanted) > MAX_BOOKS:
            raise Refused(400, "Payload exceeds the limit")
        tokens = (str(item.get("token_id", "")) for item in wanted)
        now_ms = self._venue.clock.now_ms()
        listed = (token for token in tokens if self._venue.exchange.market_of(token) is not None)
        return reply([shapes.book(self._venue.exchange.book(token, now_ms)) for token in listed])

    async def _midpoint(self, request: web.Request) -> web.Response:
        bid, ask = _both_sides(self._view(request))
        return reply({"mid": decimal_text((bid + ask) // 2)})

    async def _spread(self, request: web.Request) -> web.Response:
        bid, ask = _both_sides(self._view(request))
        return reply({"spread": decimal_text(ask - bid)})

    async def _price(self, request: web.Request) -> web.Response:
        side = request.query.get("side", "").upper()
        if side not in Side.__members__:
            raise Refused(400, "Invalid side")
        view = self._view(request)
        levels = view.bids if side == "BUY" else view.asks
        return reply({"price": decimal_text(levels[-1][0]) if levels else "0"})

    async def _last_trade_price(self, request: web.Request) -> web.Response:
        view = self._view(request)
        if view.last_trade_price_micro is None:
            return reply({"price": "0.5", "side": ""})
        side = self._venue.last_sides.get(view.token_id, "")
        return reply({"price": decimal_text(view.last_trade_price_micro), "side": str(side)})

    async def _clob_market(self, request: web.Request) -> web.Response:
        market = self._venue.exchange.market(request.match_info["condition_id"])
        if market is None:
            raise Refused(404, NO_MARKET)
        return reply(shapes.clob_market(market))

    async def _builder_fees(self, _: web.Request) -> web.Response:
        return reply({"builder_maker_fee_rate_bps": 0, "builder_taker_fee_rate_bps": 0})

    def _parameter(
        self, shape: Callable[[Market], object]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.Response:
            token_id = _token_id(request)
            market = self._venue.exchange.market_of(token_id)
            if market is None:
                raise Refused(404, NO_MARKET)
            return reply(shape(market))

        return answer

    def _view(self, request: web.Request) -> BookView:
        token_id = _token_id(request)
        if self._venue.exchange.market_of(token_id) is None:
            raise Refused(404, NO_BOOK)
        return self._venue.exchange.book(token_id, self._venue.clock.now_ms())


def _token_id(request: web.Request) -> str:
    token_id = request.match_info.get("token_id", request.query.get("token_id", ""))
    if not (token_id.isascii() and token_id.isdecimal()):
        raise Refused(400, INVALID_TOKEN)
    return token_id


def _both_sides(view: BookView) -> tuple[int, int]:
    if not view.bids or not view.asks:
        raise Refused(404, NO_BOOK)
    return view.bids[-1][0], view.asks[-1][0]


def _tick_size(market: Market) -> object:
    return {"minimum_tick_size": shapes.json_number(market.tick_micro)}


def _neg_risk(market: Market) -> object:
    return {"neg_risk": market.neg_risk}


def _fee_rate(market: Market) -> object:
    return {"base_fee": market.taker_fee_rate_bps}
