"""Runs in which things go wrong: each kind of fault by itself, whole runs, planted bugs found in them."""

import json
from collections import Counter
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from polytraders_hookspecs import ExchangeReply
from support.demo_stage import short_run

from polytraders_pfh.core.outcomes import (
    CancelVerdict,
    OrderRecord,
    RecordVerdict,
    judge_cancel,
    judge_post,
    judge_record,
)
from polytraders_pfh.core.outcomes import PostVerdict as Post
from polytraders_pfh.demo.clock import MarketClock
from polytraders_pfh.demo.fault_kinds import CANCEL, POST, READ, Kind
from polytraders_pfh.demo.faults import SeededFaults
from polytraders_pfh.demo.result import Result
from polytraders_pfh.demo.trouble import Trouble
from polytraders_pfh.demo.truth import WitnessedExchange
from polytraders_pfh.engine.exchange import Exchange as EngineExchange
from polytraders_pfh.engine.replies import read_cancel, read_post, read_record
from polytraders_pfh.paper.core.model import MICRO, Market, Mode, OrderRequest, Outcome, Side
from polytraders_pfh.paper.protocol import shapes
from polytraders_pfh.paper.protocol.faults import Answer, Call, Cut

NOW_MS = 1_767_225_600_000
YES = "11111111111111111111"
RAIN = Market("0x" + "ab" * 32, "Rain?", (Outcome(YES, "Yes"), Outcome("22222222222222222222", "No")))
ORDER_ID, NEXT_ID = "0x" + "0a" * 32, "0x" + "0b" * 32
CODE = "0x" + "0c" * 32
SEEDS = (2, 3, 6)
"""Together they meet every family of faults on the market of `short_run`."""


@dataclass
class Venue:
    """An exchange with one resting order of ours, and a fault plan before it."""

    exchange: WitnessedExchange
    faults: SeededFaults
    calls: int = 0

    async def ask(self, method: str, path: str, body: bytes = b"") -> Answer | Cut:
        """Do what the paper server does with a request."""
        self.calls += 1
        call = Call(self.calls, method, path, body, "key", NOW_MS)
        early = await self.faults.before_commit(call)
        if early is not None:
            return early
        answer = self._commit(method, path, body)
        self.exchange.drain()
        return await self.faults.before_answer(call, answer)

    def _commit(self, method: str, path: str, body: bytes) -> Answer:
        if method == "DELETE":
            result = self.exchange.cancel("key", (json.loads(body)["orderID"],), NOW_MS)
            if result.error is not None:
                return Answer(result.http_status, shapes.compact({"error": result.error}))
            return Answer(200, shapes.compact(shapes.cancelled(result)))
        if method == "POST":
            order_id = json.loads(body)["id"]
            posted = self.exchange.post(request(order_id), NOW_MS)
            return Answer(posted.http_status, shapes.compact(shapes.posted(posted)))
        record = self.exchange.order(path.rpartition("/")[2])
        return Answer(404, b"{}") if record is None else Answer(200, shapes.compact(shapes.order(record)))

    def lives(self, order_id: str) -> bool:
        record = self.exchange.order(order_id)
        return record is not None and record.is_open


def request(order_id: str) -> OrderRequest:
    """BUY 100 at 0.40."""
    return OrderRequest(
        order_id, "0xus", "key", "0xus", "0xus", YES, Side.BUY, 40 * MICRO, 100 * MICRO, builder_code=CODE
    )


def venue(*kinds: Kind, seed: int = 1) -> Venue:
    exchange = WitnessedExchange("t")
    exchange.add_market(RAIN, NOW_MS)
    exchange.deposit("0xus", 1_000 * MICRO)
    exchange.crowd_set_level(YES, Side.SELL, 450_000, 500 * MICRO, NOW_MS)
    exchange.crowd_set_level(YES, Side.BUY, 400_000, 30 * MICRO, NOW_MS)
    assert exchange.post(request(ORDER_ID), NOW_MS).accepted
    exchange.drain()
    faults = SeededFaults(seed, frozenset(kind.name for kind in kinds), MarketClock(NOW_MS))
    faults.attach(exchange)
    return Venue(exchange, faults)


def reply(answer: Answer | Cut) -> ExchangeReply:
    """What the host's transport makes of it."""
    if isinstance(answer, Cut):
        return ExchangeReply(status=None, detail="connection lost")
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return ExchangeReply(status=answer.status, body=answer.body, headers=headers)


