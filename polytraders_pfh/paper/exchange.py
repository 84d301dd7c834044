"""The paper exchange's one door: every command enters here with its time, every event leaves through `drain`.

Pure and deterministic: no clock, no randomness, no I/O. `now_ms` never runs backwards: an earlier time is
read as the latest one seen. Each command first lets happen what was due before it (`advance`), so the
outcome does not depend on how often `advance` is called.
"""

from __future__ import annotations

from polytraders_pfh.paper.model import (
    BookView,
    CancelResult,
    Event,
    ExchangeConfig,
    Market,
    Mode,
    OrderRecord,
    OrderRequest,
    PostResult,
    Side,
    Trade,
)


class Exchange:
    """Markets, accounts, orders and trades of one simulated exchange."""

    def __init__(self, seed: str = "paper", config: ExchangeConfig | None = None) -> None:
        """`seed` fixes all ids and the choice of failing trades."""
        raise NotImplementedError

    # ---- markets

    def add_market(self, market: Market, now_ms: int) -> None:
        """Open a market. Raises ValueError when the condition or a token is already listed."""
        raise NotImplementedError

    def market_of(self, token_id: str) -> Market | None:
        """The market that trades this token."""
        raise NotImplementedError

    def market(self, condition_id: str) -> Market | None:
        """The market of this condition."""
        raise NotImplementedError

    def markets(self) -> tuple[Market, ...]:
        """All markets, in the order they were added."""
        raise NotImplementedError

    def set_tick(self, condition_id: str, tick_micro: int, now_ms: int) -> None:
        """Change the grid. Resting orders stay; new ones must obey the new grid."""
        raise NotImplementedError

    def set_ready(self, condition_id: str, ready: bool) -> None:
        """Open or close the market to new orders ("not yet ready")."""
        raise NotImplementedError

    @property
    def mode(self) -> Mode:
        """The mode in force."""
        raise NotImplementedError

    def set_mode(self, mode: Mode | str, until_ms: int | None = None) -> None:
        """Change what is taken. With `until_ms` the mode ends by itself; a restart then goes through
        post-only mode before it is open again (clob_v2 2.6)."""
        raise NotImplementedError

    def resolve(self, condition_id: str, winning_token_id: str, now_ms: int) -> None:
        """End the market: pending trades settle, open orders become CANCELED_MARKET_RESOLVED, every
        winning token is redeemed at 1 pUSD and every losing one is void."""
        raise NotImplementedError

    # ---- funds

    def deposit(self, owner: str, usd_micro: int) -> None:
        """Bring pUSD in from outside."""
        raise NotImplementedError

    def mint(self, owner: str, condition_id: str, size_micro: int) -> None:
        """Turn `size_micro` pUSD of the account into that many of both outcome tokens."""
        raise NotImplementedError

    def balance(self, owner: str, token_id: str | None = None) -> int:
        """Settled holding of pUSD (None) or a token, open orders and pending trades included, as
        /balance-allowance shows it. What a trade brings arrives when it is MINED."""
        raise NotImplementedError

    def reserved(self, owner: str, token_id: str | None = None) -> int:
        """What open orders and trades not yet MINED hold back; `balance - reserved` is free."""
        raise NotImplementedError

    # ---- orders

    def post(self, request: OrderRequest, now_ms: int) -> PostResult:
        """Validate, then match or rest. A refusal is a value with the exchange's own text."""
        raise NotImplementedError

    def post_result(self, order_id: str) -> PostResult | None:
        """What a post of this order would answer now: for servers that wait out a delay inside the call.
        `status` turns from delayed to matched, unmatched or a refusal (a killed FOK). None when unknown."""
        raise NotImplementedError

    def cancel(self, owner_api_key: str, order_ids: tuple[str, ...] | list[str], now_ms: int) -> CancelResult:
        """Cancel orders of this key; everything else lands in `not_canceled` with its reason."""
        raise NotImplementedError

    def cancel_all(self, api_key: str, now_ms: int) -> CancelResult:
        """Cancel every open order of this key."""
        raise NotImplementedError

    def cancel_market(
        self, api_key: str, condition_id: str | None, token_id: str | None, now_ms: int
    ) -> CancelResult:
        """Cancel this key's orders of a market, a token, or both conditions together; neither given: 400."""
        raise NotImplementedError

    def order(self, order_id: str) -> OrderRecord | None:
        """The order in whatever state, also after its end. Crowd orders have no record."""
        raise NotImplementedError

    def open_orders(
        self,
        api_key: str,
        *,
        condition_id: str | None = None,
        token_id: str | None = None,
        order_id: str | None = None,
    ) -> tuple[OrderRecord, ...]:
        """Open orders of this key, oldest first."""
        raise NotImplementedError

    def trades(
        self,
        api_key: str | None = None,
        *,
        trade_id: str | None = None,
        order_id: str | None = None,
        condition_id: str | None = None,
        token_id: str | None = None,
        maker: str | None = None,
        after_ms: int | None = None,
        before_ms: int | None = None,
    ) -> tuple[Trade, ...]:
        """Trades in which the key took part as taker or maker, oldest first; `api_key` None: all of them.
        `token_id` looks at the taker's token only, as the exchange's filter does (clob_v2 3.5)."""
        raise NotImplementedError

    def book(self, token_id: str, now_ms: int) -> BookView:
        """The token's book. Raises KeyError for a token without a market."""
        raise NotImplementedError

    # ---- time and settlement

    def advance(self, now_ms: int) -> None:
        """Let happen, in order of time, all that is due: GTD expiry, delayed orders, settlement, mode ends,
        game starts."""
        raise NotImplementedError

    def next_due_ms(self) -> int | None:
        """When `advance` next has something to do."""
        raise NotImplementedError

    def fail_trade(self, trade_id: str) -> None:
        """Have this trade FAIL when it would be MINED. Raises KeyError when unknown, ValueError when it is
        already MINED, CONFIRMED or FAILED."""
        raise NotImplementedError

    def retry_trade(self, trade_id: str) -> None:
        """Have this trade turn RETRYING once when it would be MINED. Raises as `fail_trade`."""
        raise NotImplementedError

    def drain(self) -> tuple[Event, ...]:
        """Events since the last drain, in the order they happened."""
        raise NotImplementedError

    # ---- the crowd

    def crowd_set_level(
        self,
        token_id: str,
        side: Side,
        price_micro: int,
        size_micro: int,
        now_ms: int,
        *,
        replace: bool = False,
    ) -> int:
        """Make the crowd's resting size at this price `size_micro`; returns what rests there afterwards.

        Growth joins the back of the queue; shrinking cancels the newest first. What crosses trades as a
        taker at the makers' prices, and the rest rests. With `replace`, the crowd's own levels on the
        other side that stand in the way are withdrawn instead of traded, so that a recorded size rests as
        recorded; other accounts' orders in the way still trade. The same level named from the other
        token (side turned, 1 − price) is the same level.
        """
        raise NotImplementedError

    def crowd_take(
        self, token_id: str, side: Side, size_micro: int, limit_price_micro: int, now_ms: int
    ) -> int:
        """An anonymous FAK in shares: eats the other side in price-time order up to the limit; returns what
        it got. What it does not get is gone."""
        raise NotImplementedError

    def crowd_level(self, token_id: str, side: Side, price_micro: int) -> int:
        """The crowd's resting size at this price."""
        raise NotImplementedError

    def crowd_queue_ahead(self, order_id: str) -> int:
        """Shares of anybody that stand before this resting order at its price. Raises KeyError when the
        order does not rest."""
        raise NotImplementedError
