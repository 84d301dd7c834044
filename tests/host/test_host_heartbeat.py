"""The dead-man switch: its chain of ids, its silence, and what the exchange does with both."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from polytraders_hookspecs import ExchangeReply
from prometheus_client import CollectorRegistry
from support.clocks import HandClock
from support.eventually import eventually
from support.host_stage import host_stage
from support.limits_stage import LimitsStage, limits_stage, twin

from polytraders_pfh.core.outcomes import PostVerdict, judge_post
from polytraders_pfh.engine.replies import read_post
from polytraders_pfh.host import Host
from polytraders_pfh.host.errors import ExchangeRefused
from polytraders_pfh.host.heartbeat import CONTESTED, Heartbeat
from polytraders_pfh.host.metrics import HostMetrics

BEATS = "POST /v1/heartbeats"


def says(status: int | None, **members: Any) -> ExchangeReply:
    return ExchangeReply(status=status, body=json.dumps(members).encode() if members else b"", detail="lost")


@dataclass
class Pulse:
    """A heartbeat whose other end is a list of answers; an exception among them is raised."""

    answers: deque[ExchangeReply | Exception]
    ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = HandClock()
        self.metrics = HostMetrics(CollectorRegistry())
        self.heartbeat = Heartbeat(self._send, self.clock, self.metrics)

    async def _send(self, heartbeat_id: str) -> ExchangeReply:
        self.ids.append(heartbeat_id)
        answer = self.answers.popleft() if self.answers else says(None)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def after(self, seconds: float, sent: int) -> None:
        """Let time pass, and wait until this many beats were sent in all and the next pause has begun."""
        await eventually(lambda: self.clock._sleepers)
        self.clock.advance(seconds)
        await eventually(lambda: len(self.ids) >= sent and self.clock._sleepers)

    def count(self, result: str) -> float:
        return self.metrics.heartbeats[result]._value.get()


@asynccontextmanager
async def pulse(*answers: ExchangeReply | Exception) -> AsyncIterator[Pulse]:
    p = Pulse(deque(answers))
    await p.heartbeat.open()
    try:
        yield p
    finally:
        await p.heartbeat.close()


async def test_each_beat_carries_the_id_that_the_one_before_was_answered_with() -> None:
    async with pulse(*[says(200, heartbeat_id=f"id-{n}") for n in range(1, 5)]) as p:
        await p.after(4.999, 1)
        early = list(p.ids)
        await p.after(0.001, 2)
        await p.after(5, 3)

    assert early == [""]
    assert p.ids == ["", "id-1", "id-2"]
    assert p.count("accepted") == 3


async def test_a_wrong_id_is_sent_again_at_once_as_the_expected_one() -> None:
    wrong = says(400, error_msg="Invalid Heartbeat ID", heartbeat_id="id-9")
    async with pulse(wrong, says(200, heartbeat_id="id-10"), says(200, heartbeat_id="id-11")) as p:
        opened = (list(p.ids), p.heartbeat.pulse)
        await p.after(5, 3)

    assert opened == (["", "id-9"], "steady")
    assert p.ids == ["", "id-9", "id-10"]
    assert (p.count("corrected"), p.count("accepted")) == (1, 1)


@pytest.mark.parametrize(
    "lost",
    [
        says(None),
        says(500, error="x"),
        says(401, error="Unauthorized/Invalid api key"),
        says(200),
        says(200, heartbeat_id=7),
        says(200, heartbeat_id="x" * 5_000),
        says(400, error="Invalid payload"),
        ExchangeReply(status=200, body=b"\xff"),
        ExchangeRefused("there are no API credentials yet"),
    ],
)
async def test_a_beat_that_was_not_accepted_is_tried_again_after_half_a_second_with_the_same_id(
    lost: ExchangeReply | Exception,
) -> None:
    async with pulse(says(200, heartbeat_id="id-1"), lost, says(200, heartbeat_id="id-2")) as p:
        await p.after(5, 2)
        await p.after(0.5, 3)
        healthy = p.heartbeat.healthy

    assert p.ids == ["", "id-1", "id-1"]
    assert healthy
    assert p.count("failed") == 1


async def test_ten_seconds_without_an_accepted_beat_stop_posts_and_the_next_one_allows_them() -> None:
    async with pulse(says(200, heartbeat_id="id-1")) as p:
        await p.after(5, 2)
        p.clock.advance(5)
        at_ten = (p.heartbeat.healthy, p.heartbeat.obstacle())
        p.clock.advance(0.1)
        later = (p.heartbeat.healthy, p.heartbeat.pulse, p.heartbeat.obstacle())
        p.answers.extend([says(200, heartbeat_id="id-2")] * 9)
        await p.after(0.5, len(p.ids) + 1)
        back = (p.heartbeat.pulse, p.heartbeat.obstacle())

    assert at_ten == (True, "")
    assert later[:2] == (False, "silent")
    assert later[2] == (
        "the exchange has accepted no heartbeat for 10 s (lost) and may have cancelled every order of this "
        "key; wait for the next accepted one"
    )
    assert back == ("steady", "")


async def test_silence_counts_from_when_the_last_accepted_beat_was_sent_not_from_its_answer() -> None:
    p = Pulse(deque())
    answered: asyncio.Future[ExchangeReply] = asyncio.get_running_loop().create_future()

    async def slowly(_: str) -> ExchangeReply:
        return await answered

    heartbeat = Heartbeat(slowly, p.clock, HostMetrics(CollectorRegistry()))
    opening = asyncio.create_task(heartbeat.open())
    await asyncio.sleep(0)
    p.clock.advance(2)
    answered.set_result(says(200, heartbeat_id="id-1"))
    await opening
    p.clock.advance(8.1)

    assert not heartbeat.healthy
    await heartbeat.close()


async def test_before_the_first_accepted_beat_nothing_is_healthy() -> None:
    async with pulse(says(503, error="busy")) as p:
        assert p.heartbeat.obstacle() == (
            "the exchange has accepted no heartbeat yet (status 503, busy); wait for the first one"
        )


async def test_an_exchange_that_never_takes_the_id_it_names_is_asked_twice_a_beat_and_no_more() -> None:
    async with pulse(*[says(400, heartbeat_id=f"id-{n}") for n in range(4)]) as p:
        await p.after(0.5, 4)
        p.answers.extend([says(400, heartbeat_id="id-4"), says(200, heartbeat_id="id-5")])
        await p.after(0.5, 6)
        finally_taken = p.heartbeat.pulse

    assert finally_taken == "contested"
    assert p.ids[:4] == ["", "id-0", "id-1", "id-2"]
    assert p.count("failed") == 2


async def test_a_chain_that_another_sender_moves_is_told_apart_from_one_lost_answer() -> None:
    def contest(number: int) -> list[ExchangeReply]:
        return [says(400, heartbeat_id=f"theirs-{number}"), says(200, heartbeat_id=f"ours-{number}")]

    answers = [*contest(0), says(200, heartbeat_id="calm"), *contest(1), *contest(2), *contest(3)]
    async with pulse(*answers) as p:
        seen = [p.heartbeat.pulse]
        for sent in (3, 5, 7, 9):
            await p.after(5, sent)
            seen.append(p.heartbeat.pulse)

    assert seen == ["steady", "steady", "steady", "steady", "contested"]


async def test_nothing_is_posted_while_another_sender_moves_the_chain() -> None:
    def contest(number: int) -> list[ExchangeReply]:
        return [says(400, heartbeat_id=f"theirs-{number}"), says(200, heartbeat_id=f"ours-{number}")]

    answers = [*contest(0), *contest(1), *contest(2), says(200, heartbeat_id="calm")]
    async with pulse(*answers) as p:
        told = [p.heartbeat.obstacle()]
        for sent in (4, 6, 7):
            await p.after(5, sent)
            told.append(p.heartbeat.obstacle())

    assert told[:2] == ["", ""]
    assert told[2].startswith("another sender moves this key's heartbeat ids")
    assert told[3] == ""


async def test_after_the_close_no_beat_is_sent() -> None:
    async with pulse(says(200, heartbeat_id="id-1")) as p:
        await eventually(lambda: p.clock._sleepers)
    p.clock.advance(60)
    await asyncio.sleep(0)

    assert p.ids == [""]


async def health_of(url: str) -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/internal/health") as reply:
        return reply.status, await reply.json()


async def metrics_of(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as reply:
        return await reply.text()


async def test_a_host_without_the_switch_sends_no_beat_and_says_so(tmp_path: Path) -> None:
    async with host_stage(tmp_path) as s:
        status, health = await health_of(s.host.url)
        metrics = await metrics_of(s.host.url)

    assert s.exchange.calls(BEATS) == []
    assert (status, health["status"], health["heartbeat"]) == (200, "green", "off")
    assert "polytraders_host_heartbeat_healthy" not in metrics


def beats(host: Host) -> float:
    """How many beats a host has brought to an end, whatever the end."""
    results = ("accepted", "corrected", "failed")
    return sum(host.metrics.heartbeats[result]._value.get() for result in results)


async def beat(s: LimitsStage, duration_ms: int = 5_000, host: Host | None = None) -> None:
    """Let time pass until the next beat is due, and wait until the host knows what came of it."""
    before = beats(host or s.host)
    s.advance(duration_ms)
    await eventually(lambda: beats(host or s.host) > before)


async def test_a_beat_that_hangs_holds_up_no_trading_call(tmp_path: Path) -> None:
    async with limits_stage(tmp_path, heartbeat=True) as s:
        s.wire.stuck["/v1/heartbeats"] = release = asyncio.Event()
        s.advance(5_000)
        await eventually(lambda: s.wire.waiting)
        placed = await s.place()
        cancelled = await s.host.clob.cancel_orders((placed.order_id,))
        still_stuck = s.wire.waiting
        release.set()
        await eventually(lambda: beats(s.host) == 2)

    assert placed.outcome == "accepted"
    assert json.loads(cancelled.body)["canceled"] == [placed.order_id]
    assert still_stuck == 1


async def test_beats_keep_orders_alive_and_their_loss_cancels_them_at_the_exchange(tmp_path: Path) -> None:
    async with limits_stage(tmp_path, heartbeat=True) as s:
        placed = await s.place()
        for _ in range(12):
            await beat(s)
        alive = s.status(placed.order_id)
        s.wire.deaf.add("/v1/heartbeats")
        for _ in range(4):
            s.advance(5_000)
        dead = s.status(placed.order_id)
        held = await s.place()
        status, health = await health_of(s.host.url)
        metrics = await metrics_of(s.host.url)
        posts_while_silent = len(s.wire.statuses("POST /order"))
        s.wire.deaf.clear()
        while s.host.health().heartbeat != "steady":
            await beat(s, 500)
        after = await s.place()
        statuses = s.wire.statuses(BEATS)

    assert (alive, dead) == ("LIVE", "CANCELED")
    assert held.outcome == "refused"
    assert judge_post(held.order_id, read_post(held.reply), attempted_before=False) is PostVerdict.REFUSED
    assert held.text.startswith("POST /order was not sent: the exchange has accepted no heartbeat for 20 s")
    assert posts_while_silent == 1
    assert "polytraders_host_heartbeat_healthy 0.0" in metrics
    assert 'polytraders_host_posts_held_total{reason="heartbeat"} 1.0' in metrics
    assert (status, health["status"], health["heartbeat"]) == (503, "red", "silent")
    assert health["reasons"][0].startswith("no order is posted: the exchange has accepted no heartbeat")
    assert after.outcome == "accepted"
    assert statuses == [200] * len(statuses)


async def test_a_beat_whose_answer_is_lost_goes_on_with_the_id_that_the_exchange_expects(
    tmp_path: Path,
) -> None:
    async with limits_stage(tmp_path, heartbeat=True) as s:
        placed = await s.place()
        s.wire.mute.add("/v1/heartbeats")
        await beat(s)
        s.wire.mute.clear()
        for _ in range(8):
            await beat(s)
        statuses, alive = s.wire.statuses(BEATS), s.status(placed.order_id)
        health = s.host.health()

    assert statuses[:4] == [200, 200, 400, 200]
    assert set(statuses[4:]) == {200}
    assert (alive, health.status, health.heartbeat) == ("LIVE", "green", "steady")


async def test_a_clean_stop_ends_the_beats_and_the_exchange_cancels_what_was_left(tmp_path: Path) -> None:
    async with limits_stage(tmp_path, heartbeat=True) as s:
        placed = await s.place()
        await s.host.__aexit__(None, None, None)
        left = [task.get_name() for task in asyncio.all_tasks()]
        sent = len(s.wire.statuses(BEATS))
        s.advance(9_000)
        soon = s.status(placed.order_id)
        for _ in range(3):
            s.advance(5_000)

        assert "heartbeat" not in left
        assert len(s.wire.statuses(BEATS)) == sent
        assert (soon, s.status(placed.order_id)) == ("LIVE", "CANCELED")


async def test_two_hosts_that_beat_for_one_key_are_told_to_stop(tmp_path: Path) -> None:
    async with limits_stage(tmp_path, heartbeat=True) as s:
        s.advance(2_500)
        async with twin(s, tmp_path, heartbeat=True) as other:
            for _ in range(3):
                await beat(s, 2_500)
                await beat(s, 2_500, other)
            healths = [s.host.health(), other.health()]

    assert [(health.status, health.heartbeat) for health in healths] == [("red", "contested")] * 2
    assert healths[0].reasons == (f"no order is posted: {CONTESTED}",)
