from typing import Any

import pytest
from polytraders_hookspecs import OrderFacts
from support.orders import MARKET, TOKEN

from polytraders_pfh.host.orders import TrackedOrder, usd_filled
from polytraders_pfh.host.payloads import OrderNews, order_news

ORDER = "0x" + "0a" * 32


def order(**changes: Any) -> TrackedOrder:
    fields: dict[str, Any] = {
        "order_id": ORDER,
        "market_id": MARKET,
        "token_id": TOKEN,
        "trace_id": "trc_1",
        "side": "BUY",
        "price_micro": 500_000,
        "size_micro": 100_000_000,
    }
    return TrackedOrder(**(fields | changes))


def news(matched: str | None, ts: int | None = None, standing: str = "LIVE", **changes: Any) -> OrderNews:
    members = {
        "id": ORDER,
        "market": MARKET,
        "asset_id": TOKEN,
        "side": "BUY",
        "price": "0.5",
        "original_size": "100",
        "size_matched": matched,
        "status": standing,
        "timestamp": None if ts is None else str(1_700_000_000_000 + ts),
    }
    return order_news(members | changes)


def filled_after(*sightings: OrderNews | tuple[str, int, bool]) -> list[int]:
    """The filled shares after each sighting; a tuple is a trade: id, shares, failed."""
    tracked, levels = order(), []
    for sighting in sightings:
        if isinstance(sighting, OrderNews):
            tracked.saw(sighting)
        else:
            tracked.saw_trade(sighting[0], sighting[1] * 1_000_000, failed=sighting[2])
        levels.append(tracked.filled_micro // 1_000_000)
    return levels


@pytest.mark.parametrize(
    ("sightings", "levels"),
    [
        ([news("25", 1), news("40", 2)], [25, 40]),
        ([news("40", 2), news("25", 1)], [40, 40]),
        ([news("25", 1), news("25", 1)], [25, 25]),
        ([news("", 1), news(None, 2), news("25", 3)], [0, 0, 25]),
        ([news("25", 1), news("", 2)], [25, 25]),
        ([("a", 10, False), ("b", 15, False), news("25", 1)], [10, 25, 25]),
        ([("a", 10, False), ("a", 10, False)], [10, 10]),
        ([news("25", 1), ("a", 25, False)], [25, 25]),
        ([news("25"), news("20")], [25, 25]),
        ([news("250", 1)], [100]),
        ([news("25", 5), news("25", 5), news("10", 5)], [25, 25, 25]),
        # a record carries no date: a dated word from before it may come later and takes nothing back
        ([news("25"), news("0", 1), news("25", 1)], [25, 25, 25]),
        ([news("10", 1), news("25"), news("15", 2), news("25", 3), news("20", 4)], [10, 25, 25, 25, 20]),
    ],
)
def test_any_order_of_sightings_gives_the_true_filled_amount(sightings: list[Any], levels: list[int]) -> None:
    assert filled_after(*sightings) == levels


@pytest.mark.parametrize(
    ("sightings", "levels"),
    [
        # a failed trade is taken back, whoever told of it first
        ([("a", 25, False), ("a", 25, True)], [25, 0]),
        ([news("25", 1), ("a", 25, False), ("a", 25, True)], [25, 25, 0]),
        ([news("25", 1), ("a", 25, True)], [25, 0]),
        ([("a", 25, True), ("a", 25, False)], [0, 0]),
        # the exchange goes on counting gross
        ([news("25", 1), ("a", 25, True), news("35", 2)], [25, 0, 10]),
        # the exchange's newer word has come down already: nothing is taken back twice
        ([news("25", 1), ("a", 25, True), news("0", 2)], [25, 0, 0]),
        ([news("25", 1), news("15", 2)], [25, 15]),
        ([news("25", 1), news("15", 2), ("a", 10, True), news("30", 3)], [25, 15, 15, 30]),
    ],
)
def test_a_reversal_lowers_the_filled_amount_exactly_once(sightings: list[Any], levels: list[int]) -> None:
    assert filled_after(*sightings) == levels


@pytest.mark.parametrize(
    ("first", "level"),
    [(("t", 10, False), 25), (news("25"), 25), (news("40"), 40), (news("15"), 15), (news("30", 1), 30)],
)
def test_after_a_restart_memory_holds_until_the_exchanges_first_word(first: Any, level: int) -> None:
    tracked = order()
    tracked.remember(25_000_000, 7)
    if isinstance(first, OrderNews):
        tracked.saw(first)
    else:
        tracked.saw_trade(first[0], first[1] * 1_000_000, failed=first[2])

    assert tracked.filled_micro // 1_000_000 == level


def test_after_a_restart_too_an_undated_record_is_not_lowered_by_an_older_dated_word() -> None:
    tracked = order()
    tracked.remember(0, 7)
    tracked.saw(news("25"))
    tracked.saw(news("0", 1))

    assert tracked.filled_micro == 25_000_000


@pytest.mark.parametrize(
    ("sightings", "end"),
    [
        ([news("25", 1)], None),
        ([news("100", 1, "MATCHED")], "FILLED"),
        ([news("99.995", 1, "MATCHED")], "FILLED"),
        ([news("99.995", 1)], None),
        ([news("25", 1, "CANCELED")], "CANCELLED"),
        ([news("", 1, "CANCELED_order couldn't be fully filled.")], "CANCELLED"),
        ([news("25", 1, "INVALID")], "CANCELLED"),
        ([news("25", 1, "LIVE", type="CANCELLATION")], "CANCELLED"),
        ([news("100", 1, "CANCELED")], "FILLED"),
        ([news("40", 1, "MATCHED")], None),
        ([news("40", 1, "ORDER_STATUS_CANCELED_MARKET_RESOLVED")], "CANCELLED"),
        ([news("0", 1, "DELAYED")], None),
        ([news("0", 1, "SOMETHING_NEW")], None),
    ],
)
def test_the_end_is_what_the_sightings_prove(sightings: list[OrderNews], end: str | None) -> None:
    tracked = order()
    for sighting in sightings:
        tracked.saw(sighting)

    assert tracked.due_end == end


def test_matched_with_shares_missing_calls_for_a_look() -> None:
    tracked = order()
    tracked.saw(news("40", 1, "MATCHED"))

    assert tracked.needs_a_look
    tracked.proven_dead()
    assert tracked.due_end == "CANCELLED"


def test_sizes_written_as_millionths_are_read_as_shares() -> None:
    tracked = order()
    tracked.saw(news("25000000", 1, original_size="100000000"))

    assert tracked.filled_micro == 25_000_000


@pytest.mark.parametrize(
    ("shares", "price", "usd"),
    [
        (25_000_000, 500_000, 12_500_000),
        (5_051_019, 550_000, 2_778_061),
        (1, 1_000, 1),
        (0, 500_000, 0),
        (10_000, 1_000, 10),
    ],
)
def test_filled_pusd_is_exact_on_the_grid_and_never_understated_off_it(
    shares: int, price: int, usd: int
) -> None:
    assert usd_filled(shares, price) == usd


def test_facts_say_what_is_known_in_the_contracts_words() -> None:
    tracked = order(root_order_id="0x" + "0b" * 32)
    unseen = tracked.facts().status
    tracked.saw(news("0", 1))
    resting = tracked.facts().status
    tracked.saw(news("25.5", 2))

    assert (unseen, resting) == ("UNKNOWN", "LIVE")
    assert tracked.facts() == OrderFacts.from_members(
        {
            "order_id": ORDER,
            "market_id": MARKET,
            "token_id": TOKEN,
            "trace_id": "trc_1",
            "side": "BUY",
            "price": "0.5",
            "size_shares": "100",
            "filled_shares": "25.5",
            "status": "PARTIAL",
            "root_order_id": "0x" + "0b" * 32,
        }
    )
