"""Whatever happens to the messages on their way, the story that bots hear is true and told once."""

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.orders import MARKET, TOKEN

from polytraders_pfh.host.orders import TrackedOrder
from polytraders_pfh.host.payloads import OrderNews, TradeNews, order_news, trade_news

ME = "my-api-key"
ORDER = "0x" + "0a" * 32
SIZE_CENTS = 10_000


def cents(amount: int) -> str:
    return str(Decimal(amount) / 100)


def order_message(matched: int, ts: int, status: str) -> OrderNews:
    return order_news(
        {
            "id": ORDER,
            "market": MARKET,
            "asset_id": TOKEN,
            "side": "SELL",
            "price": "0.37",
            "original_size": cents(SIZE_CENTS),
            "size_matched": cents(matched),
            "status": status,
            "timestamp": str(1_700_000_000_000 + ts),
        }
    )


def trade_message(trade_id: str, amount: int, status: str) -> TradeNews:
    maker = {"order_id": ORDER, "owner": ME, "matched_amount": cents(amount)}
    return trade_news(
        {
            "id": trade_id,
            "market": MARKET,
            "status": status,
            "taker_order_id": "0xee",
            "size": "1",
            "trader_side": "MAKER",
            "maker_orders": [maker],
        },
        ME,
    )


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Any], int, int, str]:
    """Messages in any order with copies, the truth in cents, what failed of it, and how it ended."""
    fills = draw(st.lists(st.integers(1, 2_500), max_size=4))
    end = draw(st.sampled_from(["open", "cancelled"]))
    failed = draw(st.sets(st.integers(0, 3))) & set(range(len(fills)))
    messages: list[Any] = []
    matched = 0
    for number, amount in enumerate(fills):
        matched += amount
        messages.append(order_message(matched, number + 1, "LIVE"))
        messages.append(trade_message(f"t{number}", amount, "MATCHED"))
        messages.append(trade_message(f"t{number}", amount, "FAILED" if number in failed else "CONFIRMED"))
    if end == "cancelled":
        messages.append(order_message(matched, len(fills) + 1, "CANCELED"))
    copies = draw(st.lists(st.sampled_from(messages), max_size=6)) if messages else []
    shuffled = draw(st.permutations(messages + copies))
    return shuffled, matched, sum(fills[number] for number in failed), end


def tell(order: TrackedOrder, message: Any) -> None:
    if isinstance(message, OrderNews):
        order.saw(message)
    else:
        for fill in message.fills:
            if fill.order_id == ORDER:
                order.saw_trade(message.trade_id, fill.shares_micro, failed=message.failed)


@given(stories())
@settings(max_examples=400, deadline=None)
def test_the_final_amount_is_the_truth_whatever_the_order_of_messages(
    story: tuple[list[Any], int, int, str],
) -> None:
    messages, matched, failed, end = story
    order = TrackedOrder(
        ORDER, MARKET, TOKEN, "trc_1", "SELL", price_micro=370_000, size_micro=SIZE_CENTS * 10_000
    )
    highest = 0
    for message in messages:
        tell(order, message)
        assert 0 <= order.filled_micro <= matched * 10_000
        highest = max(highest, order.filled_micro)

    assert order.filled_micro == (matched - failed) * 10_000
    assert (order.due_end == "CANCELLED") == (end == "cancelled" and order.filled_micro < order.size_micro)
    assert failed or highest == matched * 10_000
