"""A host beside another bot, on the paper exchange: whose orders it adopts, by which rule it treats them."""

import asyncio
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from polytraders_hookspecs import Strategy
from support.canaries import OWNER_KEY
from support.eventually import eventually
from support.host_bots import ScribeBot
from support.sidecar_stage import YES, finals, sidecar_stage, wish

from polytraders_pfh.host import Host

RULES: dict[str, Any] = {
    "default": {"policy": "hold"},
    "rules": [
        {"name": "tight", "min_price": "0.30", "policy": "chase", "limits": {"chase_max_ticks": 1}},
        {"name": "low", "max_price": "0.20", "policy": "cancel"},
    ],
}
CHASE: dict[str, Any] = {"rules": [{"name": "all", "policy": "chase"}]}


def strategy_of(host: Host, order_id: str) -> str | None:
    order = host.lifecycle.order(order_id)
    return order.strategy.id if order and order.strategy else None


async def test_all_open_orders_of_the_account_are_adopted_at_the_start_by_their_rules(tmp_path: Path) -> None:
    async with sidecar_stage(tmp_path) as s:
        many = await asyncio.gather(*[s.rests("BUY", "0.10", 5 + n) for n in range(104)])
        partly, middle = await s.rests("BUY", "0.40", 100), await s.rests("BUY", "0.25", 50)
        await s.trades("SELL", "0.40", 30)
        scribe = ScribeBot()
        async with s.sidecar(RULES, scribe=scribe) as host:
            await eventually(lambda: scribe.partials)
            known = {order.order_id for order in host.lifecycle.open_orders()}
            rules = [strategy_of(host, order_id) for order_id in (partly, middle, many[0])]

    assert known == {*many, partly, middle}
    assert rules == ["rule.tight", "rule.default", "rule.low"]
    assert [(fill.order_id, fill.filled_usd, fill.strategy) for fill in scribe.partials] == [
        (partly, Decimal(12), Strategy(id="rule.tight", partial_fill_policy="chase"))
    ]


async def test_an_order_that_another_tool_places_meanwhile_is_adopted_from_the_user_stream(
    tmp_path: Path,
) -> None:
    scribe = ScribeBot()
    async with sidecar_stage(tmp_path) as s, s.sidecar(RULES, scribe=scribe) as host:
        order_id = await s.rests("BUY", "0.40", 100)
        await eventually(lambda: host.lifecycle.order(order_id))
        await s.trades("SELL", "0.40", 30)
        await eventually(lambda: scribe.partials)

    assert scribe.events(order_id) == [("PARTIAL", "12")]
    assert scribe.partials[0].strategy == Strategy(id="rule.tight", partial_fill_policy="chase")


async def test_a_frozen_user_stream_misses_nothing_and_is_opened_anew(tmp_path: Path) -> None:
    scribe = ScribeBot()
    async with sidecar_stage(tmp_path) as s, s.sidecar(RULES, scribe=scribe) as host:
        await eventually(lambda: _up(host))
        s.trouble.freeze("user")
        first = await s.rests("BUY", "0.40", 100)
        await s.trades("SELL", "0.40", 30)
        await eventually(lambda: scribe.events(first))
        await eventually(lambda: _drops(host) and _up(host))
        second = await s.rests("BUY", "0.41", 100)
        await s.trades("SELL", "0.41", 30)
        await eventually(lambda: scribe.events(second))
        drops = _drops(host)

    assert scribe.events(first) == [("PARTIAL", "12")]
    assert scribe.events(second) == [("PARTIAL", "12.3")]
    assert drops == 1


def _drops(host: Host) -> float | None:
    return host.registry.get_sample_value("polytraders_host_feed_drops_total", {"feed": "user"})


def _up(host: Host) -> float | None:
    return host.registry.get_sample_value("polytraders_host_feed_connections", {"feed": "user"})


