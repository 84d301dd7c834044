"""Token buckets per signer and the dead-man switch, first alone and then through the server."""

import asyncio

import pytest
from py_clob_client_v2.clob_types import OrderPayload
from support.paper_stage import Stage, Trader, paper_stage, received, refusal

from polytraders_pfh.paper.core.model import Mode
from polytraders_pfh.paper.protocol.heartbeats import Heartbeats
from polytraders_pfh.paper.protocol.limits import RateLimiter, RateTier, TokenBucket
from polytraders_pfh.paper.protocol.refusals import Refused
from polytraders_pfh.paper.protocol.venue import VenueOptions

SMALL = RateTier("Small", order_rate=2, order_burst=3, cancel_rate=4, cancel_burst=5, debt=True)


def test_a_bucket_refills_by_the_millisecond_up_to_its_burst() -> None:
    bucket = TokenBucket(rate=2, burst=3, now_ms=0)
    assert [bucket.take(1, 0) for _ in range(4)] == [True, True, True, False]

    assert not bucket.take(1, 499)
    assert bucket.take(1, 500)
    assert bucket.take(3, 60_000)
    assert not bucket.take(1, 60_000)


def test_a_clock_that_steps_back_gives_no_tokens_twice() -> None:
    bucket = TokenBucket(rate=1, burst=1, now_ms=10_000)
    assert bucket.take(1, 10_000)
    assert not bucket.take(1, 0)
    assert not bucket.take(1, 10_999)
    assert bucket.take(1, 11_000)


def test_a_batch_is_admitted_whole_or_refused_with_the_wait() -> None:
    limiter = RateLimiter(SMALL)
    assert limiter.place("a", 2, 1_000) == {
        "Poly-RateLimit-Remaining": "1",
        "Poly-RateLimit-Reset": "1",
        "Poly-RateLimit-Tier": "Small",
    }

    with pytest.raises(Refused) as refused:
        limiter.place("a", 3, 1_000)

    assert (refused.value.status, refused.value.body) == (429, {"error": "Too Many Requests"})
    assert refused.value.headers == {
        "Poly-RateLimit-Remaining": "1",
        "Poly-RateLimit-Reset": "2",
        "Poly-RateLimit-Tier": "Small",
        "Retry-After": "1",
    }
    assert limiter.place("b", 3, 1_000)["Poly-RateLimit-Remaining"] == "0"
    assert limiter.cancel("a", 5, 1_000)["Poly-RateLimit-Remaining"] == "0"


def test_a_cancel_all_may_run_into_debt_only_where_the_tier_allows_it() -> None:
    left = {}
    for debt in (True, False):
        limiter = RateLimiter(RateTier("T", 1, 1, 4, 5, debt=debt))
        limiter.cancel("a", 1, 0)
        left[debt] = limiter.cancelled("a", 10, 0)["Poly-RateLimit-Remaining"]

    assert left == {True: "-6", False: "0"}


