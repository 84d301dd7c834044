"""Any sequence of commands: funds are conserved, queues are just, books never cross and mirror each other."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.naive_book import NaiveBook
from support.paper_core import BUY, CONDITION, FAK, FOK, GTC, NO, SELL, T0, YES, World, key_of

from polytraders_pfh.paper.core.events import Event, OrderEvent, OrderEventKind, TradeEvent
from polytraders_pfh.paper.core.model import CROWD, MICRO, ExchangeConfig, OrderType, PostResult, Side
from polytraders_pfh.paper.core.trades import Trade, TradeStatus

OWNERS = ("ann", "bob", "cay")
TICK = 50_000
owners = st.sampled_from(OWNERS)
sides = st.sampled_from([BUY, SELL])
tokens = st.sampled_from([YES, NO])
steps = st.integers(8, 12)  # few prices, so that orders meet and queue up
lots = st.integers(500, 4_000)
odd_sizes = st.integers(1, 60 * MICRO)


def in_book(token: str, side: Side, price: int) -> tuple[bool, int]:
    """(is a bid, price) in the first outcome's space."""
    first = token == YES
    return (side is BUY) == first, price if first else MICRO - price


class ExchangeMachine(RuleBasedStateMachine):
    """Drives one market and compares it with a book that is too simple to be wrong."""

    @initialize(fee=st.sampled_from([0, 50_000]), fails=st.sampled_from([0, 400_000]), delay=st.booleans())
    def open(self, fee: int, fails: int, delay: bool) -> None:
        config = ExchangeConfig(
            mine_delay_ms=300 if delay else 0, confirm_delay_ms=500, failure_rate_micro=fails
        )
        self.world = World(config, tick_micro=10_000, taker_fee_rate_micro=fee)
        self.exchange = self.world.exchange
        self.world.fund(*OWNERS, usd="60", pairs="60")
        self.naive = NaiveBook()
        self.now = T0
        self.matched: dict[str, int] = {}
        self.requests: dict[str, tuple[bool, int]] = {}

    # ---- commands

    @rule(owner=owners, side=sides, token=tokens, step=steps, lot=lots)
    def post_limit(self, owner: str, side: Side, token: str, step: int, lot: int) -> None:
        self._post(owner, side, token, step * TICK, lot, GTC)

    @rule(owner=owners, side=sides, token=tokens, lot=st.integers(500, 1_500))
    def quote(self, owner: str, side: Side, token: str, lot: int) -> None:
        """Passive prices, so that queues build up."""
        self._post(owner, side, token, (8 if side is BUY else 12) * TICK, lot, GTC)

    @rule(owner=owners, side=sides, token=tokens, step=steps, lot=lots, kind=st.sampled_from([FOK, FAK]))
    def post_market(self, owner: str, side: Side, token: str, step: int, lot: int, kind: OrderType) -> None:
        self._post(owner, side, token, step * TICK, lot // 100 * 100, kind)

    @rule(owner=owners, data=st.data())
    def cancel(self, owner: str, data: st.DataObject) -> None:
        records = self.exchange.open_orders(key_of(owner))
        if not records:
            return
        order_id = data.draw(st.sampled_from([record.order_id for record in records]))
        result = self.exchange.cancel(key_of(owner), [order_id], self.now)
        assert result.canceled == (order_id,)
        self.naive.drop(order_id)
        self._hear()

    @rule(side=sides, token=tokens, step=steps, size=st.one_of(st.just(0), odd_sizes))
    def crowd_set_level(self, side: Side, token: str, step: int, size: int) -> None:
        is_bid, price = in_book(token, side, step * TICK)
        grow = size - self.naive.crowd_at(is_bid, price)
        rests = self.exchange.crowd_set_level(token, side, step * TICK, size, self.now)
        if grow < 0:
            self.naive.crowd_shrink(is_bid, price, -grow)
            self._hear()
        elif grow:
            got, met = self.naive.crowd_take(not is_bid, price, grow)
            self.naive.add(CROWD, is_bid, price, grow - got)
            self._hear(met=met)
        assert rests == self.naive.crowd_at(is_bid, price)

    @rule(data=st.data(), size=odd_sizes, grows=st.booleans())
    def crowd_joins_a_queue(self, data: st.DataObject, size: int, grows: bool) -> None:
        """Growth must land behind us and cancels must come from there first: both need our company."""
        records = [r for owner in OWNERS for r in self.exchange.open_orders(key_of(owner))]
        if not records:
            return
        record = data.draw(st.sampled_from(records))
        token, side = record.request.token_id, record.request.side
        is_bid, price = in_book(token, side, record.price_micro)
        crowd = self.naive.crowd_at(is_bid, price)
        self.crowd_set_level(side, token, record.price_micro // TICK, crowd + size if grows else crowd // 2)

    @rule(side=sides, token=tokens, step=steps, size=odd_sizes)
    def crowd_take(self, side: Side, token: str, step: int, size: int) -> None:
        is_bid, price = in_book(token, side, step * TICK)
        expected, met = self.naive.crowd_take(not is_bid, price, size)
        assert self.exchange.crowd_take(token, side, size, step * TICK, self.now) == expected
        self._hear(met=met)

    @rule(passed=st.integers(1, 400))
    def wait(self, passed: int) -> None:
        self.now += passed
        self.exchange.advance(self.now)
        self._hear()

    @precondition(lambda self: any(t.status is TradeStatus.MATCHED for t in self.exchange.trades()))
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        pending = [t.id for t in self.exchange.trades() if t.status is TradeStatus.MATCHED]
        self.exchange.fail_trade(data.draw(st.sampled_from(pending)))

    # ---- what must hold

    @invariant()
    def funds_are_conserved_and_nobody_is_short(self) -> None:
        audit = self.exchange.audit()
        assert audit.balanced, audit

    @invariant()
    def the_books_are_the_naive_ones_and_mirror_each_other(self) -> None:
        assert self.world.levels(YES) == self.naive.levels(0)
        assert self.world.levels(NO) == self.naive.levels(1)

    @invariant()
    def no_book_is_crossed_at_rest(self) -> None:
        for token in (YES, NO):
            view = self.exchange.book(token, self.now)
            if view.bids and view.asks:
                assert view.bids[-1][0] < view.asks[-1][0]

    @invariant()
    def a_live_order_rests_with_what_it_did_not_match(self) -> None:
        for owner in OWNERS:
            for record in self.exchange.open_orders(key_of(owner)):
                entry = self.naive.find(record.order_id)
                assert entry is not None
                assert entry.open == record.original_size_micro - record.size_matched_micro
                ahead = [e for e in self.naive.line(entry.is_bid, entry.price) if e.price == entry.price]
                before = sum(e.open for e in ahead if e.place < entry.place)
                assert self.exchange.crowd_queue_ahead(record.order_id) == before

    def teardown(self) -> None:
        if not hasattr(self, "exchange"):
            return
        for owner in OWNERS:
            self.exchange.cancel_all(key_of(owner), self.now)
        self.exchange.advance(self.now + 10_000)
        for owner in OWNERS:
            assert [self.exchange.reserved(owner, asset) for asset in (None, YES, NO)] == [0, 0, 0]
        self.exchange.resolve(CONDITION, YES, self.now + 20_000)
        audit = self.exchange.audit()
        assert audit.balanced
        assert audit.pairs_usd_micro == 0

    # ---- the inner steps

    def _post(self, owner: str, side: Side, token: str, price: int, lot: int, kind: OrderType) -> None:
        usd, size = price * lot // 100, lot * 10_000
        amounts = (usd, size) if side is BUY else (size, usd)
        request = self.world.raw(owner, side, *amounts, token=token, kind=kind)
        result = self.exchange.post(request, self.now)
        if not result.accepted:
            self._refused(result)
            return
        is_bid, book_price = in_book(token, side, price)
        self.requests[request.order_id] = (is_bid, book_price)
        fresh = self._hear(taker=request.order_id)
        exact = sum(trade.price_micro * trade.size_micro for trade in fresh)
        value = result.making_micro if side is BUY else result.taking_micro
        parts = sum(len(trade.maker_fills) for trade in fresh)
        assert (
            TradeStatus.FAILED in self._statuses(fresh)
            or abs(value * MICRO - exact) <= (2 * parts + 2) * MICRO
        )
        record = self.exchange.order(request.order_id)
        assert record is not None
        if kind is GTC:
            assert not self._crossing(is_bid, book_price) or record.status == "MATCHED"
        else:
            self._check_market_order(kind, result, usd if side is BUY else size)
            assert record.status == "MATCHED"

    def _check_market_order(self, kind: OrderType, result: PostResult, given: int) -> None:
        is_bid, price = self.requests[result.order_id]
        assert result.making_micro <= given
        whole = given - result.making_micro < 10
        assert whole or kind is FAK
        assert whole or not self._crossing(is_bid, price)

    def _refused(self, result: PostResult) -> None:
        """Only shortages, smallness and kills are possible here, and none of them touches the book."""
        assert result.error is not None
        words = ("not enough balance", "min size: $1", "lower than the minimum", "killed")
        assert any(word in result.error for word in words), result.error
        assert not [e for e in self.exchange.drain() if isinstance(e, TradeEvent)]

    def _crossing(self, is_bid: bool, price: int) -> bool:
        return bool(self.naive.line(not is_bid, price))

    def _hear(self, taker: str | None = None, met: list[tuple[str, int, int]] | None = None) -> list[Trade]:
        """Read the events of one command: check the queue's justice, follow failures, watch sizes."""
        events = self.exchange.drain()
        fresh = [
            e.trade for e in events if isinstance(e, TradeEvent) and e.trade.status is TradeStatus.MATCHED
        ]
        if taker is not None:
            is_bid, price = self.requests[taker]
            self.naive.fill(not is_bid, price, [fill for trade in fresh for fill in fills_of(trade)])
            # What rests is what the order itself says; the book comparison then holds it to that.
            placed = self._after_match(taker, fresh)
            self.naive.add(taker, is_bid, price, placed)
        else:
            assert [fill for trade in fresh for fill in fills_of(trade)] == (met or [])
        for trade in fresh:
            assert trade.size_micro == sum(fill.matched_micro for fill in trade.maker_fills)
            at = trade.price_micro if trade.token_id == YES else MICRO - trade.price_micro
            assert {price for _, price, _ in fills_of(trade)} == {at}
        self._follow(events)
        return fresh

    def _statuses(self, trades: list[Trade]) -> set[TradeStatus]:
        return {self.world.trade(trade.id).status for trade in trades}

    def _after_match(self, taker: str, fresh: list[Trade]) -> int:
        record = self.exchange.order(taker)
        assert record is not None
        if not record.request.order_type.rests:
            return 0
        return record.original_size_micro - sum(trade.size_micro for trade in fresh)

    def _follow(self, events: tuple[Event, ...]) -> None:
        failed: dict[str, int] = {}
        for event in events:
            if isinstance(event, TradeEvent) and event.trade.status is TradeStatus.FAILED:
                for order_id, size in parts_of(event.trade):
                    failed[order_id] = failed.get(order_id, 0) + size
            elif isinstance(event, OrderEvent):
                self._watch(event, failed)

    def _watch(self, event: OrderEvent, failed: dict[str, int]) -> None:
        record = event.record
        before = self.matched.get(record.order_id, 0)
        if record.size_matched_micro < before:
            lost = before - record.size_matched_micro
            assert failed.get(record.order_id, 0) >= lost, "a size went back without a failed trade"
            failed[record.order_id] -= lost
            if event.kind is OrderEventKind.CANCELLATION:
                self.naive.drop(record.order_id)
            elif record.is_open:
                self.naive.put_back(record.order_id, lost)
        self.matched[record.order_id] = record.size_matched_micro


def parts_of(trade: Trade) -> list[tuple[str, int]]:
    """Every order in a trade with its part."""
    makers = [(fill.order_id, fill.matched_micro) for fill in trade.maker_fills]
    return [(trade.taker_order_id, trade.size_micro), *makers]


def fills_of(trade: Trade) -> list[tuple[str, int, int]]:
    """(name, price in the first outcome's space, size) of each maker."""
    return [
        (
            CROWD if fill.owner == CROWD else fill.order_id,
            fill.price_micro if fill.token_id == YES else MICRO - fill.price_micro,
            fill.matched_micro,
        )
        for fill in trade.maker_fills
    ]


TestExchangeMachine = ExchangeMachine.TestCase
TestExchangeMachine.settings = settings(
    max_examples=200,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
