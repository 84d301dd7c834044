"""Whole hosts of one wallet on a real bus: they share the orders, and take over from one another."""

import asyncio
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.cluster_town import (
    CHASE,
    HOLD,
    LIMIT,
    PARTITIONS,
    ClusterTown,
    cluster_town,
    member_of,
    ready,
)
from support.eventually import eventually
from support.nats_server import NEEDS_NATS

from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host import Host, PlaceOrder
from polytraders_pfh.host.cluster.showing import show_status
from polytraders_pfh.host.errors import BusError, PlacementRefused

pytestmark = NEEDS_NATS


async def shared_out(*hosts: Host) -> None:
    """Wait until every partition has bots that hear of events, at hosts with an even share each."""
    share = PARTITIONS // len(hosts)
    await eventually(lambda: all(len(ready(host)) == share for host in hosts), 20)


def owner_of(order_id: str, *hosts: Host) -> Host:
    """Return the host whose bots look after an order that every host knows."""
    for host in hosts:
        order = host.lifecycle.order(order_id)
        if order is not None and member_of(host)._shared.partition(order) in ready(host):
            return host
    raise AssertionError(f"nobody owns {order_id}")


def chase_wish(town: ClusterTown) -> PlaceOrder:
    return town.wish("BUY", "0.40", 100, strategy=CHASE, limit_price=LIMIT)


async def finals(town: ClusterTown, count: int) -> list[dict[str, Any]]:
    """Wait for this many final reports on the bus, and return all that are there."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(15):
        while len(found) < count:
            found = [report for report in await town.reports() if report["final"]]
    return found


def once_each(reports: list[dict[str, Any]]) -> bool:
    """Whether there is exactly one final report for each event."""
    return set(Counter((r["order_id"], r["event_ts_ms"]) for r in reports).values()) == {1}


async def placed_by(a: Host, other: Host, wish: PlaceOrder) -> str:
    """Place an order at one host, and wait until the other has heard of it."""
    order_id = (await a.place(wish)).order_id
    await eventually(lambda: other.lifecycle.order(order_id) is not None)
    return order_id


async def owned_by(owner: Host, placer: Host, wish: PlaceOrder, town: ClusterTown) -> str:
    """Place orders until one is `owner`'s; the others are cancelled."""
    while True:
        order_id = await placed_by(placer, owner, wish)
        if owner_of(order_id, owner, placer) is owner:
            return order_id
        await placer.clob.cancel_orders((order_id,))
        await eventually(lambda o=order_id: o not in town.live())


async def test_whichever_host_placed_an_order_its_owner_chases_it_within_the_strategy_s_limit(
    tmp_path: Path,
) -> None:
    async with cluster_town(tmp_path) as town, town.host("a") as a, town.host("b") as b:
        await shared_out(a, b)
        await town.trades("SELL", "0.42", 2000)
        roots = [await owned_by(*pair, chase_wish(town), town) for pair in ((a, b), (b, a))]
        await town.trades("SELL", "0.40", 130)
        reports = await finals(town, 1)
        await eventually(lambda: not set(roots) & set(town.live()), 20)
        lone = await owned_by(a, b, chase_wish(town), town)
        await town.trades("SELL", "0.40", 30)
        reports = await finals(town, 2)
        chases = {r["order_id"]: town.ours()[r["new_order_id"]] for r in reports}

    assert set(chases) == {roots[1], lone}
    assert {r["verdict"] for r in reports} == {"CHASE_ORDER_SUBMITTED"}
    assert {order.price_micro for order in chases.values()} == {420_000}
    assert once_each(reports)


async def test_a_host_that_dies_is_followed_by_one_that_knows_its_orders_from_the_bus_alone(
    tmp_path: Path,
) -> None:
    async with cluster_town(tmp_path) as town, town.host("a") as a:
        b = town.host("b")
        async with b:
            await shared_out(a, b)
            root = await owned_by(b, a, town.wish("BUY", "0.40", 100, strategy=HOLD), town)
            facts = await b.lifecycle.get(root)
            await town.trades("SELL", "0.40", 30)
            await finals(town, 1)
            await b.cut_off()
        await eventually(lambda: len(ready(a)) == PARTITIONS, 20)
        await town.trades("SELL", "0.40", 5)
        reports = await finals(town, 2)
        after = await a.lifecycle.get(root)

    assert facts is not None
    assert after is not None
    assert (after.trace_id, after.strategy) == (facts.trace_id, HOLD)
    assert [(r["order_id"], str(r["filled_usd"])) for r in reports] == [(root, "12"), (root, "14")]
    assert once_each(reports)


