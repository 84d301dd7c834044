"""Sabotages of our own code. A proof that cannot see these proves nothing.

Each names the line that it stands for, and is switched on around a schedule.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from unittest.mock import patch

from opentelemetry.trace import INVALID_SPAN

from polytraders_pfh.core import chase, market, outcomes, remainder
from polytraders_pfh.core.lifecycle import State, Step
from polytraders_pfh.core.outcomes import CancelAnswer, CancelVerdict, PostVerdict, RecordVerdict
from polytraders_pfh.core.policy import Kill
from polytraders_pfh.engine import (
    assembly,
    books,
    decider,
    exchange,
    fold,
    inquiry,
    intake,
    intents,
    plan,
    recovery,
    sequencer,
)
from polytraders_pfh.engine.carrier import Carrier
from polytraders_pfh.engine.coordinator import Coordinator
from polytraders_pfh.engine.decider import Decider
from polytraders_pfh.engine.fold import Chronicle
from polytraders_pfh.engine.inquiry import Inquiry
from polytraders_pfh.engine.intents import Intent
from polytraders_pfh.engine.journal import batch
from polytraders_pfh.engine.journal.segment import Segment
from polytraders_pfh.engine.kill import KillLatch
from polytraders_pfh.engine.killing import Killer
from polytraders_pfh.engine.lanes import Lane
from polytraders_pfh.engine.orders import unsigned_chase
from polytraders_pfh.engine.reporter import Reporter
from polytraders_pfh.engine.seen import SeenEvents
from polytraders_pfh.engine.sequencer import Sequencer
from polytraders_pfh.engine.steplog import StepLog

Changes = tuple[tuple[Any, str, Any], ...]


@dataclass(frozen=True)
class Bug:
    """One sabotage: what it is, the line it stands for, what it changes, and what it takes to matter."""

    name: str
    line: str
    changes: Callable[[], Changes]
    always: tuple[str, ...] = ()

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Have the bug in the code for a while."""
        with ExitStack() as stack:
            for owner, name, value in self.changes():
                stack.enter_context(patch.object(owner, name, value))
            yield


BUGS: Final[list[Bug]] = []


def bug(line: str, *always: str) -> Callable[[Callable[[], Changes]], Callable[[], Changes]]:
    """Add a sabotage to the list under its function's name."""

    def add(changes: Callable[[], Changes]) -> Callable[[], Changes]:
        BUGS.append(Bug(changes.__name__, line, changes, always))
        return changes

    return add


@bug("inquiry.read_size: `take_record(...)` after the cancel's proof, left out; and no trades are read")
def stale_remainder() -> Changes:
    async def read_size(self: Inquiry, *_: Any) -> bool:
        return True

    async def read_trades(self: Inquiry, *_: Any) -> None:
        return None

    return (Inquiry, "read_size", read_size), (Inquiry, "read_trades", read_trades)


@bug("outcomes.judge_cancel: `if doubtful: UNKNOWN`, for a 5xx read as DEAD")
def cancel_5xx_read_as_cancelled() -> Changes:
    return ((exchange, "judge_cancel", _cancel_read_as_dead(lambda a: (a.status or 0) >= 500)),)


@bug("outcomes.judge_cancel: `if doubtful: UNKNOWN`, for no answer read as DEAD")
def cancel_timeout_read_as_cancelled() -> Changes:
    return ((exchange, "judge_cancel", _cancel_read_as_dead(lambda a: a.status is None)),)


@bug("outcomes.judge_cancel: `if named == refused: UNKNOWN`, an empty or contradictory 200 read as DEAD")
def cancel_contradiction_read_as_cancelled() -> Changes:
    return ((exchange, "judge_cancel", _cancel_read_as_dead(lambda a: a.status == 200)),)


def _cancel_read_as_dead(when: Callable[[CancelAnswer], bool]) -> Callable[..., CancelVerdict]:
    honest = outcomes.judge_cancel

    def judge(order_id: str, answer: CancelAnswer) -> CancelVerdict:
        return CancelVerdict.DEAD if when(answer) else honest(order_id, answer)

    return judge


@bug("sequencer._post_first: `_last_checks` stands before an await, not directly before the send", "killer")
def kill_check_before_an_await() -> Changes:
    honest = Sequencer._send

    async def send(self: Sequencer, *args: Any) -> Any:
        await self._t.clock.sleep(0.02)
        return await honest(self, *args)

    return ((Sequencer, "_send", send),)


