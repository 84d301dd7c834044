"""Placing orders through the unmodified official SDK: what is taken, what is refused, in which words."""

import asyncio
import dataclasses
from typing import Any

import pytest
from py_clob_client_v2.clob_types import (
    MarketOrderArgsV2,
    OrderArgsV2,
    PostOrdersV2Args,
)
from py_clob_client_v2.order_utils import SignedOrderV2
from support.paper_stage import CUP, NO, RAIN, START_MS, WINNER, YES, Stage, Trader, paper_stage, refusal

from polytraders_pfh.paper.core.model import MICRO, ExchangeConfig, Mode, Side
from polytraders_pfh.paper.protocol.venue import VenueOptions

DEPOSIT_WALLET = "0x00000000000000000000000000000000d3905170"
AT_ONCE = ExchangeConfig(mine_delay_ms=0, confirm_delay_ms=0)


def offer(stage: Stage, shares: int, price_micro: int, token: str = YES) -> None:
    """The crowd sells."""
    stage.exchange.crowd_set_level(token, Side.SELL, price_micro, shares * MICRO, START_MS)


async def refused(trader: Trader, order: SignedOrderV2, kind: str = "GTC", *, post_only: bool = False) -> Any:
    """The text with which a single post is refused with HTTP 400."""
    status, body = await refusal(trader.client.post_order, order, kind, post_only, True)
    assert status == 400, (status, body)
    return body["error"]


@pytest.mark.parametrize(
    ("signature_type", "funder"), [(0, None), (1, DEPOSIT_WALLET), (2, DEPOSIT_WALLET), (3, DEPOSIT_WALLET)]
)
async def test_the_sdk_posts_a_resting_order_for_every_kind_of_wallet(
    signature_type: int, funder: str | None
) -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1, signature_type, funder)
        arguments = OrderArgsV2(token_id=YES, price=0.4, size=10, side="BUY")
        answer = await asyncio.to_thread(trader.client.create_and_post_order, arguments)

        record = stage.exchange.order(answer["orderID"])
        assert record is not None
        assert record.request.owner == trader.wallet.lower()
        assert answer == {
            "success": True,
            "errorMsg": "",
            "orderID": record.order_id,
            "status": "live",
            "makingAmount": "",
            "takingAmount": "",
            "tradeIDs": [],
            "transactionsHashes": [],
        }


async def test_an_order_on_a_neg_risk_market_is_signed_for_its_contract() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        arguments = OrderArgsV2(token_id=WINNER, price=0.4, size=10, side="BUY")
        answer = await asyncio.to_thread(trader.client.create_and_post_order, arguments)

        assert answer["status"] == "live"


async def test_a_crossing_order_answers_in_human_decimals_and_the_sdk_finds_the_hash() -> None:
    async with paper_stage(config=AT_ONCE) as stage:
        offer(stage, 12, 510_000)
        trader = await stage.trader(1)
        answer = await asyncio.to_thread(trader.client.post_order, trader.order("BUY", 20, 510_000))
        trade = stage.exchange.trades(trader.key)[0]

    assert answer == {
        "success": True,
        "errorMsg": "",
        "orderID": trade.taker_order_id,
        "status": "matched",
        "makingAmount": "6.12",
        "takingAmount": "12",
        "tradeIDs": [trade.id],
        "transactionsHashes": [trade.transaction_hash],
    }


async def test_a_market_order_in_pusd_gets_more_shares_at_a_better_price() -> None:
    async with paper_stage() as stage:
        offer(stage, 100, 400_000)
        trader = await stage.trader(1)
        arguments = MarketOrderArgsV2(token_id=YES, amount=8, price=0.5, side="BUY")
        order = await asyncio.to_thread(trader.client.create_market_order, arguments)
        answer = await trader.post(order, "FOK")

    assert order.takerAmount == "16000000"
    assert (answer["status"], answer["makingAmount"], answer["takingAmount"]) == ("matched", "8", "20")


async def test_a_fak_takes_what_is_there_and_is_gone() -> None:
    async with paper_stage() as stage:
        offer(stage, 6, 500_000)
        trader = await stage.trader(1)
        answer = await trader.post(trader.order("BUY", 10, 500_000), "FAK")

        assert (answer["status"], answer["makingAmount"], answer["takingAmount"]) == ("matched", "3", "6")
        assert stage.exchange.open_orders(trader.key) == ()


async def test_a_killed_fok_and_a_fak_that_met_nobody_are_clean_misses() -> None:
    async with paper_stage() as stage:
        offer(stage, 6, 500_000)
        trader = await stage.trader(1)

        assert await refused(trader, trader.order("BUY", 10, 500_000), "FOK") == (
            "order couldn't be fully filled. FOK orders are fully filled or killed."
        )
        assert await refused(trader, trader.order("BUY", 10, 490_000), "FAK") == (
            "no orders found to match with FAK order. "
            "FAK orders are partially filled or killed if no match is found."
        )