def test_heartbeats_form_a_chain_and_a_wrong_link_names_the_right_one() -> None:
    beats = Heartbeats(b"seed")
    first = beats.beat("key", "", 0)

    with pytest.raises(Refused) as refused:
        beats.beat("key", "", 1)

    assert (refused.value.status, refused.value.body) == (
        400,
        {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": first},
    )
    assert beats.beat("key", first, 2) not in ("", first)


def test_silence_is_noticed_by_the_five_second_check_until_the_key_is_disarmed() -> None:
    beats = Heartbeats(b"seed")
    assert beats.overdue(0) == ()
    beats.touch("key", 1_000)
    beats.touch("other", 9_000)

    noticed = {now_ms: beats.overdue(now_ms) for now_ms in range(1_000, 21_000, 1_000)}
    beats.disarm("key")

    assert {now_ms: keys for now_ms, keys in noticed.items() if keys} == {
        15_000: ("key",),
        20_000: ("key", "other"),
    }
    assert beats.overdue(25_000) == ("other",)


async def test_the_fourth_order_of_a_small_tier_is_answered_429() -> None:
    async with paper_stage(options=VenueOptions(rate_tier=SMALL)) as stage:
        trader = await stage.trader(1)
        for _ in range(3):
            await trader.rest("BUY", 10, 400_000)
        order = trader.order("BUY", 10, 400_000)
        status, body = await refusal(trader.client.post_order, order, "GTC", False, True)
        stage.advance(500)
        accepted = await trader.post(order)

    assert (status, body, accepted["success"]) == (429, {"error": "Too Many Requests"}, True)


async def two_resting_orders(stage: Stage) -> tuple[Trader, list[str]]:
    trader = await stage.trader(1)
    return trader, [await trader.rest("BUY", 10, 400_000), await trader.rest("BUY", 10, 410_000)]


async def test_a_missed_heartbeat_cancels_every_order_of_the_key() -> None:
    async with paper_stage() as stage:
        trader, order_ids = await two_resting_orders(stage)
        bystander = await stage.trader(2)
        untouched = await bystander.rest("BUY", 10, 400_000)
        user = await stage.listen_user(trader)
        beat = await asyncio.to_thread(trader.client.post_heartbeat)
        stage.advance(9_000)
        await asyncio.to_thread(trader.client.post_heartbeat, beat["heartbeat_id"])
        stage.advance(9_000)
        alive = await received(user)
        stage.advance(6_000)
        events = await received(user)
        await user.close()

        assert alive == []
        assert {(event["id"], event["type"], event["status"]) for event in events} == {
            (order_id, "CANCELLATION", "CANCELED") for order_id in order_ids
        }
        assert [record.order_id for record in stage.exchange.open_orders(bystander.key)] == [untouched]


async def test_without_a_first_heartbeat_nothing_is_cancelled() -> None:
    async with paper_stage() as stage:
        trader, order_ids = await two_resting_orders(stage)
        for _ in range(12):
            stage.advance(5_000)

        open_ids = [record.order_id for record in stage.exchange.open_orders(trader.key)]

    assert open_ids == order_ids


async def test_a_missed_heartbeat_during_a_restart_cancels_when_the_engine_is_back() -> None:
    async with paper_stage() as stage:
        trader, _ = await two_resting_orders(stage)
        await asyncio.to_thread(trader.client.post_heartbeat)
        stage.exchange.set_mode(Mode.RESTARTING)
        stage.advance(16_000)
        during = len(stage.exchange.open_orders(trader.key))
        stage.exchange.set_mode(Mode.OPEN)
        stage.advance(5_000)
        after = stage.exchange.open_orders(trader.key)
        late = await trader.rest("BUY", 10, 400_000)
        stage.advance(20_000)

        assert (during, after) == (2, ())
        assert [record.order_id for record in stage.exchange.open_orders(trader.key)] == [late]


async def test_a_wrong_heartbeat_id_is_no_beat() -> None:
    async with paper_stage() as stage:
        trader, _ = await two_resting_orders(stage)
        beat = await asyncio.to_thread(trader.client.post_heartbeat)
        stage.advance(9_000)
        answer = await refusal(trader.client.post_heartbeat, "stale")
        stage.advance(7_000)

        assert answer == (400, {"error_msg": "Invalid Heartbeat ID", **beat})
        assert stage.exchange.open_orders(trader.key) == ()


async def test_a_cancel_all_costs_one_token_and_one_more_for_every_order_it_found() -> None:
    async with paper_stage(options=VenueOptions(rate_tier=SMALL)) as stage:
        trader, _ = await two_resting_orders(stage)
        headers = trader.client._l2_headers("DELETE", "/cancel-all")
        async with stage.http.delete(stage.server.url + "/cancel-all", headers=headers) as answer:
            assert answer.headers["Poly-RateLimit-Remaining"] == "2"


async def test_a_cancel_that_found_nothing_still_costs_a_token() -> None:
    async with paper_stage(options=VenueOptions(rate_tier=SMALL)) as stage:
        trader = await stage.trader(1)
        payload = OrderPayload("0x" + "1" * 64)
        for _ in range(5):
            await asyncio.to_thread(trader.client.cancel_order, payload)

        assert (await refusal(trader.client.cancel_order, payload))[0] == 429