async def test_a_chase_that_a_dead_host_left_is_measured_from_its_root_by_the_next_owner(
    tmp_path: Path,
) -> None:
    async with cluster_town(tmp_path) as town, town.host("a") as a:
        b = town.host("b")
        async with b:
            await shared_out(a, b)
            wish = town.wish("BUY", "0.40", 100, strategy=CHASE, limit_price=Decimal("0.42"))
            root = await owned_by(b, a, wish, town)
            await town.trades("SELL", "0.43", 500)
            await town.trades("SELL", "0.42", 20)
            await town.trades("SELL", "0.40", 30)
            (report, *_) = await finals(town, 1)
            chase = report["new_order_id"]
            await finals(town, 2)
            await b.cut_off()
        await eventually(lambda: len(ready(a)) == PARTITIONS, 20)
        intents = {
            intent.root_order_id: intent
            for room in member_of(a).rooms.open
            for bot in room._roster.bots
            for intent in bot.bot._engine.tools.intents  # type: ignore[attr-defined]
        }
        followed = intents[root]
        await town.trades("SELL", "0.42", 10)
        reports = await finals(town, 3)

    assert [order.order_id for order in followed.orders] == [root, chase]
    assert (followed.root_price_micro, followed.limit_price_micro) == (400_000, 420_000)
    assert (reports[-1]["order_id"], reports[-1]["root_order_id"]) == (chase, root)
    assert [r["verdict"] for r in reports[1:]] == ["HOLD_REMAINDER"] * 2
    assert once_each(reports)


async def test_a_kill_switch_at_one_host_is_on_at_the_other_within_a_quarter_of_a_second(
    tmp_path: Path,
) -> None:
    async with cluster_town(tmp_path) as town, town.host("a") as a, town.host("b") as b:
        await shared_out(a, b)
        for owner in (a, b):
            other = b if owner is a else a
            await owned_by(owner, other, town.wish("BUY", "0.40", 100, strategy=HOLD), town)
        await town.trades("SELL", "0.40", 130)
        await finals(town, 1)
        left = town.live()
        await a.kill_switch.signal(True, "drill", "ann")
        await eventually(lambda: b.kill_switch._latched is not None, 0.25)
        await eventually(lambda: not town.live())
        with pytest.raises(PlacementRefused, match="kill switch is on"):
            await b.place(town.wish("BUY", "0.40", 20))
        async with town.host("c") as late:
            said = (await late.kill_switch.status()).reason

    assert left
    assert said == "drill"


async def test_a_host_that_is_stopped_hands_its_partitions_over_and_no_event_is_told_twice(
    tmp_path: Path,
) -> None:
    async with cluster_town(tmp_path, lease_s=20) as town, town.host("a") as a:
        async with town.host("b") as b:
            await shared_out(a, b)
            for price in ("0.40", "0.39", "0.38", "0.37", "0.36", "0.35"):
                await placed_by(a, b, town.wish("BUY", price, 20, strategy=HOLD))
                await town.trades("SELL", price, 20 if price != "0.40" else 5)
            before = await finals(town, 6)
        await eventually(lambda: len(ready(a)) == PARTITIONS)
        assert await a.settle(10)
        after = await finals(town, 6)

    assert sorted(r["report_id"] for r in after) == sorted(r["report_id"] for r in before)
    assert once_each(after)


async def test_a_host_that_is_cut_off_posts_nothing_after_its_lease_and_may_still_cancel(
    tmp_path: Path,
) -> None:
    async with cluster_town(tmp_path) as town, town.host("a") as a:
        await shared_out(a)
        placed = await a.place(town.wish("BUY", "0.40", 100, strategy=HOLD))
        await town.trades("SELL", "0.40", 30)
        await finals(town, 1)
        town.bus.stop(hard=True)
        with pytest.raises(PlacementRefused, match="could not be told"):
            await a.place(town.wish("BUY", "0.40", 100))
        await eventually(lambda: member_of(a).last_word())
        known = len(town.ours())
        await a.kill_switch.signal(True, "cut off", "ann")
        await eventually(lambda: not town.live())
        town.bus.start()
        await eventually(lambda: len(ready(a)) == PARTITIONS, 20)

    assert town.ours()[placed.order_id].status == "CANCELED"
    assert len(town.ours()) == known


