"""The exchange's REST side: every call one request, its answer carried back unjudged.

`ClobAdapter` is the contract's `ClobPublic` and `ClobAuth` in one, plus what the host itself needs. What
the exchange said about its limits and modes is respected: a post that it is known to refuse is answered
without being sent (`post_gate`), a read waits within its own deadline (`calls`), a cancel always goes.
"""

from collections.abc import Callable
from typing import Any, Final

from polytraders_hookspecs import BookSnapshot, Clock, ExchangeReply, SignedOrder
from polytraders_hookspecs.wire import print_json

from polytraders_pfh.host.account import Account, SignatureType
from polytraders_pfh.host.auth import ApiCredentials, L2Auth, l1_headers
from polytraders_pfh.host.calls import ExchangeCalls
from polytraders_pfh.host.clob_bodies import (
    OK,
    MarketFacts,
    body_of,
    compact,
    credentials_in,
    market_facts,
    order_body,
    said,
)
from polytraders_pfh.host.config import TimeoutsSection
from polytraders_pfh.host.errors import ExchangeRefused, PayloadError
from polytraders_pfh.host.metrics import HostMetrics
from polytraders_pfh.host.payloads import OrderNews, book_snapshot, decode, members_of, order_news
from polytraders_pfh.host.post_gate import PostGate
from polytraders_pfh.host.replies import post_outcome
from polytraders_pfh.host.transport import ExchangeTransport

_MAX_MARKETS: Final = 10_000