async def test_a_gtd_order_expires_a_minute_before_its_second() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        soon = START_MS // 1_000 + 240
        answer = await trader.post(trader.order("BUY", 10, 400_000, expiration_s=soon), "GTD")
        stage.advance(179_000)
        still_open = len(stage.exchange.open_orders(trader.key))
        stage.advance(1_000)

        assert (answer["status"], still_open) == ("live", 1)
        assert stage.exchange.open_orders(trader.key) == ()
        too_soon = trader.order("BUY", 10, 400_000, expiration_s=soon)
        assert await refused(trader, too_soon, "GTD") == "invalid expiration"


async def test_a_post_only_order_rests_or_is_refused() -> None:
    async with paper_stage() as stage:
        offer(stage, 10, 500_000)
        trader = await stage.trader(1)
        resting = await trader.post(trader.order("BUY", 10, 490_000), post_only=True)

        assert resting["status"] == "live"
        assert await refused(trader, trader.order("BUY", 10, 500_000), post_only=True) == (
            "invalid post-only order: order crosses book"
        )


async def test_the_same_signed_order_is_taken_once_even_after_its_end() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        order = trader.order("BUY", 10, 400_000)
        order_id = (await trader.post(order))["orderID"]
        again = await refused(trader, order)
        await asyncio.to_thread(trader.client.cancel_all)

        assert again == f"order {order_id} is invalid. Duplicated."
        assert await refused(trader, order) == again


async def test_rules_of_the_market_are_refused_with_the_orders_id() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        off_grid = await refused(trader, trader.order("BUY", 10, 405_000))
        too_small = await refused(trader, trader.order("BUY", 4, 400_000))
        too_dear = await refused(trader, trader.order("BUY", 100_000, 400_000))

    assert off_grid.endswith("is invalid. Price (0.405) breaks minimum tick size rule: 0.01")
    assert too_small.endswith("is invalid. Size (4) lower than the minimum: 5")
    assert too_dear.startswith("not enough balance / allowance")


async def test_a_sell_without_tokens_is_refused_and_with_tokens_it_rests() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        bare = await refused(trader, trader.order("SELL", 10, 600_000))
        stage.exchange.mint(trader.wallet.lower(), RAIN.condition_id, 10 * MICRO)

        assert bare.startswith("not enough balance / allowance")
        assert (await trader.post(trader.order("SELL", 10, 600_000)))["status"] == "live"


async def test_orders_signed_wrongly_are_refused_and_leave_nothing_behind() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        good = trader.order("BUY", 10, 400_000)
        tampered = dataclasses.replace(good, makerAmount="3000000")
        other_contract = trader.order("BUY", 10, 400_000, neg_risk=True)
        old_domain = trader.order("BUY", 10, 400_000, version="1")

        assert await refused(trader, tampered) == "invalid signature"
        assert await refused(trader, other_contract) == "invalid signature"
        assert await refused(trader, old_domain) == "order_version_mismatch"
        assert stage.exchange.open_orders(trader.key) == ()


async def test_an_order_for_somebody_elses_api_key_or_wallet_is_refused() -> None:
    async with paper_stage() as stage:
        trader, stranger = await stage.trader(1), await stage.trader(2)
        order = trader.order("BUY", 10, 400_000)
        foreign_signer = await refused(stranger, order)
        own_key, trader.client.creds.api_key = trader.key, stranger.key
        body = {"error": "Unauthorized/Invalid api key"}
        assert await refusal(trader.client.post_order, order, "GTC", False, True) == (401, body)
        trader.client.creds.api_key = own_key

    assert foreign_signer == "the order signer address has to be the address of the API KEY"


async def test_the_owner_field_must_name_the_calling_key() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        client = trader.client
        order = trader.order("BUY", 10, 400_000)
        headers_of = client._l2_headers

        def with_foreign_owner(method: str, path: str, body: Any = None, serialized_body: str = "") -> Any:
            return headers_of(method, path, body=body, serialized_body=serialized_body)

        client._l2_headers = with_foreign_owner
        real_post = client._post

        def post(url: str, headers: Any = None, data: str = "", params: Any = None) -> Any:
            foreign = data.replace(trader.key, "00000000-0000-4000-8000-000000000000")
            return real_post(url, headers=headers_of("POST", "/order", None, foreign), data=foreign)

        client._post = post

        assert await refused(trader, order) == "the order owner has to be the owner of the API KEY"


async def test_a_deposit_wallet_belongs_to_the_first_key_that_signed_for_it() -> None:
    async with paper_stage() as stage:
        owner = await stage.trader(1, 3, DEPOSIT_WALLET)
        thief = await stage.trader(2, 3, DEPOSIT_WALLET)
        await owner.rest("BUY", 10, 400_000)

        assert await refused(thief, thief.order("BUY", 10, 400_000)) == "invalid signature"


async def test_a_token_without_a_market_has_no_orderbook() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)

        assert await refused(trader, trader.order("BUY", 10, 400_000, token="99")) == (
            "the orderbook 99 does not exist"
        )