async def test_the_metrics_of_every_partition_are_on_one_page(tmp_path: Path) -> None:
    async with cluster_town(tmp_path) as town, town.host("a") as a:
        await shared_out(a)
        families = {family.name: family for family in a.registry.collect()}
        health = next(iter(a.roster.bots)).bot.check_health()
        told = await a.command("exec.partialfillhandler", "status", {"actor": "ann", "reason": "look"})

    family = families["polytraders_exec_partialfillhandler_active_intents"]
    assert {sample.labels["partition"] for sample in family.samples} == {"0", "1", "2", "3"}
    assert health.status in {"green", "amber"}
    assert told is not None
    assert told.ok


async def test_a_cluster_without_a_bus_is_a_sentence(tmp_path: Path) -> None:
    async with cluster_town(tmp_path) as town:
        with pytest.raises(ConfigError, match=r"the section \[cluster\] needs \[nats\]"):
            town.host("a", reports={"bus": "memory"})


async def test_status_shows_owners_tokens_lag_and_backlog(tmp_path: Path) -> None:
    async with cluster_town(tmp_path) as town, town.host("a") as a, town.host("b") as b:
        await shared_out(a, b)
        await placed_by(a, b, town.wish("BUY", "0.40", 100, strategy=HOLD))
        await town.trades("SELL", "0.40", 30)
        await finals(town, 1)
        shown, whole = await asyncio.to_thread(show_status, a.config)
        tokens = member_of(a).leases.owned | member_of(b).leases.owned

    assert whole
    assert shown.status.members == ("a", "b")
    assert {p.partition: p.token for p in shown.status.partitions} == tokens
    assert sorted(p.owner for p in shown.status.partitions) == ["a", "a", "b", "b"]
    assert sum(p.orders for p in shown.status.partitions) == 1
    assert shown.text().splitlines()[0] == "hosts: a, b"
    assert shown.text().splitlines()[1].split() == [
        "partition",
        "owner",
        "token",
        "lag",
        "backlog",
        "replay",
        "orders",
    ]


async def test_status_tells_of_a_host_that_is_gone(tmp_path: Path) -> None:
    async with cluster_town(tmp_path, lease_s=1) as town:
        a = town.host("a")
        async with a:
            await shared_out(a)
            await a.cut_off()
        async with asyncio.timeout(15):
            while (found := await asyncio.to_thread(show_status, a.config))[1]:
                pass

    assert found[0].status.members == ()
    assert "a (gone)" in found[0].text()


async def test_status_counts_the_reports_that_the_report_stream_has_not_got(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster_town(tmp_path) as town, town.host("a") as a:
        await shared_out(a)

        async def refuses(*_: Any) -> None:
            raise BusError("full")

        monkeypatch.setattr(a.bus, "publish", refuses)
        await a.place(town.wish("BUY", "0.40", 100, strategy=HOLD))
        await town.trades("SELL", "0.40", 30)
        backlog = 0
        async with asyncio.timeout(15):
            while not backlog:
                shown, _ = await asyncio.to_thread(show_status, a.config)
                backlog = sum(partition.backlog for partition in shown.status.partitions)
        monkeypatch.undo()


async def test_status_without_a_cluster_is_a_sentence(tmp_path: Path) -> None:
    async with cluster_town(tmp_path) as town:
        lone = town.host("a", cluster=None)
        with pytest.raises(ConfigError, match=r"no section \[cluster\]"):
            await asyncio.to_thread(show_status, lone.config)
        nowhere = town.host("a")
        with pytest.raises(BusError, match="is no stream there"):
            await asyncio.to_thread(show_status, nowhere.config)


async def test_two_bots_in_one_cluster_are_a_sentence(tmp_path: Path) -> None:
    async with cluster_town(tmp_path) as town:
        with pytest.raises(ConfigError, match=r"the section \[cluster\] takes one enabled bot"):
            town.host("a", bots={"exec.one": {}, "exec.two": {}})


async def test_bots_whose_log_broke_under_a_lease_that_stands_begin_anew_and_lose_nothing(
    tmp_path: Path,
) -> None:
    async with cluster_town(tmp_path) as town, town.host("a") as a:
        await shared_out(a)
        placed = await a.place(town.wish("BUY", "0.40", 100, strategy=HOLD))
        await town.trades("SELL", "0.40", 30)
        await finals(town, 1)
        for room in member_of(a).rooms.open:
            room.log._last -= 1  # as after a bus that came back with another end of the log
        await town.trades("SELL", "0.40", 10)
        reports = await finals(town, 2)

    assert [str(report["filled_usd"]) for report in reports] == ["12", "16"]
    assert {report["order_id"] for report in reports} == {placed.order_id}
