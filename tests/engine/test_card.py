"""The card's acceptance tests, row by row, through the plugin's own hooks."""

from decimal import Decimal

from polytraders_hookspecs import KillSwitchSignal
from support.fake_host import NOW_MS, ROOT, FakeHost, book, partial


async def test_hold_policy_remainder_left_resting_when_book_is_deep(host: FakeHost) -> None:
    """Card, unit: book_depth=800, remaining_usd=250, policy=hold: HOLD_REMAINDER; no cancel issued."""
    host.bot.on_book_update(book(asks=(("0.64", "1250"),)))

    report = await host.bot.on_partial_fill(partial())

    assert report.verdict == "HOLD_REMAINDER"
    assert report.book_depth_usd == Decimal(800)
    assert report.ticks_to_fill == 2
    assert report.executed is True
    assert host.exchange.calls == []


async def test_auto_cancel_when_remaining_usd_below_min_remainder_size(host: FakeHost) -> None:
    """Card, unit: remaining_usd=3, min_remainder_size=5: PARTIAL_FILL_DUST_AUTO_CANCEL; cancel issued."""
    report = await host.bot.on_partial_fill(partial(filled="447", remaining="3"))

    assert report.verdict == "PARTIAL_FILL_DUST_AUTO_CANCEL"
    assert report.warnings == ("PARTIAL_FILL_DUST_REMAINDER",)
    assert host.exchange.cancels() == [(ROOT,)]
    assert host.exchange.posted() == []


async def test_book_thin_cancel_when_book_depth_below_remaining_usd(host: FakeHost) -> None:
    """Card, unit: book_depth=100, remaining_usd=200, cancel_on_book_thin: BOOK_THIN_CANCEL; cancel issued."""
    host.exchange.book = book(asks=(("0.80", "125"),))

    report = await host.bot.on_partial_fill(partial(remaining="200"))

    assert report.verdict == "PARTIAL_FILL_BOOK_THIN_CANCEL"
    assert report.book_depth_usd == Decimal(100)
    assert host.exchange.cancels() == [(ROOT,)]


async def test_chase_policy_cancels_the_remainder_and_submits_within_chase_max_ticks(host: FakeHost) -> None:
    """Card, integration: new order at the best ask; CancelReplaceOptimizer invoked."""
    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_ORDER_SUBMITTED"
    assert report.chase_price == Decimal("0.63")
    (posted,) = host.exchange.posted()
    assert report.new_order_id == posted.order_id
    assert posted.builder_code == report.builder_code
    assert [kind for kind, _ in host.exchange.calls] == ["book", "cancel", "get", "book", "trades", "post"]
    assert host.exchange.live() == [posted.order_id]
    assert posted.maker_amount_micro <= 250_000_000


async def test_kill_switch_cancels_the_remainder_at_once_and_posts_nothing(host: FakeHost) -> None:
    """Card, integration: cancel issued; KILL_SWITCH_ACTIVE emitted; no new order."""
    await host.bot.on_partial_fill(partial())
    signal = KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill")

    (report,) = await host.bot.on_killswitch(signal)

    assert report.verdict == "KILL_SWITCH_ACTIVE"
    assert host.exchange.cancels() == [(ROOT,)]
    assert host.exchange.live() == []
    after = await host.bot.on_partial_fill(partial(policy="chase", at_ms=NOW_MS + 1))
    assert after.verdict == "REMAINDER_CLOSED"
    assert host.exchange.posted() == []
