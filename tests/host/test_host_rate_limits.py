"""What the exchange says about its limits and modes, and what the host then sends and does not send."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from polytraders_hookspecs import ExchangeReply, SignedOrder, Strategy, read_json
from prometheus_client import CollectorRegistry
from support.clocks import HandClock
from support.eventually import eventually
from support.limits_stage import YES, limits_stage, seller, wish
from support.orders import MARKET, TEST_KEY, TOKEN, unsigned
from support.stub_exchange import API_KEY, API_SECRET, PASSPHRASE, StubExchange, json_answer

from polytraders_pfh.core.outcomes import PostVerdict, judge_post
from polytraders_pfh.engine.replies import read_post
from polytraders_pfh.host import Host
from polytraders_pfh.host.auth import ApiCredentials
from polytraders_pfh.host.clob import ClobAdapter
from polytraders_pfh.host.config import TimeoutsSection
from polytraders_pfh.host.errors import ExchangeRefused
from polytraders_pfh.host.metrics import HostMetrics
from polytraders_pfh.host.rate_limits import GROUPS, Group, RateLimits
from polytraders_pfh.host.replies import post_outcome
from polytraders_pfh.host.secret import Secret
from polytraders_pfh.host.signer import WalletSigner
from polytraders_pfh.host.transport import ExchangeTransport
from polytraders_pfh.host.wallet import Wallet
from polytraders_pfh.paper.core.model import Mode
from polytraders_pfh.paper.protocol.limits import RateTier

CREDENTIALS = ApiCredentials(API_KEY, Secret(API_SECRET), Secret(PASSPHRASE))
WALLET = Wallet(TEST_KEY, chain_id=137)
NOW_S = 1_700_000_000
ACCEPTED = {"success": True, "orderID": "0xaa", "errorMsg": "", "status": "live"}
NO_CHANGE: dict[str, Any] = {"canceled": [], "not_canceled": {}}


class Adapter:
    """A `ClobAdapter` on a stub, its clock and its metrics."""

    def __init__(self, url: str, timeouts: TimeoutsSection | None = None) -> None:
        self.clock = HandClock(NOW_S * 1000)
        self.metrics = HostMetrics(CollectorRegistry())
        self.transport = ExchangeTransport(url, connect_s=60)  # a hundred at once, on a busy machine
        self.clob = ClobAdapter(
            self.transport, WALLET, self.clock, timeouts or TimeoutsSection(), CREDENTIALS, self.metrics
        )

    async def __aenter__(self) -> "Adapter":
        await self.transport.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.transport.close()

    def held(self, reason: str) -> float:
        return self.metrics.posts_held[reason]._value.get()


async def signed_order(salt: int = 7, **changes: Any) -> SignedOrder:
    signer = WalletSigner(WALLET, HandClock(), new_salt=lambda: salt)
    return await signer.sign_order(unsigned(**changes))


def verdict(order: SignedOrder, reply: ExchangeReply) -> PostVerdict:
    """What the bot's own table says of this answer to a first attempt."""
    return judge_post(order.order_id, read_post(reply), attempted_before=False)


def refusal_429(**headers: str) -> Any:
    return json_answer(
        {"error": "Too Many Requests"}, 429, {name.replace("_", "-"): text for name, text in headers.items()}
    )


async def test_a_post_inside_a_known_limit_is_not_sent_and_reads_as_refused_before_matching() -> None:
    order = await signed_order()
    async with StubExchange() as stub, Adapter(stub.url) as a:
        stub.answer("POST /order", refusal_429(Retry_After="3"), json_answer(ACCEPTED))
        await a.clob.post_order(order)
        a.clock.advance(2.5)
        held = await a.clob.post_order(order)
        sent_while_held = len(stub.seen)
        a.clock.advance(0.5)
        after = await a.clob.post_order(order)

    assert sent_while_held == 1
    assert (held.status, held.body) == (429, b"")
    assert held.headers["poly-ratelimit-remaining"] == "0"
    assert held.headers["retry-after"] == "1"
    assert held.detail == (
        "POST /order was not sent: the exchange's rate limit is used up for 500 ms, until 1700000003"
    )
    assert (verdict(order, held), post_outcome(held)) == (PostVerdict.REFUSED, "refused")
    assert (after.status, a.held("rate_limit")) == (200, 1)


