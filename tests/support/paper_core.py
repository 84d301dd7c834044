"""A small world around the paper exchange's core: one market, funded accounts, orders in plain numbers."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from polytraders_pfh.paper.core.events import Event, OrderEvent, TradeEvent
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import (
    MICRO,
    ExchangeConfig,
    Market,
    OrderRequest,
    OrderType,
    Outcome,
    PostResult,
    Side,
)
from polytraders_pfh.paper.core.trades import Trade

CONDITION = "0xc0"
YES = "1001"
NO = "1002"
T0 = 1_700_000_000_000
BUY, SELL = Side.BUY, Side.SELL
GTC, GTD, FOK, FAK = OrderType.GTC, OrderType.GTD, OrderType.FOK, OrderType.FAK


def micro(amount: str | int) -> int:
    """A decimal text in micro units, exactly."""
    scaled = Decimal(amount) * MICRO
    assert scaled == int(scaled)
    return int(scaled)


def key_of(owner: str) -> str:
    """The api key of an account."""
    return f"key-{owner}"


class World:
    """One exchange with one market; accounts are funded with pUSD and pairs at first use of `fund`."""

    def __init__(self, config: ExchangeConfig | None = None, *, seed: str = "test", **market: object) -> None:
        self.exchange = Exchange(seed, config or ExchangeConfig())
        facts: dict[str, object] = {
            "condition_id": CONDITION,
            "question": "Will it?",
            "outcomes": (Outcome(YES, "Yes"), Outcome(NO, "No")),
        }
        self.exchange.add_market(Market(**(facts | market)), T0)  # type: ignore[arg-type]
        self._count = 0

    def fund(self, *owners: str, usd: str = "1000", pairs: str = "0") -> None:
        for owner in owners:
            self.exchange.deposit(owner, micro(usd) + micro(pairs))
            if micro(pairs):
                self.exchange.mint(owner, CONDITION, micro(pairs))

    def request(
        self,
        owner: str,
        side: Side,
        price: str,
        size: str,
        *,
        token: str = YES,
        kind: OrderType = GTC,
        expiration_s: int = 0,
        post_only: bool = False,
        order_id: str | None = None,
    ) -> OrderRequest:
        """An order of `size` shares at `price`; a FOK or FAK BUY thereby has a budget of price x size."""
        usd = micro(Decimal(price) * Decimal(size))
        amounts = (usd, micro(size)) if side is BUY else (micro(size), usd)
        return self.raw(
            owner,
            side,
            *amounts,
            token=token,
            kind=kind,
            expiration_s=expiration_s,
            post_only=post_only,
            order_id=order_id,
        )

    def raw(
        self,
        owner: str,
        side: Side,
        maker_amount: int,
        taker_amount: int,
        *,
        token: str = YES,
        kind: OrderType = GTC,
        expiration_s: int = 0,
        post_only: bool = False,
        order_id: str | None = None,
    ) -> OrderRequest:
        """An order by its signed amounts, whatever they make of it."""
        self._count += 1
        return OrderRequest(
            order_id=order_id or f"0x{self._count:064x}",
            owner=owner,
            api_key=key_of(owner),
            maker=owner,
            signer=owner,
            token_id=token,
            side=side,
            maker_amount=maker_amount,
            taker_amount=taker_amount,
            order_type=kind,
            expiration_s=expiration_s,
            post_only=post_only,
            created_ms=T0,
        )

    def post(
        self,
        owner: str,
        side: Side,
        price: str,
        size: str,
        *,
        at: int = T0,
        token: str = YES,
        kind: OrderType = GTC,
        expiration_s: int = 0,
        post_only: bool = False,
    ) -> PostResult:
        request = self.request(
            owner,
            side,
            price,
            size,
            token=token,
            kind=kind,
            expiration_s=expiration_s,
            post_only=post_only,
        )
        return self.exchange.post(request, at)

    def rest(self, owner: str, side: Side, price: str, size: str, *, at: int = T0, token: str = YES) -> str:
        """Post an order that must rest untouched; returns its id."""
        result = self.post(owner, side, price, size, at=at, token=token)
        assert (result.status, result.error) == ("live", None)
        return result.order_id

    def crowd(self, side: Side, price: str, size: str, *, at: int = T0, token: str = YES) -> int:
        return self.exchange.crowd_set_level(token, side, micro(price), micro(size), at)

    def usd(self, owner: str) -> int:
        return self.exchange.balance(owner)

    def shares(self, owner: str, token: str = YES) -> int:
        return self.exchange.balance(owner, token)

    def matched(self, order_id: str) -> int:
        record = self.exchange.order(order_id)
        assert record is not None
        return record.size_matched_micro

    def status(self, order_id: str) -> str:
        record = self.exchange.order(order_id)
        assert record is not None
        return record.status.value

    def trade(self, trade_id: str) -> Trade:
        (trade,) = self.exchange.trades(trade_id=trade_id)
        return trade

    def levels(self, token: str = YES) -> dict[str, dict[int, int]]:
        view = self.exchange.book(token, T0)
        return {"bids": dict(view.bids), "asks": dict(view.asks)}

    def balanced(self) -> bool:
        return self.exchange.audit().balanced


def told(events: Iterable[Event]) -> list[tuple[str, str, int]]:
    """Order events as (kind, status, cumulative size)."""
    return [
        (event.kind.value, event.record.status.value, event.record.size_matched_micro)
        for event in events
        if isinstance(event, OrderEvent)
    ]


def trade_statuses(events: Iterable[Event]) -> list[str]:
    """Statuses of the trade events, in order."""
    return [event.trade.status.value for event in events if isinstance(event, TradeEvent)]