@bug("sequencer._last_checks: `if t.kill.latched or kill is not OFF` left out", "killer")
def kill_switch_not_read_before_the_send() -> Changes:
    honest = Sequencer._last_checks

    def checks(self: Sequencer, intent: Intent, planned: Any, kill: Kill, *rest: Any) -> str:
        latched, self._t.kill.latched = self._t.kill.latched, False
        try:
            return honest(self, intent, planned, Kill.OFF, *rest)
        finally:
            self._t.kill.latched = latched

    return ((Sequencer, "_last_checks", checks),)


@bug("sequencer._send: the second attempt sends the same bytes; here it signs anew")
def signed_anew_on_retry() -> Changes:
    honest = Sequencer._send

    async def send(self: Sequencer, intent: Intent, planned: Any, signed: Any, *rest: Any) -> Any:
        verdict, _ = await self._t.exchange.post(signed, attempted_before=False)
        if verdict is PostVerdict.UNKNOWN:
            asked = unsigned_chase(intent, planned.price_micro, planned.size_micro, planned.neg_risk)
            again = await self._t.exchange.sign(asked)
            signed = signed if isinstance(again, str) else again
        return await honest(self, intent, planned, signed, *rest)

    return ((Sequencer, "_send", send),)


@bug("steplog.durable: `await commit`; here nobody waits, so the post goes out before its record")
def recorded_after_the_send() -> Changes:
    async def durable(self: StepLog, *_: Any) -> None:
        return None

    return ((StepLog, "durable", durable),)


@bug("carrier._carry: the intent's lock is held for the whole sequence; here not across its awaits")
def lock_released_across_the_await() -> Changes:
    honest = Carrier._act

    async def act(self: Carrier, fill: Any, intent: Intent, *args: Any) -> Any:
        intent.lock.release()
        try:
            return await honest(self, fill, intent, *args)
        finally:
            await intent.lock.acquire()

    return ((Carrier, "_act", act),)


@bug("chase.cap_price: `max_ticks`, one more")
def cap_off_by_one_tick() -> Changes:
    honest = chase.cap_price

    def cap(side: Any, root: int, tick: int, most: int, limit: int | None) -> int:
        return honest(side, root, tick, most + 1, limit)

    return ((remainder, "cap_price", cap),)


@bug("plan.plan_on: `lots_down`; here up to the next lot")
def size_rounded_up() -> Changes:
    honest = plan.plan_on

    def plan_on(*args: Any) -> Any:
        planned = honest(*args)
        if isinstance(planned, str):
            return planned
        return plan.Plan(
            planned.price_micro, planned.size_micro + 10_000, planned.cap_micro, planned.neg_risk
        )

    return (_in_sequencer("plan_on", plan_on),)