class ClobAdapter:
    """Talks to one exchange for one wallet.

    Args:
        transport: An open session.
        account: For L1 alone; every other call needs API credentials and no key.
        clock: For L2 timestamps.
        timeouts: A deadline for each kind of call.
        credentials: None until `log_in`.
        metrics: Counts the posts that were not sent.

    Attributes:
        trading: The exchange's mode, as far as it has said.
        limits: The exchange's rate limits, as far as it has said.
        reach: Whether each of its two sides answered the last request.
        gate: Keeps posts back; its `guard` may be set to keep back more.
    """

    def __init__(
        self,
        transport: ExchangeTransport,
        account: Account,
        clock: Clock,
        timeouts: TimeoutsSection,
        credentials: ApiCredentials | None = None,
        metrics: HostMetrics | None = None,
    ) -> None:
        self._transport = transport
        self._account = account
        self._clock = clock
        self._timeouts = timeouts
        self._auth = L2Auth(credentials, account.address, clock) if credentials else None
        self._markets: dict[str, MarketFacts] = {}
        self._calls = ExchangeCalls(transport, clock)
        self.trading, self.limits = self._calls.trading, self._calls.limits
        self.reach = self._calls.reach
        self.gate = PostGate(self.trading, self.limits, clock, metrics)

    def hurry_while(self, killed: Callable[[], bool]) -> None:
        """Let every request pass those that wait for connections, as long as the kill switch is on."""
        self._calls.killed = killed

    def __repr__(self) -> str:
        return f"ClobAdapter({self._account.address})"

    @property
    def credentials(self) -> ApiCredentials:
        """The API credentials in use.

        Raises:
            ExchangeRefused: There are none yet.
        """
        return self._signed.credentials

    async def log_in(self) -> ApiCredentials:
        """Derive API credentials from the wallet, or create them when there are none, and use them.

        Raises:
            ExchangeRefused: Neither worked; says what the exchange answered.
        """
        for method, path in (("GET", "/auth/derive-api-key"), ("POST", "/auth/api-key")):
            headers = await l1_headers(self._account, self._clock.now_ms() // 1000)
            reply = await self._transport.send(method, path, timeout_s=self._timeouts.read_s, headers=headers)
            if reply.status == OK:
                credentials = credentials_in(reply)
                self._auth = L2Auth(credentials, self._account.address, self._clock)
                return credentials
        raise ExchangeRefused(
            f"no API credentials: {said(reply)}; check wallet.key, exchange.rest_url, exchange.chain_id and "
            "this machine's clock"
        )

    async def get_book(self, token_id: str) -> BookSnapshot:
        """Return this token's book, read now.

        Raises:
            ExchangeRefused: The exchange did not answer with a book.
            PayloadError: The book is unreadable, is another token's, or lacks tick, minimum or neg-risk.
        """
        reply = await self._public("/book", {"token_id": token_id}, self._timeouts.book_s)
        members = members_of(decode(body_of("GET /book", reply)), "the book")
        book = book_snapshot(
            members,
            trading=self.trading.now(),
            closes_at_ms=self.closes_at_ms(str(members.get("market"))),
            now_ms=self._clock.now_ms(),
        )
        if book.token_id != token_id:
            raise PayloadError(f"asset_id was {book.token_id}; the book of {token_id} was asked for")
        if book.tick_micro is None or book.min_size_micro is None or book.neg_risk is None:
            raise PayloadError(
                "the book lacked tick_size, min_order_size or neg_risk; it cannot be traded on"
            )
        return book

    def knows_market(self, market_id: str) -> bool:
        """Return whether this market's parameters were learnt."""
        return market_id in self._markets

    def closes_at_ms(self, market_id: str) -> int | None:
        """Return when a market closes, if it was learnt and says so."""
        market = self._markets.get(market_id)
        return market.closes_at_ms if market else None

    async def learn_market(self, market_id: str) -> MarketFacts:
        """Return a market's parameters, read once and kept; later books carry its closing time.

        Raises:
            ExchangeRefused: The exchange did not answer with a market.
            PayloadError: A parameter is unreadable.
        """
        known = self._markets.get(market_id)
        if known is not None:
            return known
        reply = await self._public(f"/clob-markets/{market_id}", {}, self._timeouts.read_s)
        facts = market_facts(market_id, members_of(decode(body_of("GET /clob-markets", reply)), "the market"))
        if len(self._markets) >= _MAX_MARKETS:
            del self._markets[next(iter(self._markets))]
        self._markets[market_id] = facts
        return facts

    async def cancel_orders(self, order_ids: tuple[str, ...]) -> ExchangeReply:
        """Ask for these orders to be cancelled, in one request: DELETE /order for one, else /orders.

        It is sent whatever limit or mode is known, and a batch, which a kill switch sends, waits for no
        connection that others hold.
        """
        timeout_s = self._timeouts.cancel_s
        if len(order_ids) == 1:
            body = compact({"orderID": order_ids[0]})
            return await self._calls.send(
                "DELETE", "/order", body, timeout_s, auth=self._signed, group="cancels", lane="cancel"
            )
        body = compact(list(order_ids))
        return await self._calls.send(
            "DELETE",
            "/orders",
            body,
            timeout_s,
            auth=self._signed,
            group="cancels",
            cost=len(order_ids),
            lane="first",
        )

    async def post_order(self, order: SignedOrder) -> ExchangeReply:
        """Send this order. Its body is the same for the same order, byte for byte, always.

        An order that is known to be refused now is not sent; the answer says so in the same way as the
        exchange would (`unsent`).
        """
        unsent = self.gate.answer(order)
        if unsent is not None:
            return unsent
        body = order_body(order, self.credentials.key)
        reply = await self._calls.send(
            "POST", "/order", body, self._timeouts.post_s, auth=self._signed, group="posts"
        )
        if post_outcome(reply) == "accepted":
            self.trading.accepted(post_only=order.post_only)
        return reply

    async def get_order(self, order_id: str) -> ExchangeReply:
        """Read one order's record, whatever its status."""
        return await self._calls.read(self._signed, f"/data/order/{order_id}", self._timeouts.read_s)

    async def get_trades(self, market_id: str, after_ms: int) -> ExchangeReply:
        """Read this account's trades in a market since `after_ms`, all pages, as one JSON array.

        The exchange counts in seconds; the second before is asked for too, so nothing is missed. A page
        that fails is the answer.
        """
        query = {"market": market_id, "after": str(max(0, after_ms // 1000 - 1))}
        trades: list[Any] = []
        async for reply, page in self._calls.read_pages(
            self._signed, "/data/trades", query, self._timeouts.trades_s
        ):
            if page is None:
                return reply
            trades += page
        return ExchangeReply(status=OK, body=print_json(trades).encode("ascii"))

    async def open_orders(self) -> tuple[OrderNews, ...]:
        """Return every live order of this account.

        Raises:
            ExchangeRefused: A page did not come.
            PayloadError: A record is unreadable.
        """
        orders: list[OrderNews] = []
        async for reply, page in self._calls.read_pages(
            self._signed, "/data/orders", {}, self._timeouts.read_s
        ):
            if page is None:
                raise ExchangeRefused(f"GET /data/orders: {said(reply)}; ask again later")
            orders += [order_news(members_of(record, "an order")) for record in page]
        return tuple(orders)

    async def version(self) -> ExchangeReply:
        """Ask which version of the protocol is spoken here (GET /version)."""
        return await self._public("/version", {}, self._timeouts.read_s)

    async def api_keys(self) -> ExchangeReply:
        """List this account's API keys, which shows whether the credentials hold."""
        return await self._calls.read(self._signed, "/auth/api-keys", self._timeouts.read_s)

    async def balance_micro(
        self, token_id: str | None = None, *, signature_type: SignatureType | None = None
    ) -> int:
        """Return the balance in millionths: of pUSD, or of one outcome token.

        Args:
            token_id: Which token's; None is pUSD.
            signature_type: Which of the key's wallets; None is the one that trades.

        Raises:
            ExchangeRefused: The exchange did not answer with a balance.
        """
        query = {"asset_type": "COLLATERAL" if token_id is None else "CONDITIONAL"}
        if token_id is not None:
            query["token_id"] = token_id
        kind = self._account.signature_type if signature_type is None else signature_type
        query["signature_type"] = str(kind)
        reply = await self._calls.read(self._signed, "/balance-allowance", self._timeouts.read_s, query)
        balance = members_of(decode(body_of("GET /balance-allowance", reply)), "the balance").get("balance")
        if not str(balance).isdigit():
            raise PayloadError(f"balance was {balance!r}; a whole number of millionths belongs there")
        return int(str(balance))

    async def heartbeat(self, heartbeat_id: str) -> ExchangeReply:
        """Send one heartbeat (empty id first). Once accepted, a pause of over 10 s cancels all orders."""
        body = compact({"heartbeat_id": heartbeat_id})
        return await self._calls.send(
            "POST", "/v1/heartbeats", body, self._timeouts.heartbeat_s, auth=self._signed, lane="first"
        )

    @property
    def _signed(self) -> L2Auth:
        if self._auth is None:
            raise ExchangeRefused("there are no API credentials yet; call log_in first")
        return self._auth

    async def _public(self, path: str, query: dict[str, str], timeout_s: float) -> ExchangeReply:
        return await self._calls.read(None, path, timeout_s, query)
