"""Who owns what: one host at a time, under tokens that only grow, on a real bus."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cluster_stage import Member, members
from support.eventually import eventually
from support.nats_server import NEEDS_NATS, NatsServer, nats_server

from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host.cluster.assignment import assign
from polytraders_pfh.host.cluster.partition_log import PartitionLog, log_stream
from polytraders_pfh.host.cluster.streams import ensure_stream
from polytraders_pfh.host.errors import BusError, LeaseLost

pytestmark = NEEDS_NATS


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


def owned(*hosts: Member) -> list[int]:
    return sorted(partition for host in hosts for partition in host.leases.owned)


def test_partitions_are_shared_evenly_and_few_move_when_a_host_comes() -> None:
    two, three = assign(48, ["a", "b"]), assign(48, ["c", "b", "a"])

    assert sorted(list(two.values()).count(name) for name in "ab") == [24, 24]
    assert sorted(list(three.values()).count(name) for name in "abc") == [16, 16, 16]
    assert sum(two[n] != three[n] for n in range(48)) <= 26
    assert assign(3, []) == {}


async def test_one_host_owns_all_and_a_second_one_gets_its_half(server: NatsServer) -> None:
    async with members(server, "a", "b", cluster="half") as (a, b):
        await eventually(lambda: len(a.leases.owned) == len(b.leases.owned) == 4)

        assert owned(a, b) == list(range(8))
        assert all(a.leases.still_held(p, token) for p, token in a.leases.owned.items())
        assert not any(b.leases.still_held(p, token) for p, token in a.leases.owned.items())


async def test_a_host_that_is_gone_loses_all_to_the_other_under_later_tokens(server: NatsServer) -> None:
    async with members(server, "a", "b", cluster="gone") as (a, b):
        await eventually(lambda: len(a.leases.owned) == len(b.leases.owned) == 4)
        before = dict(a.leases.owned)
        await a.kill()
        await eventually(lambda: len(b.leases.owned) == 8)

        assert all(b.leases.owned[p] > token for p, token in before.items())
        assert not a.membership.alive


async def test_a_host_that_stood_still_past_its_lease_holds_nothing_when_it_goes_on(
    server: NatsServer,
) -> None:
    async with members(server, "a", "b", cluster="still") as (a, b):
        await eventually(lambda: len(a.leases.owned) == len(b.leases.owned) == 4)
        before = dict(a.leases.owned)
        a.clock.going.clear()
        await eventually(lambda: len(b.leases.owned) == 8)
        held = [p for p, token in before.items() if a.leases.still_held(p, token)]
        a.clock.going.set()
        await eventually(lambda: len(a.leases.owned) == len(b.leases.owned) == 4)

        assert held == []
        assert {("loss", p) for p in before} <= set(a.told)
        assert all(a.leases.owned[p] > token for p, token in before.items() if p in a.leases.owned)


async def test_no_moment_shows_two_hosts_that_both_hold_a_partition(server: NatsServer) -> None:
    async with members(server, "a", "b", "c", cluster="moment") as hosts:
        doubled = []

        def one_holder_each() -> None:
            for partition in range(8):
                holders = [host for host in hosts if host.leases.token(partition)]
                if len(holders) > 1:
                    doubled.append(partition)

        async def watched(settled: object) -> None:
            def look() -> bool:
                one_holder_each()
                return settled()  # type: ignore[operator,no-any-return]

            await eventually(look)

        a, b, c = hosts
        await watched(lambda: owned(a, b, c) == list(range(8)) and len(c.leases.owned) >= 2)
        b.clock.going.clear()
        await watched(lambda: owned(a, c) == list(range(8)))
        b.clock.going.set()
        await watched(lambda: owned(a, b, c) == list(range(8)) and len(b.leases.owned) >= 2)

        assert doubled == []


async def test_a_bus_that_is_restarted_leaves_every_partition_with_one_owner(tmp_path: Path) -> None:
    with nats_server(tmp_path) as server:
        async with members(server, "a", "b", cluster="restart") as (a, b):
            await eventually(lambda: len(a.leases.owned) == len(b.leases.owned) == 4)
            server.stop(hard=True)
            await eventually(lambda: not a.leases.owned and not b.leases.owned)
            server.start()
            await eventually(lambda: len(a.leases.owned) == len(b.leases.owned) == 4, 20)

            assert owned(a, b) == list(range(8))


async def test_two_hosts_with_one_name_is_a_sentence(server: NatsServer) -> None:
    async with members(server, "a", cluster="name"):
        with pytest.raises(ConfigError, match=r"cluster\.host was 'a', and a host of that name is running"):
            async with members(server, "a", cluster="name"):
                pass


async def test_a_host_that_comes_back_at_once_takes_its_name_when_the_old_lease_is_over(
    server: NatsServer,
) -> None:
    async with members(server, "a", cluster="again") as (a,):
        await eventually(lambda: len(a.leases.owned) == 8)
        await a.kill()
        async with members(server, "a", cluster="again") as (again,):
            await eventually(lambda: len(again.leases.owned) == 8)

            assert min(again.leases.owned.values()) > max(a.leases.owned.values())


async def test_a_host_that_leaves_gives_its_partitions_up_at_once(server: NatsServer) -> None:
    async with members(server, "a", "b", cluster="leave", lease_s=5) as (a, b):
        await eventually(lambda: len(a.leases.owned) == len(b.leases.owned) == 4)
        a.leases.leave()
        for partition in list(a.leases.owned):
            await a.leases.release(partition)
        await a.membership.leave()
        await a.kill()
        await eventually(lambda: len(b.leases.owned) == 8, 3)


async def test_a_cluster_with_another_lease_is_refused(server: NatsServer) -> None:
    async with members(server, "a", cluster="lease"):
        with pytest.raises(BusError, match=r"KV_lease_hosts exists with other settings: max_age is 1\.0"):
            async with members(server, "b", cluster="lease", lease_s=2.0):
                pass


def log_of(host: Member, partition: int, cluster: str) -> PartitionLog:
    token = host.leases.owned[partition]
    return PartitionLog(
        host.link, f"{cluster}_LOG", f"{cluster}.log", partition, token, host.leases, host.clock
    )


async def entries(log: PartitionLog) -> list[bytes]:
    return [data async for _, data in log.read()]


async def test_entries_are_read_by_whoever_takes_over_from_the_first_that_is_needed(
    server: NatsServer,
) -> None:
    async with members(server, "a", "b", cluster="logs") as (a, b):
        await eventually(lambda: len(a.leases.owned) == len(b.leases.owned) == 4)
        await ensure_stream(a.link.jetstream, log_stream("logs_LOG", "logs.log", 8, 1))
        partition = next(iter(a.leases.owned))
        log = log_of(a, partition, "logs")
        await log.claim()
        await log.append(b"one", 0)
        second = await log.append(b"two", 0)
        await log.append(b"three", second)
        await a.kill()
        await eventually(lambda: len(b.leases.owned) == 8)
        taken = log_of(b, partition, "logs")
        await taken.claim()

        assert await entries(taken) == [b"two", b"three"]
        await taken.append(b"four", 0)
        assert await entries(taken) == [b"four"]


async def test_whoever_woke_after_its_lease_writes_nothing_even_if_its_clock_is_wrong(
    server: NatsServer,
) -> None:
    async with members(server, "a", "b", cluster="zombie") as (a, b):
        await eventually(lambda: len(a.leases.owned) == len(b.leases.owned) == 4)
        await ensure_stream(a.link.jetstream, log_stream("zombie_LOG", "zombie.log", 8, 1))
        partition = next(iter(a.leases.owned))
        log = log_of(a, partition, "zombie")
        await log.claim()
        await log.append(b"mine", 0)
        a.clock.going.clear()
        await eventually(lambda: len(b.leases.owned) == 8)
        taken = log_of(b, partition, "zombie")
        await taken.claim()
        with pytest.raises(LeaseLost, match="ran out"):
            await log.append(b"late", 0)
        log.held = lambda: True  # type: ignore[method-assign]
        with pytest.raises(LeaseLost, match="another host has written"):
            await log.append(b"later", 0)
        with pytest.raises(LeaseLost, match="under a later token"):
            await log.claim()

        assert await entries(taken) == [b"mine"]


async def test_an_entry_whose_acknowledgement_was_lost_is_kept_once(tmp_path: Path) -> None:
    with nats_server(tmp_path) as server:
        async with members(server, "a", cluster="ack", lease_s=10) as (a,):
            await eventually(lambda: len(a.leases.owned) == 8)
            await ensure_stream(a.link.jetstream, log_stream("ack_LOG", "ack.log", 8, 1))
            log = log_of(a, 0, "ack")
            await log.claim()
            appending = asyncio.ensure_future(log.append(b"one", 0))
            await asyncio.sleep(0)
            server.stop(hard=True)
            server.start()
            await appending
            await log.append(b"two", 1)

            assert await entries(log) == [b"one", b"two"]


async def test_an_entry_that_was_kept_by_a_bus_that_has_forgotten_its_id_is_known_again(
    server: NatsServer,
) -> None:
    async with members(server, "a", cluster="forgot", lease_s=10) as (a,):
        await eventually(lambda: len(a.leases.owned) == 8)
        await ensure_stream(a.link.jetstream, log_stream("forgot_LOG", "forgot.log", 8, 1))
        log = log_of(a, 0, "forgot")
        await log.claim()
        really, told = log._send, []

        async def loses_the_answer(*entry: Any) -> bool:
            told.append(entry)
            if len(told) == 1:
                before = log._last
                await really(*entry)
                log._last = before
                raise BusError("no answer")
            return False if len(told) == 2 else await really(*entry)

        log._send = loses_the_answer  # type: ignore[method-assign]
        first = await log.append(b"one", 0)
        await log.append(b"two", first)

        assert await entries(log) == [b"one", b"two"]


async def test_an_entry_that_is_refused_while_the_lease_stands_has_the_bots_begin_anew(
    server: NatsServer,
) -> None:
    async with members(server, "a", cluster="broken", lease_s=10) as (a,):
        await eventually(lambda: len(a.leases.owned) == 8)
        await ensure_stream(a.link.jetstream, log_stream("broken_LOG", "broken.log", 8, 1))
        log, other = log_of(a, 0, "broken"), log_of(a, 0, "broken")
        broken: list[str] = []
        log.on_broken = lambda: broken.append("anew")
        await log.claim()
        await other.claim()
        with pytest.raises(LeaseLost, match="another host has written"):
            await log.append(b"one", 0)

        assert broken == ["anew"]