@bug("chase.Bounds.rest: `taken = child.filled_micro + ...`; here what filled is not subtracted")
def filled_not_subtracted() -> Changes:
    def rest(self: chase.Bounds, children: Any) -> tuple[int, int]:
        taken = [child for child in children if child.may_fill]
        size = self.size_micro - sum(child.open_micro for child in taken)
        return max(size, 0), max(self.cost_pico // 1_000_000, 0)

    return (
        (chase.Bounds, "rest", rest),
        _in_sequencer("chain_fault", lambda *_: None),
        (Inquiry, "read_trades", _no_trades),
    )


async def _no_trades(self: Inquiry, *_: Any) -> None:
    return None


@bug("coordinator.on_partial_fill: `self._seen.find(key)`, never finding anything")
def duplicate_key_dropped() -> Changes:
    return ((SeenEvents, "find", lambda self, key: None),)


@bug("coordinator.on_partial_fill: the key is opened before the signature has passed")
def seen_before_signature() -> Changes:
    honest = Coordinator.on_partial_fill

    async def on_partial_fill(self: Coordinator, envelope: Any) -> Any:
        report = await honest(self, envelope)
        key = (json.loads(envelope.body)["order_id"], envelope.event_ts_ms)
        if self._seen.find(key) is None:
            self._seen.open(key).give(report, report.to_json())
        return report

    return ((Coordinator, "on_partial_fill", on_partial_fill),)


@bug("intake.read_fill: `check_signature` left out")
def signature_not_checked() -> Changes:
    return ((intake, "check_signature", lambda envelope, keys: None),)


@bug("outcomes.judge_post: UNKNOWN read as REFUSED, so that the budget is free again")
def unknown_post_releases_its_budget() -> Changes:
    honest = outcomes.judge_post

    def judge(*args: Any, **kwargs: Any) -> PostVerdict:
        verdict = honest(*args, **kwargs)
        return PostVerdict.REFUSED if verdict is PostVerdict.UNKNOWN else verdict

    return ((exchange, "judge_post", judge),)


@bug("assembly._obstacle: `if not recovery.done` left out", "dies")
def recovery_posts_before_asking() -> Changes:
    return ((assembly, "_obstacle", lambda recovery, outbox: ""),)


@bug("recovery._take_log: what the log says was under way is not folded", "dies")
def log_not_folded() -> Changes:
    async def nothing(journal: Any) -> fold.Folded:
        return fold.Folded()

    return ((recovery, "fold", nothing),)


@bug("kill.state: `Kill.ON if self.latched`; here the latch opens when the host's switch is off", "killer")
def kill_latch_not_sticky() -> Changes:
    async def state(self: KillLatch) -> Kill:
        asked = await self._asked()
        if asked is Kill.OFF:
            self.latched = False
        return Kill.ON if self.latched else asked

    return ((KillLatch, "state", state),)


@bug("fold.Chronicle.kill_switch: the latch is not written down", "killer", "dies")
def kill_latch_not_durable() -> Changes:
    return ((Chronicle, "kill_switch", lambda self, active, reason, actor: None),)


@bug("killing._sweep: what is at rest is not cancelled", "killer")
def kill_sweep_forgets_what_rests() -> Changes:
    async def cancel_batch(self: Killer, batch: Any, signal: Any) -> list[Any]:
        for intent in batch:
            intent.lock.release()
        return []

    return ((Killer, "_cancel_batch", cancel_batch),)


@bug("exchange.cancel: one request; here a second one before the first is answered")
def two_cancels_in_flight() -> Changes:
    honest = exchange.Exchange.cancel

    async def cancel(self: exchange.Exchange, order_ids: tuple[str, ...]) -> Any:
        first, _ = await asyncio.gather(honest(self, order_ids), honest(self, order_ids))
        return first

    return ((exchange.Exchange, "cancel", cancel),)


@bug("sequencer.settle_cancel: `found = await self.ask(...)` left out after doubt")
def cancel_retried_without_reading() -> Changes:
    honest = Sequencer.settle_cancel

    async def settle(
        self: Sequencer, intent: Intent, verdict: CancelVerdict, span: Any, *, ours: bool = False
    ) -> Any:
        if verdict is not CancelVerdict.UNKNOWN:
            return await honest(self, intent, verdict, span, ours=ours)
        intent.step(Step.CANCEL_DOUBTFUL)
        return None

    return ((Sequencer, "settle_cancel", settle),)


@bug("sequencer.settle_cancel: `ours`; here whatever is gone counts as cancelled by this bot", "meddling")
def closed_order_chased() -> Changes:
    honest = Sequencer.settle_cancel

    async def settle(
        self: Sequencer, intent: Intent, verdict: CancelVerdict, span: Any, *, ours: bool = False
    ) -> Any:
        return await honest(self, intent, verdict, span, ours=True)

    return ((Sequencer, "settle_cancel", settle),)


@bug("reporter.finish: `final=False` of an interim report")
def interim_counted_as_final() -> Changes:
    honest = Reporter.finish

    async def finish(self: Reporter, *args: Any, **kwargs: Any) -> Any:
        return await honest(self, *args, **(kwargs | {"final": True}))

    return ((Reporter, "finish", finish),)


@bug("intents.take_record: the recorded size does not draw the intent's bounds in")
def bounds_as_wide_as_an_event_says() -> Changes:
    def take(intent: Intent, order: intents.ChainOrder, record: Any) -> None:
        order.filled_micro = max(order.filled_micro, record.matched_micro or 0)

    return tuple((owner, "take_record", take) for owner in _takers())


@bug(
    "plan.plan_on: price and cap of the decision, not of the book that was read after the cancel", "restless"
)
def tick_of_the_old_grid() -> Changes:
    honest = plan.plan_on

    def plan_on(intent: Intent, instruction: Any, *args: Any) -> Any:
        planned = honest(intent, instruction, *args)
        if isinstance(planned, str):
            return planned
        price = int(instruction.price * 1_000_000)
        size = planned.size_micro * min(planned.price_micro, price) // price // 10_000 * 10_000
        return plan.Plan(price, size, planned.cap_micro, planned.neg_risk)

    return (_in_sequencer("plan_on", plan_on), _in_sequencer("within_cap", lambda *_: True))


@bug("coordinator.on_partial_fill: `except asyncio.CancelledError: ... raise`; here it answers")
def cancellation_swallowed() -> Changes:
    honest = Coordinator.on_partial_fill

    async def on_partial_fill(self: Coordinator, envelope: Any) -> Any:
        try:
            return await honest(self, envelope)
        except asyncio.CancelledError as e:
            fill = intake.read_fill(envelope, self._event_keys)
            return await self._reporter.hold_unhandled(fill, e, INVALID_SPAN)  # type: ignore[arg-type]

    return ((Coordinator, "on_partial_fill", on_partial_fill),)


@bug("carrier.ask_until_known: what is in doubt is not asked for again")
def doubt_is_left_alone() -> Changes:
    return ((Carrier, "ask_until_known", lambda self, intent: None),)


@bug("coordinator._landed: `in_flight -= 1` only when no sequence was begun")
def room_is_never_given_back() -> Changes:
    honest = Coordinator._begin

    async def begin(self: Coordinator, *args: Any) -> Any:
        self.in_flight += 1
        return await honest(self, *args)

    return ((Coordinator, "_begin", begin),)


@bug("assembly.start: answers of the last day are not recalled", "dies")
def answers_are_not_recalled() -> Changes:
    async def nothing(*_: Any) -> list[Any]:
        return []

    return ((assembly, "recall", nothing),)


@bug("lanes.Lane.first: the oldest report of a trace; here the newest")
def newest_report_first() -> Changes:
    return ((Lane, "first", property(lambda self: self.items[-1])),)


@bug("segment.write: which reports the bus has is written with the rest; here it is left out")
def delivered_is_not_written() -> Changes:
    honest = Segment.write

    def write(self: Segment, rows: Any, keys: Any, delivered: Any) -> None:
        honest(self, rows, keys, ())

    return ((Segment, "write", write),)


@bug("batch._row: a row's hash covers its payload; here that of every seventh is left out")
def payload_of_some_is_not_covered() -> Changes:
    honest = batch.link

    def link(previous: bytes, seq: int, body: bytes, payload: bytes) -> bytes:
        return honest(previous, seq, body, b"" if seq % 7 == 0 else payload)

    return ((batch, "link", link),)


@bug("coordinator._left_s: what an event has taken so far counts; here it is given the whole time again")
def time_is_given_twice() -> Changes:
    return ((Coordinator, "_left_s", lambda self, work: self._timeout_s),)


@bug("market.crossed_fault: a book whose best bid is not below its best ask; here it is as good as any")
def crossed_book_is_trusted() -> Changes:
    return tuple((module, "crossed_fault", lambda bid, ask: None) for module in (market, books))


@bug("outcomes.judge_record: a 404 read as CLOSED")
def missing_record_read_as_dead() -> Changes:
    honest = outcomes.judge_record

    def judge(record: Any) -> RecordVerdict:
        verdict = honest(record)
        return RecordVerdict.CLOSED if verdict is RecordVerdict.ABSENT else verdict

    return ((exchange, "judge_record", judge),)


@bug("carrier._unwanted: a remainder found alive after the kill switch is kept", "killer")
def found_alive_and_kept() -> Changes:
    return ((Carrier, "_unwanted", lambda self, intent: False),)


@bug(
    "decider._take_fill: `if intent.state is not RESTING` left out, so that a closed one is decided on",
    "meddling",
    "racing",
)
def closed_intent_decided_on() -> Changes:
    honest = Decider._take_fill

    def take(self: Decider, work: Any, intent: Intent) -> Any:
        ending = honest(self, work, intent)
        closed = intent.state in {State.CLOSED, State.CANCEL_UNKNOWN}
        return None if closed and intent.working.order_id == work.fill.order_id else ending

    return ((Decider, "_take_fill", take),)


@bug("coordinator: a shed event asks again (`work.draft`), and what fails then forgets its interim report")
def shed_event_asks_again() -> Changes:
    honest = Reporter.hold_unhandled

    async def drawn(self: Coordinator, work: Any) -> Intent:
        return await intake.new_intent(work.fill, self._orders, self._timeout_s)

    async def hold_unhandled(self: Reporter, fill: Any, error: Any, span: Any, *_: Any) -> Any:
        return await honest(self, fill, error, span)

    return (Coordinator, "_drawn", drawn), (Reporter, "hold_unhandled", hold_unhandled)


@bug(
    "kill.reset: `self.signals != signals`, so that a reset undoes a kill that came after it was asked for",
    "killer",
)
def reset_undoes_a_later_kill() -> Changes:
    honest = KillLatch.reset

    async def reset(self: KillLatch, signals: int) -> bool:
        return await honest(self, self.signals)

    return ((KillLatch, "reset", reset),)


@bug("decider._read_truth: `intent.step(FOUND_CLOSED)` for an old event of an order that has ended")
def dead_order_is_believed_to_rest() -> Changes:
    honest = Decider._read_truth

    async def read(self: Decider, work: Any, intent: Intent) -> Any:
        state, may_fill = intent.state, intent.working.may_fill
        ending = await honest(self, work, intent)
        intent.state, intent.working.may_fill = state, may_fill
        return ending

    return ((Decider, "_read_truth", read),)


def _in_sequencer(name: str, value: Any) -> tuple[Any, str, Any]:
    return sequencer, name, value


def _takers() -> list[Any]:
    return [intents, inquiry, recovery, decider]
