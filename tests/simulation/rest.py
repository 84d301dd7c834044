"""What must be true once the faults have ended and nothing happens any more."""

from __future__ import annotations

import asyncio
from base64 import b64encode, urlsafe_b64encode
from collections import Counter
from typing import TYPE_CHECKING, Any

from polytraders_hookspecs.errors import WireError
from polytraders_hookspecs.reports import ExecutionReport
from support.fake_host import KEY

from polytraders_pfh.core.lifecycle import State
from polytraders_pfh.engine.journal import Kind
from polytraders_pfh.engine.journal.records import encode
from polytraders_pfh.engine.reporting import report_id

if TYPE_CHECKING:
    from simulation.process import Process
    from simulation.stage import Stage
    from simulation.truth import Order

_HIDES_RECORDS = (
    "record is lost",
    "record 5xx",
    "record is garbage",
    "record hangs",
    "record is missing",
    "records are out for a while",
    "slow answers",
)
_KEY_FORMS = (KEY, KEY.hex().encode(), b64encode(KEY), urlsafe_b64encode(KEY), repr(KEY)[2:-1].encode())
_EVENT_STEPS = ("first", "final", "unhandled")


async def judge_rest(stage: Stage, process: Process) -> None:
    """Judge the end of a schedule, stop the bot, and judge that too."""
    _tasks(stage)
    _intents(stage, process)
    _baseline(stage, process)
    _guard(stage, process)
    _after_kill(stage, process)
    reports = _published(stage)
    _events(stage, process, reports)
    _supersession(stage, reports)
    _log(stage, process)
    _secrets(stage)
    if stage.unhandled:
        stage.oracle.breaks("I14", f"nobody handled {stage.unhandled[0].get('exception')!r}")
    await _stop(stage, process)


def _tasks(stage: Stage) -> None:
    dead, lives = stage.loop.dead, stage.loop.lives
    for task in [*stage.feed.under_way, *stage.commands]:
        if not task.done():
            if lives[task] not in dead:
                stage.oracle.breaks("I14", f"a call never ended: {where(task)}")
        elif not task.cancelled() and task.exception() is not None:
            stage.oracle.breaks("I6", f"a hook raised {task.exception()!r}")


def where(task: asyncio.Task[Any]) -> str:
    """Return where a task stands."""
    frames = task.get_stack()
    return " ".join(f"{frame.f_code.co_name}:{frame.f_lineno}" for frame in frames)


def _intents(stage: Stage, process: Process) -> None:
    oracle, orders = stage.oracle, stage.world.orders
    known: set[str] = set()
    for intent in process.engine.tools.intents:
        name = stage.world.orders[intent.root_order_id].name
        known |= {order.order_id for order in intent.orders}
        if intent.lock.locked():
            oracle.breaks("I14", f"the lock of {name} is held at rest")
        if intent.state not in {State.RESTING, State.CLOSED}:
            oracle.breaks("I14", f"{name} is {intent.state.value} at rest; stopped: {intent.stopped!r}")
        working = orders.get(intent.working.order_id)
        if intent.state is State.RESTING and _should_be_known_dead(stage, working, process):
            oracle.breaks("I14", f"{name} is believed to rest, and is dead")
        if intent.state is State.CLOSED:
            for order in intent.orders:
                real = orders.get(order.order_id)
                if real is not None and real.open:
                    oracle.breaks("I3", f"{name} is closed, and {real.name} lives; {intent.stopped!r}")
    _unknown_chases(stage, known)


def _should_be_known_dead(stage: Stage, order: Order | None, process: Process) -> bool:
    """Return whether a life was told of an order's end, or could at least read that when it first met it."""
    if order is None:
        return True
    unreadable = any(stage.faults.struck[label] for label in _HIDES_RECORDS)
    return not order.open and (order.told_to_life == process.life or not unreadable)


def _unknown_chases(stage: Stage, known: set[str]) -> None:
    """No chase lives that the bot does not know, unless its log was in memory, or another bot posted it."""
    remembered = stage.setup.disk is not None or not stage.crashed
    for order in stage.world.orders.values():
        chased = order.order_id != order.wish.root_id
        unknown = order.open and chased and order.order_id not in known
        if unknown and remembered and not stage.setup.neighbour:
            words = f"the chase {order.name} lives, and the bot does not know it"
            stage.oracle.breaks("I3", words)


def _baseline(stage: Stage, process: Process) -> None:
    engine = process.engine
    counts = {
        "events in flight": engine.coordinator.in_flight,
        "tasks": len(engine.carrier._tasks),
        "shed events": len(engine.coordinator._shed),
        "ordered chases": len(engine.carrier._ordered),
        "intents being asked for": len(engine.carrier._asking),
        "reports on their way": len(engine.outbox),
    }
    if process.journal.failed:
        del counts["reports on their way"]
    for what, count in counts.items():
        if count:
            stage.oracle.breaks("I13", f"{count} {what} at rest")