async def until_met(kind: Kind, ask: Any) -> tuple[Venue, Answer | Cut]:
    """Ask new exchanges under one seed after the other until the fault takes place."""
    for seed in range(100):
        v = venue(kind, seed=seed)
        answer = await ask(v)
        if v.faults.met:
            assert dict(v.faults.met) == {kind.name: 1}
            return v, answer
    raise AssertionError(f"{kind.name} never took place")


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is held back in real time."""
    monkeypatch.setattr("polytraders_pfh.demo.faults.HOLD_S", 0.0)


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize("kind", CANCEL, ids=lambda kind: kind.name)
async def test_a_cancel_that_goes_wrong_never_reads_as_proof_of_what_did_not_happen(kind: Kind) -> None:
    body = json.dumps({"orderID": ORDER_ID}).encode()
    v, answer = await until_met(kind, lambda v: v.ask("DELETE", "/order", body))

    verdict = judge_cancel(ORDER_ID, read_cancel(reply(answer)))

    assert v.lives(ORDER_ID) is not kind.lands
    assert verdict in {CancelVerdict.UNKNOWN, CancelVerdict.ALIVE} or kind.name == "fill_races_cancel"
    assert not (verdict is CancelVerdict.DEAD and v.lives(ORDER_ID))
    assert not (verdict is CancelVerdict.ALIVE and not v.lives(ORDER_ID))


@pytest.mark.usefixtures("_at_once")
async def test_a_fill_that_races_the_cancel_is_in_the_record_and_in_no_answer() -> None:
    (race,) = (kind for kind in CANCEL if kind.name == "fill_races_cancel")
    body = json.dumps({"orderID": ORDER_ID}).encode()
    v, _ = await until_met(race, lambda v: v.ask("DELETE", "/order", body))

    record = v.exchange.order(ORDER_ID)
    assert record is not None
    assert 0 < record.size_matched_micro <= 100 * MICRO
    assert record.size_matched_micro % 10_000 == 0
    assert v.exchange.audit().balanced


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize("kind", POST, ids=lambda kind: kind.name)
async def test_a_post_that_goes_wrong_never_reads_as_refused_when_it_arrived(kind: Kind) -> None:
    body = json.dumps({"id": NEXT_ID, "order": {"builder": CODE}}).encode()

    async def ask(v: Venue) -> Answer | Cut:
        v.faults.note_root(Call(0, "POST", "/order", body, "key", NOW_MS))
        return await v.ask("POST", "/order", body)

    v, answer = await until_met(kind, ask)

    verdict = judge_post(NEXT_ID, read_post(reply(answer)), attempted_before=False)

    assert v.lives(NEXT_ID) is kind.lands
    assert verdict in ({Post.UNKNOWN} if kind.lands else {Post.UNKNOWN, Post.REFUSED})


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize("kind", READ, ids=lambda kind: kind.name)
async def test_a_read_that_goes_wrong_is_no_proof_of_an_end(kind: Kind) -> None:
    async def ask(v: Venue) -> Answer | Cut:
        v.exchange.crowd_take(YES, Side.SELL, 80 * MICRO, 400_000, NOW_MS)
        v.exchange.cancel("key", (ORDER_ID,), NOW_MS)
        v.exchange.drain()
        return await v.ask("GET", f"/data/order/{ORDER_ID}")

    _, answer = await until_met(kind, ask)
    verdict = judge_record(read_record(reply(answer), ORDER_ID))

    assert verdict is (RecordVerdict.ALIVE if kind.name == "read_stale" else RecordVerdict.UNKNOWN)


async def test_an_order_is_hidden_from_reads_at_most_once() -> None:
    (stale,) = (kind for kind in READ if kind.name == "read_stale")
    v = venue(stale)
    answers = [await v.ask("GET", f"/data/order/{ORDER_ID}") for _ in range(30)]

    assert [isinstance(each, Answer) and each.status for each in answers].count(404) == 1
    assert dict(v.faults.met) == {"read_not_found_yet": 1}


async def test_a_restart_window_refuses_then_takes_post_only_orders_then_all() -> None:
    v = venue()
    modes = []
    since = count(0, 5_000_000)
    v.faults._clock.monotonic_ns = lambda: next(since)  # type: ignore[method-assign]  # 5 ms a look
    v.faults.arm_window("restart_425", 0.02)
    body = json.dumps({"orderID": ORDER_ID}).encode()
    refused = await v.ask("DELETE", "/order", body)
    while (mode := v.exchange.mode) is not Mode.OPEN:
        modes.append(mode)
        v.faults.pass_time()

    assert isinstance(refused, Answer)
    assert (refused.status, refused.headers["Retry-After"]) == (425, "1")
    assert list(dict.fromkeys(modes)) == [Mode.RESTARTING, Mode.POST_ONLY]
    assert dict(v.faults.met) == {"restart_425": 1}


@pytest.mark.usefixtures("_at_once")
async def test_the_same_request_meets_the_same_faults_whatever_comes_between() -> None:
    body = json.dumps({"orderID": NEXT_ID}).encode()
    one, other = venue(*CANCEL, seed=9), venue(*CANCEL, seed=9)
    for _ in range(6):
        await one.ask("DELETE", "/order", body)
    for i in range(6):
        await other.ask("DELETE", "/order", json.dumps({"orderID": f"0x{i:064x}"}).encode())
    between = Counter(other.faults.met)
    for _ in range(6):
        await other.ask("DELETE", "/order", body)

    assert other.faults.met - between == one.faults.met


def test_a_seed_draws_a_part_of_all_faults_and_always_at_least_three_deaths() -> None:
    drawn = [Trouble(seed, MarketClock(NOW_MS)) for seed in range(20)]

    assert len({trouble.enabled for trouble in drawn}) == 20
    everything = {kind.name for kinds in (CANCEL, POST, READ) for kind in kinds}
    assert everything <= frozenset().union(*(trouble.enabled for trouble in drawn))
    for trouble in drawn:
        assert not everything <= trouble.enabled
        assert {name.partition("_")[0] for name in trouble.enabled} >= {"cancel", "post", "read"}


@pytest.fixture(scope="module")
def results() -> dict[int, Result]:
    """Runs that a test has made already, by seed."""
    return {}


async def result_of(seed: int, results: dict[int, Result]) -> Result:
    if seed not in results:
        results[seed] = await short_run(8, duration_ms=240_000, faults=seed)
    return results[seed]


@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_violated_whatever_goes_wrong(seed: int, results: dict[int, Result]) -> None:
    result = await result_of(seed, results)

    assert result.violations == ()
    assert result.complete
    assert result.killed is not None
    assert result.restarts >= 2
    assert result.partial_fills > 5
    assert len(result.faults) >= 8


async def test_such_runs_meet_every_family_of_faults(results: dict[int, Result]) -> None:
    met: Counter[str] = Counter()
    for seed in SEEDS:
        met.update((await result_of(seed, results)).faults)

    families = {name.partition("_")[0] for name in met}
    assert families >= {"cancel", "post", "read", "book", "list", "host", "user", "market", "fill"}
    for verb in ("cancel", "post"):
        assert any(name.startswith(verb) and name.endswith("_landed") for name in met)
    assert any("425" in name or "503" in name for name in met)
    assert any(name.startswith("host_killed_") and "between_moves" not in name for name in met)


async def test_an_error_that_is_taken_for_a_cancel_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    honest_cancel, honest_record = EngineExchange.cancel, EngineExchange.record

    async def believing(self: EngineExchange, order_ids: tuple[str, ...]) -> dict[str, CancelVerdict]:
        verdicts = await honest_cancel(self, order_ids)
        doubted = {i for i, verdict in verdicts.items() if verdict is CancelVerdict.UNKNOWN}
        believed.update(doubted)
        return {i: CancelVerdict.DEAD if i in doubted else verdict for i, verdict in verdicts.items()}

    async def closed(self: EngineExchange, order_id: str) -> tuple[RecordVerdict, OrderRecord]:
        verdict, record = await honest_record(self, order_id)
        return (RecordVerdict.CLOSED if order_id in believed else verdict), record

    believed: set[str] = set()
    monkeypatch.setattr(EngineExchange, "cancel", believing)
    monkeypatch.setattr(EngineExchange, "record", closed)

    rules: set[str] = set()
    for seed in SEEDS:
        result = await short_run(8, ("chase",), duration_ms=240_000, faults=seed)
        rules |= {violation.rule for violation in result.violations}
        if "two-live" in rules:
            break

    assert "two-live" in rules
