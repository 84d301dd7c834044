"""Cancelling, and reading back orders, trades and balances, through the official SDK."""

import asyncio
from typing import Any

import pytest
from py_clob_client_v2.clob_types import (
    BalanceAllowanceParams,
    OpenOrderParams,
    OrderMarketCancelParams,
    OrderPayload,
    TradeParams,
)
from support.paper_stage import (
    CONTRACTS,
    CUP,
    NO,
    RAIN,
    START_MS,
    WINNER,
    YES,
    Stage,
    Trader,
    paper_stage,
    refusal,
)
from support.payloads import payload

from polytraders_pfh.paper.core.model import MICRO, Mode, Side

DEPOSIT_WALLET = "0x00000000000000000000000000000000d3905170"
NOBODYS = "0x" + "1" * 64


async def cancel(trader: Trader, order_id: str) -> dict[str, Any]:
    return await asyncio.to_thread(trader.client.cancel_order, OrderPayload(order_id))


async def test_a_cancel_names_the_order_and_a_second_one_says_why_not() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        order_id = await trader.rest("BUY", 10, 400_000)

        assert await cancel(trader, order_id) == {"canceled": [order_id], "not_canceled": {}}
        second = await cancel(trader, order_id)
        assert second["canceled"] == []
        assert "already canceled or matched" in second["not_canceled"][order_id]


async def test_nobody_cancels_what_is_not_theirs() -> None:
    async with paper_stage() as stage:
        trader, stranger = await stage.trader(1), await stage.trader(2)
        order_id = await trader.rest("BUY", 10, 400_000)
        answer = await cancel(stranger, order_id)
        unknown = await cancel(stranger, NOBODYS)

        assert (answer["canceled"], list(answer["not_canceled"])) == ([], [order_id])
        assert (unknown["canceled"], list(unknown["not_canceled"])) == ([], [NOBODYS])
        assert len(stage.exchange.open_orders(trader.key)) == 1


async def test_many_orders_are_cancelled_by_id_and_each_id_is_answered() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        ids = [await trader.rest("BUY", 10, 400_000) for _ in range(3)]
        answer = await asyncio.to_thread(trader.client.cancel_orders, [ids[2], NOBODYS, ids[0]])

        assert sorted(answer["canceled"]) == sorted([ids[0], ids[2]])
        assert list(answer["not_canceled"]) == [NOBODYS]
        assert [record.order_id for record in stage.exchange.open_orders(trader.key)] == [ids[1]]


async def test_a_market_or_a_token_is_cancelled_and_the_rest_stays() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        yes, no, cup = (
            await trader.rest("BUY", 10, 400_000),
            await trader.rest("BUY", 10, 400_000, token=NO),
            (await trader.post(trader.order("BUY", 10, 400_000, token=WINNER, neg_risk=True)))["orderID"],
        )
        cancel_market = trader.client.cancel_market_orders
        by_token = await asyncio.to_thread(cancel_market, OrderMarketCancelParams(asset_id=NO))
        by_market = await asyncio.to_thread(cancel_market, OrderMarketCancelParams(market=RAIN.condition_id))

        assert (by_token["canceled"], by_market["canceled"]) == ([no], [yes])
        assert [record.order_id for record in stage.exchange.open_orders(trader.key)] == [cup]
        assert await refusal(cancel_market, OrderMarketCancelParams()) == (
            400,
            {"error": "Invalid order payload"},
        )


async def test_everything_is_cancelled_at_once_and_nothing_is_also_fine() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        ids = [await trader.rest("BUY", 10, 400_000), await trader.rest("BUY", 10, 400_000, token=NO)]
        first = await asyncio.to_thread(trader.client.cancel_all)
        second = await asyncio.to_thread(trader.client.cancel_all)

    assert sorted(first["canceled"]) == sorted(ids)
    assert second == {"canceled": [], "not_canceled": {}}


async def test_cancels_that_make_no_sense_are_refused() -> None:
    async with paper_stage() as stage:
        client = (await stage.trader(1)).client

        assert await refusal(client.cancel_order, OrderPayload("0x12")) == (400, {"error": "Invalid orderID"})
        assert await refusal(client.cancel_orders, []) == (400, {"error": "Invalid order payload"})
        assert await refusal(client.cancel_orders, ["0x" + "1" * 64] * 1_001) == (
            400,
            {"error": "Too many orders in payload, max allowed: 1000"},
        )


async def test_there_is_no_delete_by_path() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        order_id = await trader.rest("BUY", 10, 400_000)
        headers = trader.client._l2_headers("DELETE", f"/order/{order_id}")
        async with stage.http.delete(f"{stage.server.url}/order/{order_id}", headers=headers) as answer:
            assert answer.status == 404
        assert len(stage.exchange.open_orders(trader.key)) == 1