async def test_what_is_left_is_spent_by_posts_in_flight_and_the_rest_is_not_sent() -> None:
    answered = asyncio.Event()

    async def slowly(request: web.Request) -> web.StreamResponse:
        await answered.wait()
        return await json_answer(ACCEPTED)(request)

    async with StubExchange() as stub, Adapter(stub.url) as a:
        left = {"Poly-RateLimit-Remaining": "3", "Poly-RateLimit-Reset": str(NOW_S)}
        stub.answer("POST /order", json_answer(ACCEPTED, headers=left), slowly)
        await a.clob.post_order(await signed_order())
        burst = [asyncio.create_task(a.clob.post_order(await signed_order(salt))) for salt in range(1, 11)]
        await eventually(lambda: len(stub.seen) == 4 and sum(task.done() for task in burst) == 7)
        answered.set()
        replies = await asyncio.gather(*burst)
        a.clock.advance(1)
        next_second = await a.clob.post_order(await signed_order())

    assert sorted(str(reply.status) for reply in replies) == ["200"] * 3 + ["429"] * 7
    assert next_second.status == 200


@pytest.mark.parametrize(
    ("status", "headers", "limited_ms"),
    [
        (200, {"poly-ratelimit-remaining": "0", "poly-ratelimit-reset": str(NOW_S + 2)}, 3_000),
        (200, {"poly-ratelimit-remaining": "0", "poly-ratelimit-reset": str(NOW_S)}, 1_000),
        (200, {"poly-ratelimit-remaining": "0", "poly-ratelimit-reset": str(NOW_S - 9)}, 0),
        (200, {"poly-ratelimit-remaining": "0"}, 1_000),
        (200, {"poly-ratelimit-remaining": "-5", "poly-ratelimit-reset": str(NOW_S + 2)}, 3_000),
        (200, {"poly-ratelimit-remaining": "1", "poly-ratelimit-reset": str(NOW_S + 2)}, 0),
        (200, {"poly-ratelimit-remaining": "0", "poly-ratelimit-warning": "true"}, 0),
        (200, {"poly-ratelimit-remaining": "none"}, 0),
        (200, {"poly-ratelimit-remaining": "\u0660"}, 0),
        (200, {"poly-ratelimit-remaining": "0", "poly-ratelimit-reset": "9" * 11}, 600_000),
        (200, {"retry-after": "5"}, 0),
        (429, {"retry-after": "5"}, 5_000),
        (429, {"retry-after": "86400"}, 600_000),
        (429, {"retry-after": "9" * 5_000}, 1_000),
        (429, {"retry-after": "-5"}, 1_000),
        (429, {"retry-after": "0"}, 1_000),
        (429, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 1_000),
        (429, {"retry-after": "4", "poly-ratelimit-reset": str(NOW_S + 50)}, 4_000),
        (429, {"poly-ratelimit-reset": str(NOW_S + 4)}, 5_000),
        (429, {}, 1_000),
        (None, {}, 0),
        (500, {}, 0),
    ],
)
def test_a_limit_holds_as_long_as_the_answer_says_within_bounds(
    status: int | None, headers: dict[str, str], limited_ms: int
) -> None:
    limits = RateLimits(HandClock(NOW_S * 1000))

    limits.sending("posts")
    limits.answered("posts", ExchangeReply(status=status, headers=headers))

    assert limits.left_ms("posts") == limited_ms
    assert limits.left_ms("reads") == 0


def test_a_shorter_refusal_does_not_cut_a_longer_one() -> None:
    limits = RateLimits(HandClock())

    for seconds in ("9", "2"):
        limits.sending("posts")
        limits.answered("posts", ExchangeReply(status=429, headers={"retry-after": seconds}))

    assert limits.left_ms("posts") == 9_000


def test_an_old_count_binds_nobody_once_its_time_is_over() -> None:
    clock = HandClock(NOW_S * 1000)
    limits = RateLimits(clock)
    limits.sending("posts")
    limits.answered("posts", ExchangeReply(status=200, headers={"poly-ratelimit-remaining": "1"}))
    clock.advance(60)

    limits.sending("posts")
    limits.sending("posts")

    assert limits.left_ms("posts") == 0