async def test_without_starting_money_a_new_wallet_cannot_buy() -> None:
    async with paper_stage(options=VenueOptions(starting_usd_micro=0)) as stage:
        trader = await stage.trader(1)
        poor = await refused(trader, trader.order("BUY", 10, 400_000))
        stage.server.open_account(trader.wallet, 4 * MICRO)

        assert poor.startswith("not enough balance / allowance")
        assert (await trader.post(trader.order("BUY", 10, 400_000)))["status"] == "live"


async def test_a_batch_answers_leg_by_leg_in_order() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        good, small, other = (
            trader.order("BUY", 10, 400_000),
            trader.order("BUY", 1, 400_000),
            trader.order("BUY", 10, 300_000, token=NO),
        )
        tampered = dataclasses.replace(good, salt="77")
        legs = [PostOrdersV2Args(order) for order in (good, small, tampered, other)]
        answers = await asyncio.to_thread(trader.client.post_orders, legs)

    assert [(leg["success"], bool(leg["orderID"]), leg["status"]) for leg in answers] == [
        (True, True, "live"),
        (True, False, ""),
        (True, False, ""),
        (True, True, "live"),
    ]
    assert "lower than the minimum: 5" in answers[1]["errorMsg"]
    assert answers[2]["errorMsg"] == "invalid signature"


async def test_a_batch_holds_at_most_fifteen_orders_and_at_least_one() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        legs = [PostOrdersV2Args(trader.order("BUY", 10, 400_000)) for _ in range(16)]

        assert await refusal(trader.client.post_orders, legs) == (
            400,
            {"error": "Too many orders in payload: 16, max allowed: 15"},
        )
        assert await refusal(trader.client.post_orders, []) == (400, {"error": "Invalid order payload"})
        assert stage.exchange.open_orders(trader.key) == ()


async def test_modes_answer_with_their_status_code_and_waiting_time() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        answers = {}
        for mode in (Mode.RESTARTING, Mode.DISABLED, Mode.CANCEL_ONLY, Mode.POST_ONLY):
            stage.exchange.set_mode(mode, START_MS + 79_000)
            order = trader.order("BUY", 10, 400_000)
            answers[mode] = await refusal(trader.client.post_order, order, "GTC", False, True)
        post_only = await trader.post(trader.order("BUY", 10, 400_000), post_only=True)

    assert {mode: status for mode, (status, _) in answers.items()} == {
        Mode.RESTARTING: 425,
        Mode.DISABLED: 503,
        Mode.CANCEL_ONLY: 503,
        Mode.POST_ONLY: 503,
    }
    assert answers[Mode.POST_ONLY][1]["code"] == "post_only_mode"
    assert answers[Mode.POST_ONLY][1]["retry_after_seconds"] == 79
    assert post_only["status"] == "live"


async def test_a_batch_in_a_restart_is_refused_whole_and_in_post_only_mode_by_leg() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        legs = [PostOrdersV2Args(trader.order("BUY", 10, 400_000))]
        stage.exchange.set_mode(Mode.RESTARTING)
        restarting, _ = await refusal(trader.client.post_orders, legs)
        stage.exchange.set_mode(Mode.POST_ONLY)
        answers = await asyncio.to_thread(trader.client.post_orders, legs)

    assert restarting == 425
    assert [(leg["success"], leg["orderID"]) for leg in answers] == [(True, "")]
    assert answers[0]["errorMsg"]


async def test_a_taker_delay_holds_the_answer_and_then_tells_the_outcome() -> None:
    slow = dataclasses.replace(RAIN, taker_delay_ms=250)
    async with paper_stage(markets=(slow, CUP)) as stage:
        offer(stage, 100, 500_000)
        trader = await stage.trader(1)
        user = await stage.listen_user(trader)
        posting = asyncio.create_task(trader.post(trader.order("BUY", 10, 500_000)))
        placed = await user.receive_json()
        stage.advance(249)
        held = not posting.done()
        stage.advance(1)
        answer = await posting
        await user.close()

    assert (placed["type"], placed["status"], held) == ("PLACEMENT", "DELAYED", True)
    assert (answer["status"], answer["takingAmount"]) == ("matched", "10")


async def test_a_seconds_delay_is_answered_delayed_at_once() -> None:
    slow = dataclasses.replace(RAIN, seconds_delay_ms=3_000)
    async with paper_stage(markets=(slow, CUP)) as stage:
        offer(stage, 100, 500_000)
        trader = await stage.trader(1)
        answer = await trader.post(trader.order("BUY", 10, 500_000))
        waiting = stage.exchange.trades(trader.key)
        stage.advance(3_000)

        assert (answer["status"], waiting) == ("delayed", ())
        assert len(stage.exchange.trades(trader.key)) == 1


async def test_a_body_that_is_no_order_is_an_invalid_payload() -> None:
    async with paper_stage() as stage:
        client = (await stage.trader(1)).client
        for body in ("", "{", "[]", "1", '{"order":{}}', '{"order":{"timestamp":NaN}}', "[" * 5_000):
            headers = client._l2_headers("POST", "/order", serialized_body=body)
            async with stage.http.post(stage.server.url + "/order", headers=headers, data=body) as answer:
                assert answer.status == 400, body
                assert (await answer.json())["error"] in ("Invalid order payload", "order_version_mismatch")