async def test_cancels_work_in_cancel_only_mode_and_not_when_trading_is_off() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        order_id = await trader.rest("BUY", 10, 400_000)
        stage.exchange.set_mode(Mode.DISABLED)
        disabled = await refusal(trader.client.cancel_order, OrderPayload(order_id))
        stage.exchange.set_mode(Mode.CANCEL_ONLY)
        answer = await cancel(trader, order_id)

    assert disabled[0] == 503
    assert answer["canceled"] == [order_id]


async def filled_in_part(stage: Stage) -> tuple[Trader, str]:
    """A resting BUY of 100 YES at 0.50 of which the crowd has sold it 25."""
    trader = await stage.trader(1)
    order_id = await trader.rest("BUY", 100, 500_000)
    stage.clock.advance(5_000)
    stage.exchange.crowd_take(YES, Side.SELL, 25 * MICRO, 500_000, stage.clock.now_ms())
    stage.server.pump()
    return trader, order_id


async def test_an_order_is_read_back_in_shares_and_seconds() -> None:
    async with paper_stage() as stage:
        trader, order_id = await filled_in_part(stage)
        record = await asyncio.to_thread(trader.client.get_order, order_id)

        assert record == payload("rest_order_partly_filled")


async def test_an_order_stays_readable_after_its_end_but_leaves_the_list() -> None:
    async with paper_stage() as stage:
        trader, order_id = await filled_in_part(stage)
        await cancel(trader, order_id)
        client = trader.client
        record = await asyncio.to_thread(client.get_order, order_id)

        assert (record["status"], record["size_matched"]) == ("CANCELED", "25")
        assert await asyncio.to_thread(client.get_open_orders) == []
        assert await asyncio.to_thread(client.get_open_orders, OpenOrderParams(id=order_id)) == [record]


async def test_orders_of_others_and_of_nobody_are_not_found() -> None:
    async with paper_stage() as stage:
        trader, stranger = await stage.trader(1), await stage.trader(2)
        order_id = await trader.rest("BUY", 10, 400_000)
        missing = (404, {"error": "Order not found"})

        assert await refusal(stranger.client.get_order, order_id) == missing
        assert await refusal(trader.client.get_order, NOBODYS) == missing
        assert await refusal(trader.client.get_order, "0x12") == (400, {"error": "Invalid orderID"})
        assert await asyncio.to_thread(stranger.client.get_open_orders, OpenOrderParams(id=order_id)) == []


async def test_open_orders_are_filtered_by_market_and_token() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        yes, no = (
            await trader.rest("BUY", 10, 400_000),
            await trader.rest("BUY", 10, 400_000, token=NO),
        )

        async def ids(**filters: str) -> list[str]:
            rows = await asyncio.to_thread(trader.client.get_open_orders, OpenOrderParams(**filters))
            return [row["id"] for row in rows]

        assert await ids(market=RAIN.condition_id) == [yes, no]
        assert await ids(asset_id=NO) == [no]
        assert await ids(market=CUP.condition_id) == []


async def test_long_lists_come_in_pages_of_a_hundred() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        ids = [await trader.rest("BUY", 5, 10_000) for _ in range(203)]
        rows = await asyncio.to_thread(trader.client.get_open_orders)
        pages = []
        cursor = "MA=="
        while cursor != "LTE=":
            headers = trader.client._l2_headers("GET", "/data/orders")
            url = f"{stage.server.url}/data/orders?next_cursor={cursor}"
            async with stage.http.get(url, headers=headers) as answer:
                page = await answer.json()
            pages.append((page["limit"], page["count"], len(page["data"])))
            cursor = page["next_cursor"]

    assert [row["id"] for row in rows] == ids
    assert pages == [(100, 100, 100), (100, 100, 100), (100, 3, 3)]


@pytest.mark.parametrize("cursor", ["%%%", "AAAA", "LTE"])
async def test_a_broken_cursor_is_refused(cursor: str) -> None:
    async with paper_stage() as stage:
        client = (await stage.trader(1)).client

        assert await refusal(client.get_open_orders, None, True, cursor) == (
            400,
            {"error": "invalid order params payload"},
        )


async def test_a_makers_trade_shows_the_taker_on_top_and_the_own_fill_inside() -> None:
    async with paper_stage() as stage:
        trader, _ = await filled_in_part(stage)
        rows = await asyncio.to_thread(trader.client.get_trades)

        assert rows == payload("rest_trades_maker")