async def test_an_order_with_an_end_of_its_own_is_adopted_and_never_chased(tmp_path: Path) -> None:
    async with sidecar_stage(tmp_path) as s, s.sidecar(CHASE, mode="general_live") as host:
        later = int(time.time()) + 3_600  # noqa: TID251 - the exchange's clock is the machine's
        order_id = await s.rests("BUY", "0.40", 100, order_type="GTD", expiration_s=later)
        await eventually(lambda: host.lifecycle.order(order_id))
        await s.trades("SELL", "0.41", 200)
        await s.trades("SELL", "0.40", 30)
        await eventually(lambda: order_id in finals(host), 20)
        report, status = finals(host)[order_id], s.status(order_id)

    assert (report["verdict"], status) == ("HOLD_REMAINDER", "LIVE")


async def test_in_shadow_everything_is_decided_and_nothing_is_sent(tmp_path: Path) -> None:
    async with sidecar_stage(tmp_path) as s, s.sidecar(CHASE) as host:
        order_id = await s.rests("BUY", "0.40", 100)
        await eventually(lambda: host.lifecycle.order(order_id))
        await s.trades("SELL", "0.42", 200)
        await s.trades("SELL", "0.40", 30)
        await eventually(lambda: order_id in finals(host), 20)
        report, status = finals(host)[order_id], s.status(order_id)

    assert (report["verdict"], report["executed"], report["mode"], status) == (
        "CHASE_ORDER_SUBMITTED",
        False,
        "shadow_only",
        "LIVE",
    )


@pytest.mark.parametrize(
    ("price", "ask", "verdict"),
    [
        ("0.40", "0.41", "CHASE_ORDER_SUBMITTED"),
        ("0.40", "0.42", "PARTIAL_FILL_CHASE_ABORTED"),
        ("0.25", "0.26", "HOLD_REMAINDER"),
        ("0.20", "0.21", "CANCELLED_REMAINDER"),
    ],
)
async def test_each_rules_policy_and_limits_decide_what_becomes_of_its_remainders(
    tmp_path: Path, price: str, ask: str, verdict: str
) -> None:
    async with sidecar_stage(tmp_path) as s, s.sidecar(RULES, mode="general_live") as host:
        order_id = await s.rests("BUY", price, 100)
        await eventually(lambda: host.lifecycle.order(order_id))
        await s.trades("SELL", ask, 500)
        await s.trades("SELL", price, 30)
        await eventually(lambda: order_id in finals(host), 20)
        report = finals(host)[order_id]
        chased = [order for order in host.lifecycle.known_orders() if order.root_order_id == order_id]

    assert report["verdict"] == verdict
    assert [strategy_of(host, order.order_id) for order in chased] == ["rule.tight"] * (ask == "0.41")


async def test_a_restart_with_other_rules_treats_the_orders_by_the_new_ones(tmp_path: Path) -> None:
    async with sidecar_stage(tmp_path) as s:
        order_id = await s.rests("BUY", "0.40", 100)
        own = Strategy(id="momentum", partial_fill_policy="hold")
        async with s.sidecar(RULES, scribe=ScribeBot()) as first:
            declared = (await first.place(wish("BUY", "0.35", 20, strategy=own))).order_id
            before = strategy_of(first, order_id)
        async with s.sidecar(CHASE, scribe=ScribeBot()) as second:
            after = [strategy_of(second, known) for known in (order_id, declared)]

    assert (before, after) == ("rule.tight", ["rule.all", "momentum"])


async def test_without_rules_an_adopted_order_follows_the_bots_own_default(tmp_path: Path) -> None:
    async with sidecar_stage(tmp_path) as s:
        order_id = await s.rests("BUY", "0.40", 100)
        config = s.config(None, mode="shadow_only", defaults={"default_policy": "cancel"})
        async with Host(config, environ={"PK": OWNER_KEY}) as host:
            await s.trades("SELL", "0.50", 500)
            await s.trades("SELL", "0.40", 30)
            await eventually(lambda: order_id in finals(host), 20)
            report = finals(host)[order_id]

    assert (report["verdict"], report["executed"]) == ("CANCELLED_REMAINDER", False)
    assert report["token_id"] == YES
