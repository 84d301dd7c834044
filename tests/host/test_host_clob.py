import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from aiohttp import web
from eth_account import Account
from polytraders_hookspecs import SignedOrder
from py_clob_client_v2.signer import Signer as SdkSigner
from py_clob_client_v2.signing import build_hmac_signature, sign_clob_auth_message
from support.clocks import HandClock
from support.eventually import eventually
from support.orders import MARKET, TEST_KEY, TOKEN, unsigned
from support.stub_exchange import API_KEY, API_SECRET, PASSPHRASE, StubExchange, hang_up, json_answer

from polytraders_pfh.host.auth import ApiCredentials, l1_headers
from polytraders_pfh.host.clob import ClobAdapter
from polytraders_pfh.host.config import TimeoutsSection
from polytraders_pfh.host.errors import ExchangeRefused, PayloadError
from polytraders_pfh.host.secret import Secret
from polytraders_pfh.host.signer import WalletSigner
from polytraders_pfh.host.transport import ExchangeTransport
from polytraders_pfh.host.wallet import Wallet

CREDENTIALS = ApiCredentials(API_KEY, Secret(API_SECRET), Secret(PASSPHRASE))
BOOK = {
    "market": MARKET,
    "asset_id": TOKEN,
    "timestamp": "1703875200000",
    "hash": "0xabc123",
    "bids": [{"price": "0.48", "size": "100.00"}, {"price": "0.50", "size": "150.123456"}],
    "asks": [{"price": "0.53", "size": "90.00"}, {"price": "0.51", "size": "120"}],
    "min_order_size": "5",
    "tick_size": "0.01",
    "neg_risk": False,
}


@asynccontextmanager
async def adapter(
    stub: StubExchange, clock: HandClock | None = None, log_in: bool = True, timeout_s: float = 5.0
) -> AsyncIterator[ClobAdapter]:
    wallet = Wallet(TEST_KEY, chain_id=137)
    transport = ExchangeTransport(stub.url, connect_s=60)
    await transport.open()
    timeouts = TimeoutsSection(
        book_s=timeout_s, post_s=timeout_s, cancel_s=timeout_s, read_s=timeout_s, trades_s=timeout_s
    )
    try:
        yield ClobAdapter(transport, wallet, clock or HandClock(), timeouts, CREDENTIALS if log_in else None)
    finally:
        await transport.close()


async def signed_order() -> SignedOrder:
    return await WalletSigner(Wallet(TEST_KEY, chain_id=137), HandClock(), new_salt=lambda: 7).sign_order(
        unsigned()
    )


async def test_every_trading_call_carries_an_hmac_over_the_exact_bytes_sent() -> None:
    async with StubExchange() as stub, adapter(stub) as clob:
        await clob.post_order(await signed_order())
        await clob.cancel_orders(("0xaa",))
        await clob.cancel_orders(("0xaa", "0xbb"))
        await clob.get_order("0xaa")
        await clob.get_trades(MARKET, 1_700_000_000_000)
        await clob.heartbeat("")

    assert [f"{seen.method} {seen.path}" for seen in stub.seen] == [
        "POST /order",
        "DELETE /order",
        "DELETE /orders",
        "GET /data/order/0xaa",
        "GET /data/trades",
        "POST /v1/heartbeats",
    ]
    assert all(seen.hmac_is_right() for seen in stub.seen)
    assert {seen.headers["POLY_ADDRESS"] for seen in stub.seen} == {
        Account.from_key(TEST_KEY.reveal()).address
    }
    assert {seen.headers["POLY_PASSPHRASE"] for seen in stub.seen} == {PASSPHRASE}


async def test_the_hmac_is_the_one_that_the_official_sdk_computes() -> None:
    async with StubExchange() as stub, adapter(stub) as clob:
        await clob.cancel_orders(("0xaa", "0xbb"))
    seen = stub.seen[0]

    expected = build_hmac_signature(
        API_SECRET, seen.headers["POLY_TIMESTAMP"], "DELETE", "/orders", seen.body.decode()
    )

    assert seen.headers["POLY_SIGNATURE"] == expected
    assert seen.headers["POLY_TIMESTAMP"] == "1700000000"