@pytest.mark.parametrize("group", ["posts", "cancels"])
async def test_budgets_of_the_groups_are_their_own(group: Group) -> None:
    async with StubExchange() as stub, Adapter(stub.url) as a:
        stub.answer("POST /order", refusal_429(Retry_After="30"))
        stub.answer("DELETE /order", refusal_429(Retry_After="30"))
        if group == "posts":
            await a.clob.post_order(await signed_order())
        else:
            await a.clob.cancel_orders(("0xaa",))

        limits = a.clob.limits
        assert {name: limits.left_ms(name) for name in GROUPS} == {
            "posts": 0,
            "cancels": 0,
            "reads": 0,
            "books": 0,
            group: 30_000,
        }


async def test_a_read_inside_a_limit_waits_for_its_end() -> None:
    async with StubExchange() as stub, Adapter(stub.url) as a:
        stub.answer("GET /data/order/0xaa", refusal_429(Retry_After="2"), json_answer({"id": "0xaa"}))
        await a.clob.get_order("0xaa")
        waiting = asyncio.create_task(a.clob.get_order("0xaa"))
        await eventually(lambda: a.clock._sleepers)
        a.clock.advance(1.9)
        early = len(stub.seen)
        a.clock.advance(0.1)
        reply = await waiting

    assert early == 1
    assert (reply.status, len(stub.seen)) == (200, 2)