async def test_taker_and_maker_see_one_trade_from_their_two_sides() -> None:
    async with paper_stage() as stage:
        maker, taker = await stage.trader(1), await stage.trader(2)
        resting = await maker.rest("BUY", 20, 400_000)
        crossing = await taker.rest("BUY", 20, 600_000, token=NO)
        (as_maker,) = await asyncio.to_thread(maker.client.get_trades)
        (as_taker,) = await asyncio.to_thread(taker.client.get_trades)

    assert (as_maker["trader_side"], as_taker["trader_side"]) == ("MAKER", "TAKER")
    assert {**as_maker, "trader_side": "TAKER"} == as_taker
    assert (as_taker["taker_order_id"], as_taker["asset_id"], as_taker["price"]) == (crossing, NO, "0.6")
    (fill,) = as_taker["maker_orders"]
    assert (fill["order_id"], fill["asset_id"], fill["price"], fill["side"]) == (resting, YES, "0.4", "BUY")
    assert (fill["owner"], fill["matched_amount"]) == (maker.key, "20")


async def test_trades_are_filtered_by_id_market_address_and_time() -> None:
    async with paper_stage() as stage:
        trader, _ = await filled_in_part(stage)
        (trade,) = await asyncio.to_thread(trader.client.get_trades)
        second = int(trade["match_time"])
        stranger = "0x000000000000000000000000000000000000beef"

        async def found(**filters: Any) -> bool:
            return bool(await asyncio.to_thread(trader.client.get_trades, TradeParams(**filters)))

        hits = [
            await found(id=trade["id"]),
            await found(market=RAIN.condition_id),
            await found(maker_address=trader.wallet),
            await found(after=second - 1, before=second + 1),
        ]
        misses = [
            await found(id="elsewhere"),
            await found(market=CUP.condition_id),
            await found(maker_address=stranger),
            await found(after=second + 1),
            await found(before=second - 1),
        ]
        refused = await refusal(trader.client.get_trades, TradeParams(after="today"))

    assert (hits, misses) == ([True] * 4, [False] * 5)
    assert refused == (400, {"error": "Invalid trade params payload"})


async def balance(trader: Trader, token: str | None = None) -> str:
    kind = "COLLATERAL" if token is None else "CONDITIONAL"
    parameters = BalanceAllowanceParams(asset_type=kind, token_id=token)
    answer = await asyncio.to_thread(trader.client.get_balance_allowance, parameters)
    return str(answer["balance"])


async def test_balances_are_six_decimal_integers_and_ignore_open_orders() -> None:
    async with paper_stage() as stage:
        trader, _ = await filled_in_part(stage)
        before = (await balance(trader), await balance(trader, YES))
        stage.advance(2_000)
        after = (await balance(trader), await balance(trader, YES))

    assert before == ("10000000000", "0")
    assert after == ("9987500000", "25000000")


async def test_a_new_deposit_wallet_shows_its_starting_money_before_and_after_its_first_order() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1, 3, DEPOSIT_WALLET)
        before = (await balance(trader), await balance(trader, YES))
        await trader.rest("BUY", 10, 400_000)

        assert before == ("10000000000", "0")
        assert await balance(trader) == "10000000000"
        assert stage.exchange.balance(DEPOSIT_WALLET) == 10_000 * MICRO


async def test_allowances_cover_every_spender_and_an_update_changes_nothing() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        parameters = BalanceAllowanceParams(asset_type="COLLATERAL")
        read = await asyncio.to_thread(trader.client.get_balance_allowance, parameters)
        updated = await asyncio.to_thread(trader.client.update_balance_allowance, parameters)
        unclear = await refusal(trader.client.get_balance_allowance, BalanceAllowanceParams())

    assert read == updated
    assert set(read["allowances"]) == {
        CONTRACTS.exchange_v2,
        CONTRACTS.neg_risk_exchange_v2,
        CONTRACTS.neg_risk_adapter,
    }
    assert set(read["allowances"].values()) == {str(2**256 - 1)}
    assert unclear[0] == 400


async def test_reads_need_a_valid_key() -> None:
    async with paper_stage() as stage:
        for path in ("/data/orders", "/data/trades", "/balance-allowance", f"/data/order/{NOBODYS}"):
            async with stage.http.get(stage.server.url + path) as answer:
                assert (answer.status, await answer.json()) == (
                    401,
                    {"error": "Unauthorized/Invalid api key"},
                )


def test_the_stage_starts_where_the_payloads_say() -> None:
    assert payload("rest_order_partly_filled")["created_at"] == START_MS // 1_000


async def test_a_read_sees_everything_due_before_it_without_waiting_for_the_servers_own_tick() -> None:
    async with paper_stage(tick_ms=10**9) as stage:
        trader = await stage.trader(1)
        soon = START_MS // 1_000 + 240
        answer = await trader.post(trader.order("BUY", 10, 400_000, expiration_s=soon), "GTD")
        stage.clock.advance(180_000)
        record = await asyncio.to_thread(trader.client.get_order, answer["orderID"])

    assert record["status"] == "CANCELED"