async def test_a_cancel_carries_its_ids_in_the_body() -> None:
    async with StubExchange() as stub, adapter(stub) as clob:
        await clob.cancel_orders(("0xaa",))
        await clob.cancel_orders(("0xaa", "0xbb"))

    assert [seen.body for seen in stub.seen] == [b'{"orderID":"0xaa"}', b'["0xaa","0xbb"]']


async def test_the_same_order_is_posted_with_the_same_bytes_every_time() -> None:
    order = await signed_order()
    async with StubExchange() as stub, adapter(stub) as clob:
        await clob.post_order(order)
        await clob.post_order(SignedOrder(**order.model_dump()))

    first, second = (seen.body for seen in stub.seen)
    assert first == second
    assert json.loads(first) == {
        "order": order.wire_order(),
        "owner": API_KEY,
        "orderType": "GTC",
        "deferExec": False,
        "postOnly": False,
    }


async def test_an_answer_is_carried_back_unjudged_with_lower_case_headers() -> None:
    async with StubExchange() as stub, adapter(stub) as clob:
        stub.answer_json(
            "POST /order", {"error": "rate limit"}, status=429, headers={"Poly-RateLimit-Remaining": "0"}
        )
        reply = await clob.post_order(await signed_order())

    assert reply.status == 429
    assert json.loads(reply.body) == {"error": "rate limit"}
    assert reply.headers["poly-ratelimit-remaining"] == "0"


async def test_a_connection_that_drops_after_the_request_is_no_answer_and_no_second_request() -> None:
    async with StubExchange() as stub, adapter(stub) as clob:
        stub.answer("DELETE /order", json_answer({"canceled": [], "not_canceled": {}}), hang_up)
        stub.answer("GET /data/order/0xaa", json_answer({}), hang_up)
        stub.answer("POST /order", json_answer({}), hang_up)
        order = await signed_order()
        for _ in range(2):
            cancel = await clob.cancel_orders(("0xaa",))
            read = await clob.get_order("0xaa")
            post = await clob.post_order(order)

        assert [cancel.status, read.status, post.status] == [None, None, None]
        assert cancel.detail.startswith("DELETE /order: ServerDisconnected")
        assert len(stub.seen) == 6