def _guard(stage: Stage, process: Process) -> None:
    trips = process.trips()
    if trips and not stage.setup.neighbour:
        why = [intent.stopped for intent in process.engine.tools.intents if intent.stopped]
        stage.oracle.breaks("guard", f"{trips} times: {' '.join(why)}")


def _after_kill(stage: Stage, process: Process) -> None:
    if not stage.oracle.killed:
        return
    for order in stage.world.live():
        intent = process.engine.tools.intents.get(order.order_id)
        if intent is not None:
            stage.oracle.breaks("I8", f"{order.name} lives on after the kill switch: {intent.state.value}")


def _remembers(stage: Stage) -> bool:
    """Return whether what was answered before a crash is known after it."""
    durable = stage.setup.disk is not None and not stage.faults.struck["disk fails"]
    return durable or not stage.crashed


def _published(stage: Stage) -> list[tuple[str, ExecutionReport]]:
    """Return what reached the bus, each message once; the same id never carries two reports."""
    first: dict[str, bytes] = {}
    remembers = _remembers(stage) and not stage.faults.struck["disk fails"]
    for message_id, payload in stage.setup.bus.got:
        if first.setdefault(message_id, payload) != payload and remembers:
            stage.oracle.breaks("I6", f"report {message_id} was published with two contents")
    if not stage.crashed and len(first) < len(stage.setup.bus.got):
        struck = stage.faults.struck
        if not (struck["bus loses its acknowledgement"] or struck["bus hangs"] or struck["disk fails"]):
            stage.oracle.breaks("I6", "a report was published twice, and the bus had acknowledged it")
    reports = []
    for message_id, payload in first.items():
        try:
            reports.append((message_id, ExecutionReport.from_json(payload)))
        except WireError as e:
            stage.oracle.breaks("I6", f"report {message_id} cannot be read: {e}")
    for _, report in reports:
        stage.verdicts[report.verdict] += 1
        parts = (report.original_size_usd, report.filled_usd, report.remaining_usd)
        if None not in parts and parts[0] != parts[1] + parts[2]:  # type: ignore[operator]
            stage.oracle.breaks("I2", f"report {report.report_id} does not add up")
    return reports


def _events(stage: Stage, process: Process, reports: list[tuple[str, ExecutionReport]]) -> None:
    finals: Counter[tuple[str, int]] = Counter()
    for _, report in reports:
        key = (report.order_id or "", report.event_ts_ms or 0)
        own = {report_id(*key, step) for step in _EVENT_STEPS}
        if report.final and key in stage.feed.keys and report.report_id in own:
            finals[key] += 1
    for key, (life, answer) in stage.oracle.answers.items():
        name = stage.world.orders[key[0]].name
        count = finals[key]
        if not _remembers(stage):
            continue
        if count > 1 or (count < 1 and life == process.life):
            words = f"{count} final reports for the event {key[1] - stage.start_ms} of {name}"
            stage.oracle.breaks("I6", f"{words}, answered with {answer.verdict}")


def _supersession(stage: Stage, reports: list[tuple[str, ExecutionReport]]) -> None:
    named = Counter(report.supersedes for _, report in reports if report.supersedes)
    for message_id, report in reports:
        times = named[message_id]
        lost = times < 1 and not stage.crashed
        if not report.final and _remembers(stage) and (times > 1 or lost):
            stage.oracle.breaks("I6", f"the interim {report.verdict} is superseded {times} times")


def _log(stage: Stage, process: Process) -> None:
    """What is durable was published, in the order of the log for each trace."""
    disk = stage.setup.disk
    if disk is None or stage.faults.struck["disk fails"]:
        return
    place = {}
    for message_id, _ in stage.setup.bus.got:
        place.setdefault(message_id, len(place))
    last: dict[str, int] = {}
    for record in disk.records:
        if record.kind is not Kind.REPORTED:
            continue
        at = place.get(record.message_id)
        if at is None:
            stage.oracle.breaks("I6", f"report {record.message_id} is on record and was never published")
            continue
        if at < last.get(record.partition_key, -1):
            stage.oracle.breaks("I7", f"report {record.message_id} was published before an earlier one")
        last[record.partition_key] = at


def _secrets(stage: Stage) -> None:
    """The key that events are signed with stands in nothing that was published or written."""
    disk = stage.setup.disk
    written = [] if disk is None else [encode(record) + record.payload for record in disk.records]
    for text in [*written, *[payload for _, payload in stage.setup.bus.got]]:
        if any(form in text for form in _KEY_FORMS):
            stage.oracle.breaks("I17", f"the event key stands in {text[:200]!r}")


async def _stop(stage: Stage, process: Process) -> None:
    task = process.run(_done(process.bot.on_host_stop()))
    await asyncio.wait({task}, timeout=60)
    if not task.done():
        stage.oracle.breaks("I14", f"the bot does not stop: {where(task)}")
        return
    for left in stage.loop.left(process.life):
        stage.oracle.breaks("I13", f"a task is left after the stop: {where(left)}")


async def _done(work: Any) -> Any:
    return await work