async def test_a_read_that_waited_has_only_the_rest_of_its_deadline() -> None:
    release = asyncio.Event()

    async def silence(_: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    async with StubExchange() as stub, Adapter(stub.url, TimeoutsSection(read_s=1.05)) as a:
        stub.answer("GET /data/order/0xaa", refusal_429(Retry_After="1"), silence)
        await a.clob.get_order("0xaa")
        waiting = asyncio.create_task(a.clob.get_order("0xaa"))
        await eventually(lambda: a.clock._sleepers)
        a.clock.advance(1)
        reply = await waiting
        release.set()

    assert (reply.status, reply.detail) == (None, "GET /data/order/0xaa: no answer within 0.05 s")


async def test_a_read_whose_limit_outlasts_its_deadline_is_answered_at_once_and_not_sent() -> None:
    async with StubExchange() as stub, Adapter(stub.url) as a:
        stub.answer("GET /data/order/0xaa", refusal_429(Retry_After="3"))
        await a.clob.get_order("0xaa")
        reply = await a.clob.get_order("0xaa")

    assert (reply.status, len(stub.seen)) == (429, 1)


async def test_a_limit_of_books_holds_up_no_reading_of_the_account() -> None:
    async with StubExchange() as stub, Adapter(stub.url) as a:
        stub.answer("GET /book", refusal_429(Retry_After="9"))
        stub.answer_json("GET /data/order/0xaa", {"id": "0xaa"})
        for _ in range(2):
            with pytest.raises(ExchangeRefused, match="429"):
                await a.clob.get_book(TOKEN)
        reply = await a.clob.get_order("0xaa")

    assert reply.status == 200
    assert len(stub.calls("GET /book")) == 1


async def test_a_batch_of_cancels_costs_as_many_as_it_names() -> None:
    async with StubExchange() as stub, Adapter(stub.url) as a:
        left = {"Poly-RateLimit-Remaining": "10", "Poly-RateLimit-Reset": "1700000030"}
        stub.answer("DELETE /order", json_answer(NO_CHANGE, 200, left))
        release = asyncio.Event()

        async def silence(_: web.Request) -> web.StreamResponse:
            await release.wait()
            return web.Response(status=500)

        stub.answer("DELETE /orders", silence)
        await a.clob.cancel_orders(("0xaa",))
        before = a.clob.limits.left_ms("cancels")
        batch = asyncio.create_task(a.clob.cancel_orders(tuple(f"0x{n}" for n in range(10))))
        await eventually(lambda: stub.calls("DELETE /orders"))
        during = a.clob.limits.left_ms("cancels")
        release.set()
        await batch

    assert (before, during) == (0, 31_000)


async def test_while_the_kill_switch_is_on_a_single_cancel_and_its_proof_pass_all_that_wait() -> None:
    release = asyncio.Event()

    async def silence(_: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response(status=404)

    patient = TimeoutsSection(read_s=60, cancel_s=60)
    async with StubExchange() as stub, Adapter(stub.url, patient) as a:
        stub.answer("GET /data/order/0xaa", silence)
        stub.answer("DELETE /order", *([silence] * 56), json_answer(NO_CHANGE))
        stub.answer_json("GET /data/order/0xbb", {"id": "0xbb"})
        reads = [asyncio.create_task(a.clob.get_order("0xaa")) for _ in range(60)]
        cancels = [asyncio.create_task(a.clob.cancel_orders(("0xaa",))) for _ in range(56)]
        await eventually(lambda: len(stub.seen) == 112)
        a.clob.hurry_while(lambda: True)
        async with asyncio.timeout(10):
            answers = (await a.clob.cancel_orders(("0xbb",)), await a.clob.get_order("0xbb"))
        release.set()
        await asyncio.gather(*reads, *cancels)

    assert [answer.status for answer in answers] == [200, 200]


@pytest.mark.parametrize(
    "refused",
    [
        refusal_429(Retry_After="600", Poly_RateLimit_Remaining="-50"),
        json_answer({"error": "trading disabled"}, 503),
        json_answer({"error": "matching engine restarting"}, 425, {"Retry-After": "90"}),
    ],
)
async def test_cancels_go_out_whatever_limit_or_mode_is_known(refused: Any) -> None:
    async with StubExchange() as stub, Adapter(stub.url) as a:
        for call in ("DELETE /order", "DELETE /orders", "POST /order"):
            stub.answer(call, refused)
        await a.clob.post_order(await signed_order())
        for _ in range(3):
            await a.clob.cancel_orders(("0xaa",))
            await a.clob.cancel_orders(("0xaa", "0xbb"))
        held = await a.clob.post_order(await signed_order())

    assert (len(stub.calls("DELETE /order")), len(stub.calls("DELETE /orders"))) == (3, 3)
    assert len(stub.calls("POST /order")) == 1
    assert held.detail.startswith("POST /order was not sent")


async def test_a_batch_of_cancels_passes_reads_and_cancels_that_hold_all_their_connections() -> None:
    release = asyncio.Event()

    async def silence(_: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response(status=404)

    patient = TimeoutsSection(read_s=60, cancel_s=60)
    async with StubExchange() as stub, Adapter(stub.url, patient) as a:
        stub.answer("GET /data/order/0xaa", silence)
        stub.answer("DELETE /order", silence)
        stub.answer_json("DELETE /orders", NO_CHANGE)
        reads = [asyncio.create_task(a.clob.get_order("0xaa")) for _ in range(100)]
        cancels = [asyncio.create_task(a.clob.cancel_orders(("0xaa",))) for _ in range(100)]
        await eventually(lambda: len(stub.seen) == 112)
        async with asyncio.timeout(10):
            batch = await a.clob.cancel_orders(("0xaa", "0xbb"))
        release.set()
        await asyncio.gather(*reads, *cancels)

    assert batch.status == 200
    assert [seen.path for seen in stub.seen].index("/orders") == 112


async def test_an_answer_from_the_wire_cannot_say_that_it_was_not_sent() -> None:
    async with StubExchange() as stub, Adapter(stub.url) as a:
        stub.answer("POST /order", json_answer({"error": "oops"}, 500, {"X-Polytraders-Not-Sent": "x"}))
        reply = await a.clob.post_order(await signed_order())

    assert "x-polytraders-not-sent" not in reply.headers
    assert post_outcome(reply) == "unknown"


async def test_posts_inside_a_post_only_window_are_answered_with_its_code_until_it_ends() -> None:
    plain, resting = await signed_order(), await signed_order(post_only=True)
    refused = {"error": "post only", "code": "post_only_mode", "retry_after_seconds": 79}
    async with StubExchange() as stub, Adapter(stub.url) as a:
        stub.answer("POST /order", json_answer(refused, 503), json_answer(ACCEPTED))
        await a.clob.post_order(plain)
        a.clock.advance(10)
        held = await a.clob.post_order(plain)
        post_only = await a.clob.post_order(resting)
        a.clock.advance(68.9)
        still_held = await a.clob.post_order(plain)
        a.clock.advance(0.1)
        after = await a.clob.post_order(plain)

    body = json.loads(held.body)
    assert (held.status, body["code"], body["retry_after_seconds"]) == (503, "post_only_mode", 69)
    assert body["error"] == (
        "POST /order was not sent: trading is post-only, as the exchange said, for 69000 ms, until 1700000079"
    )
    assert [post_outcome(held), post_only.status, still_held.status, after.status] == [
        "refused",
        200,
        503,
        200,
    ]
    assert (len(stub.seen), a.held("trading_status")) == (3, 2)


@pytest.mark.parametrize(
    ("status", "body", "seconds"),
    [
        (425, {"error": "matching engine restarting"}, 10),
        (503, {"error": "Trading is currently cancel-only."}, 30),
        (503, {"error": "trading disabled", "retry_after_seconds": 99_999}, 600),
    ],
)
async def test_a_window_is_answered_with_the_status_that_announced_it(
    status: int, body: dict[str, Any], seconds: int
) -> None:
    order = await signed_order()
    async with StubExchange() as stub, Adapter(stub.url) as a:
        stub.answer_json("POST /order", body, status=status)
        await a.clob.post_order(order)
        a.clock.advance(seconds - 0.001)
        held = await a.clob.post_order(order)
        a.clock.advance(0.001)
        await a.clob.post_order(order)

    assert (held.status, held.headers["retry-after"]) == (status, "1")
    assert "code" not in json.loads(held.body)
    assert len(stub.seen) == 2


async def test_a_held_answer_to_a_second_attempt_proves_nothing_about_the_first() -> None:
    order = await signed_order()
    async with StubExchange() as stub, Adapter(stub.url) as a:
        stub.answer("POST /order", refusal_429(Retry_After="3"))
        await a.clob.post_order(order)
        held = await a.clob.post_order(order)

    assert judge_post(order.order_id, read_post(held), attempted_before=True) is PostVerdict.UNKNOWN


async def raw_requests(count: int, *orders: SignedOrder, pause_s: float = 0) -> list[bytes]:
    """Post these orders to a bare socket that answers nothing useful; return each request to the byte."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        requests.append(head + await reader.readexactly(length))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, Adapter(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as a:
        for order in orders:
            assert (await a.clob.post_order(order)).status is None
            a.clock.advance(pause_s)
    assert len(requests) == count
    return requests


async def test_two_sends_of_one_signed_order_are_the_same_bytes_on_the_wire() -> None:
    order = await signed_order()

    first, second = await raw_requests(2, order, SignedOrder.from_json(order.to_json()))

    assert first == second
    assert b"POST /order HTTP/1.1\r\n" in first


async def test_a_later_send_differs_in_time_and_hmac_alone() -> None:
    order = await signed_order()

    first, second = await raw_requests(2, order, order, pause_s=5)

    changed = {line.partition(b":")[0] for line in set(first.split(b"\r\n")) ^ set(second.split(b"\r\n"))}
    assert changed == {b"POLY_TIMESTAMP", b"POLY_SIGNATURE"}
    assert first.partition(b"\r\n\r\n")[2] == second.partition(b"\r\n\r\n")[2]


async def test_each_kind_of_call_has_a_deadline_of_its_own() -> None:
    release = asyncio.Event()

    async def silence(_: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    timeouts = TimeoutsSection(
        book_s=0.01, post_s=0.02, cancel_s=0.03, read_s=0.04, trades_s=0.05, heartbeat_s=0.06
    )
    async with StubExchange() as stub, Adapter(stub.url, timeouts) as a:
        for call in (
            "GET /book",
            "POST /order",
            "DELETE /order",
            "GET /data/order/0xaa",
            "GET /data/trades",
            "POST /v1/heartbeats",
        ):
            stub.answer(call, silence)
        with pytest.raises(ExchangeRefused) as book:
            await a.clob.get_book(TOKEN)
        replies = await asyncio.gather(
            a.clob.post_order(await signed_order()),
            a.clob.cancel_orders(("0xaa",)),
            a.clob.get_order("0xaa"),
            a.clob.get_trades(MARKET, 0),
            a.clob.heartbeat(""),
        )
        release.set()

    waits = [str(book.value), *(reply.detail for reply in replies)]
    assert [text.partition("within ")[2].partition(" ")[0] for text in waits] == [
        "0.01",
        "0.02",
        "0.03",
        "0.04",
        "0.05",
        "0.06",
    ]


SLOW = RateTier("Slow", order_rate=1, order_burst=4, cancel_rate=1, cancel_burst=3)


async def test_a_host_under_a_small_tier_sends_no_post_into_a_limit_that_it_knows(tmp_path: Path) -> None:
    async with limits_stage(tmp_path, tier=SLOW) as s:
        outcomes = []
        for _ in range(40):
            outcomes.append((await s.place()).outcome)
            s.advance(250)
        statuses = s.wire.statuses("POST /order")

    assert statuses == [200] * len(statuses)
    assert outcomes.count("accepted") == len(statuses) >= 8
    assert outcomes.count("refused") == 40 - len(statuses)


async def test_a_burst_that_met_the_limit_meets_it_no_second_time(tmp_path: Path) -> None:
    async with limits_stage(tmp_path, tier=SLOW) as s:
        burst = await asyncio.gather(*[s.place() for _ in range(10)])
        met = s.wire.statuses("POST /order").count(429)
        again = await asyncio.gather(*[s.place() for _ in range(10)])
        s.advance(1_000)
        after = await s.place()
        statuses = s.wire.statuses("POST /order")

    assert sum(placed.outcome == "accepted" for placed in burst) == 4
    assert {placed.outcome for placed in again} == {"refused"}
    assert after.outcome == "accepted"
    assert statuses.count(429) == met


async def test_a_post_only_window_of_the_exchange_is_waited_out(tmp_path: Path) -> None:
    async with limits_stage(tmp_path) as s:
        resting = await s.place()
        s.exchange.set_mode(Mode.POST_ONLY, s.clock.now_ms() + 120_000)
        outcomes = []
        while s.exchange.mode is Mode.POST_ONLY:
            outcomes.append((await s.place()).reply.status)
            s.advance(20_000)
        post_only_book = (await s.host.clob.get_book(YES)).trading
        after = await s.place()
        cancelled = await s.host.clob.cancel_orders((resting.order_id,))
        statuses = s.wire.statuses("POST /order")

    assert outcomes == [503] * 6
    assert statuses == [200, 503, 200]
    assert (post_only_book, after.outcome) == ("open", "accepted")
    assert json.loads(cancelled.body)["canceled"] == [resting.order_id]


async def test_a_restart_of_the_exchange_is_waited_out_while_cancels_are_tried(tmp_path: Path) -> None:
    async with limits_stage(tmp_path) as s:
        resting = await s.place()
        s.exchange.set_mode(Mode.RESTARTING, s.clock.now_ms() + 90_000)
        outcomes = [(await s.place()).reply.status for _ in range(5)]
        cancel = await s.host.clob.cancel_orders((resting.order_id,))
        health = s.host.health()
        statuses = s.wire.statuses("POST /order")
        tried = s.wire.statuses("DELETE /order")

    assert (outcomes, statuses) == ([425] * 5, [200, 425])
    assert (cancel.status, tried) == (425, [425])
    assert (health.status, health.reasons) == ("amber", ("trading is closed",))


FEW_CANCELS = RateTier("FewCancels", order_rate=1, order_burst=8, cancel_rate=2, cancel_burst=3)


async def test_a_kill_switch_cancels_every_remainder_under_a_tier_that_admits_no_batch_of_them(
    tmp_path: Path,
) -> None:
    plugin = {"exec.partialfillhandler": {"mode": "general_live"}}
    hold = Strategy(id="patient", partial_fill_policy="hold")
    async with limits_stage(tmp_path, tier=FEW_CANCELS, bots=plugin) as s, seller(s, tmp_path) as rival:
        for deep in (wish("BUY", "0.39", 5_000), wish("SELL", "0.44", 800)):
            assert (await rival.place(deep)).outcome == "accepted"
        remainders = []
        for price in ("0.40", "0.41", "0.42", "0.43"):
            remainders.append((await s.place(price, 100, strategy=hold)).order_id)
            assert (await rival.place(wish("SELL", price, 30))).outcome == "accepted"
            await eventually(lambda: len(final_reports(s.host)) == len(remainders) or s.advance(10), 20)
        while (await s.place("0.10")).outcome == "accepted":
            pass
        limited_ms = s.host.clob.limits.left_ms("posts")
        killing = asyncio.create_task(s.host.kill_switch.signal(True, "drill", "ann"))
        while not all(s.status(order_id) == "CANCELED" for order_id in remainders):
            s.advance(10)
            await asyncio.sleep(0.002)
        await killing
        batches, singles = s.wire.statuses("DELETE /orders"), s.wire.statuses("DELETE /order")

    assert limited_ms > 0
    assert batches == [429]
    assert singles.count(200) == 4
    assert 429 in singles


def final_reports(host: Host) -> list[Any]:
    reports = [read_json(message.payload) for message in host.bus.messages]  # type: ignore[union-attr]
    return [report for report in reports if report.get("final")]