async def test_silence_ends_at_the_deadline_as_no_answer() -> None:
    release = asyncio.Event()

    async def silence(_: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    async with StubExchange() as stub, adapter(stub, timeout_s=0.05) as clob:
        stub.answer("POST /order", silence)
        reply = await clob.post_order(await signed_order())
        release.set()

    assert (reply.status, reply.detail) == (None, "POST /order: no answer within 0.05 s")


async def test_a_redirect_is_carried_back_and_not_followed() -> None:
    async with StubExchange() as stub, adapter(stub) as clob:
        stub.answer_json("GET /data/order/0xaa", {}, status=307, headers={"Location": "/elsewhere"})
        reply = await clob.get_order("0xaa")

    assert reply.status == 307
    assert len(stub.seen) == 1


async def test_a_body_that_stops_half_way_is_no_answer() -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"canceled":["0xaa"]')
        assert request.transport is not None
        request.transport.close()
        return response

    async with StubExchange() as stub, adapter(stub) as clob:
        stub.answer("DELETE /order", half)
        reply = await clob.cancel_orders(("0xaa",))

    assert reply.status is None
    assert reply.body == b""


async def test_an_exchange_that_is_not_there_is_no_answer() -> None:
    async with StubExchange() as stub:
        pass
    async with adapter(stub) as clob:
        reply = await clob.get_order("0xaa")

    assert reply.status is None


async def test_a_book_arrives_exact_and_in_the_exchanges_own_order() -> None:
    async with StubExchange() as stub, adapter(stub) as clob:
        stub.answer_json("GET /book", BOOK)
        book = await clob.get_book(TOKEN)

    assert stub.seen[0].query == {"token_id": TOKEN}
    assert book.bids == ((480_000, 100_000_000), (500_000, 150_123_456))
    assert book.asks == ((530_000, 90_000_000), (510_000, 120_000_000))
    assert (book.tick_micro, book.min_size_micro, book.neg_risk) == (10_000, 5_000_000, False)
    assert (book.market_id, book.timestamp_ms, book.trading) == (MARKET, 1_703_875_200_000, "open")


@pytest.mark.parametrize(
    "change",
    [
        {"asset_id": "1"},
        {"tick_size": ""},
        {"neg_risk": None},
        {"bids": [{"price": "0.5"}]},
        {"asks": [{"price": "1e-1", "size": "5"}]},
        {"asks": [{"price": "0.5", "size": "-5"}]},
        {"asks": [{"price": "0.5", "size": "\u0665"}]},
        {"bids": None},
    ],
)
async def test_a_book_that_cannot_be_read_exactly_is_no_book(change: dict[str, object]) -> None:
    async with StubExchange() as stub, adapter(stub) as clob:
        stub.answer_json("GET /book", BOOK | change)
        with pytest.raises(PayloadError):
            await clob.get_book(TOKEN)


async def test_a_refused_book_says_what_the_exchange_said() -> None:
    async with StubExchange() as stub, adapter(stub) as clob:
        stub.answer_json("GET /book", {"error": "No orderbook exists"}, status=404)
        with pytest.raises(ExchangeRefused, match="404, No orderbook exists"):
            await clob.get_book(TOKEN)


async def test_a_known_markets_closing_time_stands_in_its_books() -> None:
    async with StubExchange() as stub, adapter(stub) as clob:
        stub.answer_json("GET /book", BOOK)
        stub.answer_json(
            f"GET /clob-markets/{MARKET}",
            {"t": [{"t": TOKEN, "o": "Yes"}], "mts": 0.01, "mos": 5, "gst": "2026-01-02T03:04:05Z"},
        )
        before = await clob.get_book(TOKEN)
        facts = await clob.learn_market(MARKET)
        await clob.learn_market(MARKET)
        after = await clob.get_book(TOKEN)

    assert (before.closes_at_ms, after.closes_at_ms) == (None, 1_767_323_045_000)
    assert (facts.tick_micro, facts.min_size_micro, facts.neg_risk) == (10_000, 5_000_000, False)
    assert len(stub.calls(f"GET /clob-markets/{MARKET}")) == 1


@pytest.mark.parametrize(
    ("status", "body", "headers", "mode", "seconds"),
    [
        (503, {"error": "x", "code": "post_only_mode", "retry_after_seconds": 79}, {}, "post_only", 79),
        (503, {"error": "the exchange is in cancel-only mode"}, {"Retry-After": "12"}, "cancel_only", 12),
        (503, {"error": "trading disabled"}, {}, "closed", 10),
        (425, {"error": "matching engine restarting"}, {"Retry-After": "3"}, "closed", 3),
        (503, {"code": "post_only_mode", "retry_after_seconds": 86400}, {}, "post_only", 600),
    ],
)
async def test_books_tell_the_mode_that_the_last_refusal_named_until_its_time_is_over(
    status: int, body: object, headers: dict[str, str], mode: str, seconds: int
) -> None:
    clock = HandClock()
    async with StubExchange() as stub, adapter(stub, clock) as clob:
        stub.answer_json("GET /book", BOOK)
        stub.answer_json("POST /order", body, status=status, headers=headers)
        await clob.post_order(await signed_order())
        clock.advance(seconds - 0.5)
        during = (await clob.get_book(TOKEN)).trading
        clock.advance(1)
        after = (await clob.get_book(TOKEN)).trading

    assert (during, after) == (mode, "open")


async def test_an_accepted_plain_order_proves_that_trading_is_open() -> None:
    refused = asyncio.Event()

    async def accept_late(request: web.Request) -> web.StreamResponse:
        await refused.wait()
        accepted = {"success": True, "orderID": "0xaa", "errorMsg": "", "status": "live"}
        return await json_answer(accepted)(request)

    async with StubExchange() as stub, adapter(stub) as clob:
        stub.answer_json("GET /book", BOOK)
        stub.answer("POST /order", accept_late, json_answer({"code": "post_only_mode"}, 503))
        order = await signed_order()
        late = asyncio.create_task(clob.post_order(order))
        await eventually(lambda: stub.seen)
        await clob.post_order(order)
        during = (await clob.get_book(TOKEN)).trading
        refused.set()
        await late

        assert (during, (await clob.get_book(TOKEN)).trading) == ("post_only", "open")


async def test_trades_come_with_all_their_pages_and_every_digit() -> None:
    async with StubExchange() as stub, adapter(stub) as clob:
        stub.answer_json(
            "GET /data/trades",
            {"data": [{"id": "a", "size": "5.051019"}], "next_cursor": "Mg=="},
            {"data": [{"id": "b", "size": "1", "n": 1.1}], "next_cursor": "LTE="},
        )
        reply = await clob.get_trades(MARKET, 1_700_000_000_999)

    trades = json.loads(reply.body, parse_float=Decimal)
    assert trades == [{"id": "a", "size": "5.051019"}, {"id": "b", "size": "1", "n": Decimal("1.1")}]
    assert [seen.query["next_cursor"] for seen in stub.seen] == ["MA==", "Mg=="]
    assert stub.seen[0].query["after"] == "1699999999"
    assert all(seen.hmac_is_right() for seen in stub.seen)


async def test_trades_with_a_failed_page_are_that_failure() -> None:
    async with StubExchange() as stub, adapter(stub) as clob:
        stub.answer(
            "GET /data/trades",
            json_answer({"data": [{"id": "a"}], "next_cursor": "Mg=="}),
            json_answer({"error": "boom"}, 500),
        )
        reply = await clob.get_trades(MARKET, 0)

    assert reply.status == 500


async def test_api_credentials_are_derived_or_else_created_by_the_wallet() -> None:
    made = {"apiKey": API_KEY, "secret": API_SECRET, "passphrase": PASSPHRASE}
    async with StubExchange() as stub, adapter(stub, log_in=False) as clob:
        stub.answer_json("GET /auth/derive-api-key", {"error": "no key"}, status=404)
        stub.answer_json("POST /auth/api-key", made)
        credentials = await clob.log_in()
        await clob.get_order("0xaa")

    assert credentials.key == API_KEY
    assert stub.calls("GET /data/order/0xaa")[0].hmac_is_right()
    assert API_SECRET not in repr(credentials)
    assert PASSPHRASE not in repr(credentials)


async def test_the_l1_signature_is_the_one_that_the_official_sdk_makes() -> None:
    headers = await l1_headers(Wallet(TEST_KEY, chain_id=137), 1_700_000_000, 0)

    expected = sign_clob_auth_message(SdkSigner(TEST_KEY.reveal(), 137), 1_700_000_000, 0)
    assert headers["POLY_SIGNATURE"] == expected


async def test_a_trading_call_before_the_log_in_is_refused_and_sends_nothing() -> None:
    async with StubExchange() as stub, adapter(stub, log_in=False) as clob:
        with pytest.raises(ExchangeRefused, match="log_in"):
            await clob.get_order("0xaa")

    assert stub.seen == []


async def test_a_balance_is_read_for_the_wallets_own_type() -> None:
    async with StubExchange() as stub, adapter(stub) as clob:
        stub.answer_json("GET /balance-allowance", {"balance": "12345678", "allowances": {}})
        balance = await clob.balance_micro(TOKEN)

    assert balance == 12_345_678
    assert stub.seen[0].query == {"asset_type": "CONDITIONAL", "token_id": TOKEN, "signature_type": "0"}
