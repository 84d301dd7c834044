"""The paper exchange's one door: every command enters here with its time, every event leaves through `drain`.

Pure and deterministic: no clock, no randomness, no I/O. `now_ms` never runs backwards: an earlier time is
read as the latest one seen. Each command first lets happen what was due before it (`advance`), so the
outcome does not depend on how often `advance` is called.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from polytraders_pfh.paper.core.amounts import AMOUNT_DECIMALS
from polytraders_pfh.paper.core.cancelling import Cancelling
from polytraders_pfh.paper.core.events import Event, MarketResolvedEvent, TickSizeEvent
from polytraders_pfh.paper.core.execution import Execution
from polytraders_pfh.paper.core.floor import Floor
from polytraders_pfh.paper.core.ledger import Audit
from polytraders_pfh.paper.core.liquidity import Liquidity
from polytraders_pfh.paper.core.model import (
    MICRO,
    BookView,
    CancelResult,
    ExchangeConfig,
    Market,
    Mode,
    OrderRecord,
    OrderRequest,
    OrderStatus,
    PostResult,
    Side,
)
from polytraders_pfh.paper.core.modes import ModeSwitch
from polytraders_pfh.paper.core.orderbook import MarketBook
from polytraders_pfh.paper.core.posting import Posting
from polytraders_pfh.paper.core.trades import Trade


class Exchange:
    """Markets, accounts, orders and trades of one simulated exchange."""

    def __init__(self, seed: str = "paper", config: ExchangeConfig | None = None) -> None:
        """`seed` fixes all ids and the choice of failing trades."""
        config = config or ExchangeConfig()
        self._floor = Floor(seed, config)
        self._modes = ModeSwitch(config.after_restart_post_only_ms)
        self._execution = Execution(self._floor)
        self._posting = Posting(self._floor, self._execution, self._modes)
        self._cancelling = Cancelling(self._floor, self._modes)
        self._crowd = Liquidity(self._floor, self._execution)
        self._now_ms = 0

    # ---- markets

    def add_market(self, market: Market, now_ms: int) -> None:
        """Open a market. Raises ValueError when the condition or a token is already listed."""
        now_ms = self._begin(now_ms)
        _check(market)
        tokens = market.token_ids
        if market.condition_id in self._floor.books or any(token in self._floor.tokens for token in tokens):
            raise ValueError(f"market {market.condition_id} or one of its tokens was listed already")
        book = MarketBook(market)
        self._floor.books[market.condition_id] = book
        self._floor.tokens.update({token: (book, index) for index, token in enumerate(tokens)})
        if market.game_start_ms is not None and market.game_start_ms > now_ms:
            self._floor.agenda.at(
                market.game_start_ms, lambda due: self._clear(book, OrderStatus.CANCELED, due)
            )

    def market_of(self, token_id: str) -> Market | None:
        """The market that trades this token."""
        place = self._floor.tokens.get(token_id)
        return place[0].market if place is not None else None

    def market(self, condition_id: str) -> Market | None:
        """The market of this condition."""
        book = self._floor.books.get(condition_id)
        return book.market if book is not None else None

    def markets(self) -> tuple[Market, ...]:
        """All markets, in the order they were added."""
        return tuple(book.market for book in self._floor.books.values())

    def set_tick(self, condition_id: str, tick_micro: int, now_ms: int) -> None:
        """Change the grid. Resting orders stay; new ones must obey the new grid."""
        now_ms = self._begin(now_ms)
        book = self._floor.books[condition_id]
        old = book.market.tick_micro
        changed = replace(book.market, tick_micro=tick_micro)
        _check(changed)
        if tick_micro != old:
            book.market = changed
            self._floor.tape.say(TickSizeEvent(condition_id, old, tick_micro, now_ms))
            self._floor.tape.snapshot(book, now_ms)

    def set_ready(self, condition_id: str, ready: bool) -> None:
        """Open or close the market to new orders ("not yet ready")."""
        book = self._floor.books[condition_id]
        book.market = replace(book.market, ready=ready)

    @property
    def mode(self) -> Mode:
        """The mode in force."""
        return self._modes.mode

    def set_mode(self, mode: Mode | str, until_ms: int | None = None) -> None:
        """Change what is taken. With `until_ms` the mode ends by itself; a restart then goes through
        post-only mode before it is open again (clob_v2 2.6)."""
        self._modes.set(Mode(mode), until_ms)

    def resolve(self, condition_id: str, winning_token_id: str, now_ms: int) -> None:
        """End the market: pending trades settle, open orders become CANCELED_MARKET_RESOLVED, every
        winning token is redeemed at 1 pUSD and every losing one is void."""
        now_ms = self._begin(now_ms)
        book = self._floor.books[condition_id]
        names = {outcome.token_id: outcome.name for outcome in book.market.outcomes}
        if winning_token_id not in names or book.market.resolved_token_id is not None:
            raise ValueError(
                f"winning token of {condition_id} was {winning_token_id}; name one of its two tokens, once"
            )
        self._execution.settlement.finish(book.market, now_ms)
        self._clear(book, OrderStatus.CANCELED_MARKET_RESOLVED, now_ms)
        self._floor.ledger.redeem(book.market, winning_token_id)
        book.market = replace(book.market, resolved_token_id=winning_token_id)
        self._floor.tape.flush(now_ms)
        self._floor.tape.say(
            MarketResolvedEvent(condition_id, winning_token_id, names[winning_token_id], now_ms)
        )
        self._end(now_ms)

    # ---- funds

    def deposit(self, owner: str, usd_micro: int) -> None:
        """Bring pUSD in from outside."""
        self._floor.ledger.deposit(owner, usd_micro)

    def mint(self, owner: str, condition_id: str, size_micro: int) -> None:
        """Turn `size_micro` pUSD of the account into that many of both outcome tokens."""
        self._floor.ledger.mint(owner, self._floor.books[condition_id].market, size_micro)

    def balance(self, owner: str, token_id: str | None = None) -> int:
        """Settled holding of pUSD (None) or a token, open orders and pending trades included, as
        /balance-allowance shows it. What a trade brings arrives when it is MINED."""
        holding = self._floor.ledger.peek(owner, token_id)
        return holding.total if holding is not None else 0

    def reserved(self, owner: str, token_id: str | None = None) -> int:
        """What open orders and trades not yet MINED hold back; `balance - reserved` is free."""
        holding = self._floor.ledger.peek(owner, token_id)
        return holding.held + holding.locked if holding is not None else 0

    def audit(self) -> Audit:
        """The exchange's books: what came in, and where it is now. Reads every account."""
        return self._floor.ledger.audit()

    # ---- orders

    def post(self, request: OrderRequest, now_ms: int) -> PostResult:
        """Validate, then match or rest. A refusal is a value with the exchange's own text."""
        now_ms = self._begin(now_ms)
        result = self._posting.post(request, now_ms)
        self._end(now_ms)
        return result

    def post_result(self, order_id: str) -> PostResult | None:
        """What a post of this order would answer now: for servers that wait out a delay inside the call.
        `status` turns from delayed to matched, unmatched or a refusal (a killed FOK). None when unknown."""
        order = self._floor.registry.get(order_id)
        return self._posting.result(order) if order is not None else None

    def cancel(self, owner_api_key: str, order_ids: tuple[str, ...] | list[str], now_ms: int) -> CancelResult:
        """Cancel orders of this key; everything else lands in `not_canceled` with its reason."""
        now_ms = self._begin(now_ms)
        result = self._cancelling.by_ids(owner_api_key, order_ids, now_ms)
        self._end(now_ms)
        return result

    def cancel_all(self, api_key: str, now_ms: int) -> CancelResult:
        """Cancel every open order of this key."""
        now_ms = self._begin(now_ms)
        result = self._cancelling.where(api_key, None, None, now_ms)
        self._end(now_ms)
        return result

    def cancel_market(
        self, api_key: str, condition_id: str | None, token_id: str | None, now_ms: int
    ) -> CancelResult:
        """Cancel this key's orders of a market, a token, or both conditions together; neither given: 400."""
        now_ms = self._begin(now_ms)
        if condition_id is None and token_id is None:
            return CancelResult(http_status=400, error="Invalid order payload")
        result = self._cancelling.where(api_key, condition_id, token_id, now_ms)
        self._end(now_ms)
        return result

    def order(self, order_id: str) -> OrderRecord | None:
        """The order in whatever state, also after its end. Crowd orders have no record."""
        order = self._floor.registry.get(order_id)
        return order.record() if order is not None else None

    def open_orders(
        self,
        api_key: str,
        *,
        condition_id: str | None = None,
        token_id: str | None = None,
        order_id: str | None = None,
    ) -> tuple[OrderRecord, ...]:
        """Open orders of this key, oldest first."""
        return tuple(
            order.record()
            for order in self._floor.registry.open_of(api_key)
            if condition_id in (None, order.condition_id)
            and token_id in (None, order.request.token_id)
            and order_id in (None, order.order_id)
        )

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
        return tuple(
            trade
            for trade in self._execution.settlement.trades(api_key, trade_id)
            if (maker is None or maker in (trade.maker, *(fill.maker for fill in trade.maker_fills)))
            and (order_id is None or order_id in _order_ids(trade))
            and condition_id in (None, trade.condition_id)
            and token_id in (None, trade.token_id)
            and (after_ms is None or trade.match_ms > after_ms)
            and (before_ms is None or trade.match_ms < before_ms)
        )

    def book(self, token_id: str, now_ms: int) -> BookView:
        """The token's book. Raises KeyError for a token without a market."""
        book, index = self._floor.tokens[token_id]
        return book.view(index, self._begin(now_ms))

    # ---- time and settlement

    def advance(self, now_ms: int) -> None:
        """Let happen, in order of time, all that is due: GTD expiry, delayed orders, settlement, mode ends,
        game starts."""
        self._begin(now_ms)

    def next_due_ms(self) -> int | None:
        """When `advance` next has something to do."""
        times = [t for t in (self._floor.agenda.next_ms(), self._modes.until_ms) if t is not None]
        return min(times, default=None)

    def fail_trade(self, trade_id: str) -> None:
        """Have this trade FAIL when it would be MINED. Raises KeyError when unknown, ValueError when it is
        already MINED, CONFIRMED or FAILED."""
        self._execution.settlement.mark(trade_id, fail=True)

    def retry_trade(self, trade_id: str) -> None:
        """Have this trade turn RETRYING once when it would be MINED. Raises as `fail_trade`."""
        self._execution.settlement.mark(trade_id, fail=False)

    def drain(self) -> tuple[Event, ...]:
        """Events since the last drain, in the order they happened."""
        return self._floor.tape.drain()

    # ---- the crowd

    @contextmanager
    def as_one(self, now_ms: int) -> Iterator[None]:
        """Tell what the commands inside do to a market's books in one message, as one recorded frame is."""
        now_ms = self._begin(now_ms)
        try:
            with self._floor.tape.together():
                yield
        finally:
            self._floor.tape.flush(now_ms)

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
        token (side turned, 1 - price) is the same level.
        """
        now_ms = self._begin(now_ms)
        rests = self._crowd.set_level(token_id, side, price_micro, size_micro, now_ms, replace=replace)
        self._end(now_ms)
        return rests

    def crowd_take(
        self, token_id: str, side: Side, size_micro: int, limit_price_micro: int, now_ms: int
    ) -> int:
        """An anonymous FAK in shares: eats the other side in price-time order up to the limit; returns what
        it got. What it does not get is gone."""
        now_ms = self._begin(now_ms)
        taken = self._crowd.take(token_id, side, size_micro, limit_price_micro, now_ms)
        self._end(now_ms)
        return taken

    def crowd_level(self, token_id: str, side: Side, price_micro: int) -> int:
        """The crowd's resting size at this price."""
        return self._crowd.level(token_id, side, price_micro)

    def crowd_queue_ahead(self, order_id: str) -> int:
        """Shares of anybody that stand before this resting order at its price. Raises KeyError when the
        order does not rest."""
        return self._crowd.queue_ahead(order_id)

    # ---- the frame of every command

    def _begin(self, now_ms: int) -> int:
        """Let happen what was due before this command; returns the time that counts."""
        self._now_ms = max(self._now_ms, now_ms)
        self._run_due()
        self._modes.pass_time(self._now_ms)
        return self._now_ms

    def _end(self, now_ms: int) -> None:
        """Send what the command did, then what it made due at once (settlement without a delay)."""
        self._floor.tape.flush(now_ms)
        self._run_due()

    def _run_due(self) -> None:
        agenda = self._floor.agenda
        while (due := agenda.pop_due(self._now_ms)) is not None:
            due_ms, action = due
            action(due_ms)
            self._floor.tape.flush(due_ms)

    def _clear(self, book: MarketBook, status: OrderStatus, now_ms: int) -> None:
        """End every open order of a market, and let the crowd leave it."""
        for order in self._floor.registry.open_in(book.market.condition_id):
            self._floor.withdraw(order, status, now_ms)
        self._crowd.leave(book)


def _check(market: Market) -> None:
    first, second = market.token_ids
    if first == second:
        raise ValueError(
            f"both tokens of {market.condition_id} were {first}; a market has two different ones"
        )
    if market.tick_micro not in AMOUNT_DECIMALS:
        ticks = sorted(AMOUNT_DECIMALS)
        raise ValueError(f"tick of {market.condition_id} was {market.tick_micro} micro; use one of {ticks}")
    if not 0 <= market.taker_fee_rate_micro <= MICRO or market.fee_exponent < 0:
        raise ValueError(
            f"fee of {market.condition_id} was {market.taker_fee_rate_micro} micro with exponent "
            f"{market.fee_exponent}; the rate lies in [0, {MICRO}], the exponent is 0 or more"
        )


def _order_ids(trade: Trade) -> tuple[str, ...]:
    return (trade.taker_order_id, *(fill.order_id for fill in trade.maker_fills))
