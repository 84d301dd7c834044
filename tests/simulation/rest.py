"""What must be true once the faults have ended and nothing happens any more."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from polytraders_hookspecs.reports import ExecutionReport

from polytraders_pfh.core.lifecycle import State
from polytraders_pfh.engine.journal import Kind
from polytraders_pfh.engine.reporting import report_id

if TYPE_CHECKING:
    from simulation.drive import Schedule
    from simulation.process import Process
    from simulation.truth import Order

_HIDES_RECORDS = (
    "record is lost",
    "record 5xx",
    "record is garbage",
    "record hangs",
    "record is missing",
    "slow answers",
)
_EVENT_STEPS = ("first", "final", "unhandled")


async def judge_rest(schedule: Schedule, process: Process) -> None:
    """Judge the end of a schedule, stop the bot, and judge that too."""
    _tasks(schedule)
    _intents(schedule, process)
    _baseline(schedule, process)
    _guard(schedule, process)
    _after_kill(schedule, process)
    reports = _published(schedule)
    _events(schedule, process, reports)
    _supersession(schedule, reports)
    _log(schedule, process)
    if schedule.unhandled:
        schedule.oracle.breaks("I14", f"nobody handled {schedule.unhandled[0].get('exception')!r}")
    await _stop(schedule, process)


def _tasks(schedule: Schedule) -> None:
    dead, lives = schedule.loop.dead, schedule.loop.tasks
    for task in [*schedule.feed.under_way, *schedule.commands]:
        if not task.done():
            if lives[task] not in dead:
                schedule.oracle.breaks("I14", f"a call never ended: {_where(task)}")
        elif not task.cancelled() and task.exception() is not None:
            schedule.oracle.breaks("I6", f"a hook raised {task.exception()!r}")


def _where(task: asyncio.Task[Any]) -> str:
    frames = task.get_stack()
    return " ".join(f"{frame.f_code.co_name}:{frame.f_lineno}" for frame in frames)


def _intents(schedule: Schedule, process: Process) -> None:
    oracle, orders = schedule.oracle, schedule.world.orders
    known: set[str] = set()
    for intent in process.engine.tools.intents:
        name = schedule.world.orders[intent.root_order_id].name
        known |= {order.order_id for order in intent.orders}
        if intent.lock.locked():
            oracle.breaks("I14", f"the lock of {name} is held at rest")
        if intent.state not in {State.RESTING, State.CLOSED}:
            oracle.breaks("I14", f"{name} is {intent.state.value} at rest; stopped: {intent.stopped!r}")
        working = orders.get(intent.working.order_id)
        if intent.state is State.RESTING and _should_be_known_dead(schedule, working, process):
            oracle.breaks("I14", f"{name} is believed to rest, and is dead")
        if intent.state is State.CLOSED:
            for order in intent.orders:
                real = orders.get(order.order_id)
                if real is not None and real.open:
                    oracle.breaks("I3", f"{name} is closed, and {real.name} lives; {intent.stopped!r}")
    _unknown_chases(schedule, known)


def _should_be_known_dead(schedule: Schedule, order: Order | None, process: Process) -> bool:
    """Return whether a life was told of an order's end, or could at least read that when it first met it."""
    if order is None:
        return True
    unreadable = any(schedule.faults.struck[label] for label in _HIDES_RECORDS)
    return not order.open and (order.told_to_life == process.life or not unreadable)


def _unknown_chases(schedule: Schedule, known: set[str]) -> None:
    """No chase lives that the bot does not know, unless its log was in memory, or another bot posted it."""
    remembered = schedule.setup.disk is not None or not schedule.crashed
    for order in schedule.world.orders.values():
        chased = order.order_id != order.wish.root_id
        unknown = order.open and chased and order.order_id not in known
        if unknown and remembered and not schedule.setup.neighbour:
            words = f"the chase {order.name} lives, and the bot does not know it"
            schedule.oracle.breaks("I3", words)


def _baseline(schedule: Schedule, process: Process) -> None:
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
            schedule.oracle.breaks("I13", f"{count} {what} at rest")


def _guard(schedule: Schedule, process: Process) -> None:
    trips = process.engine.tools.metrics.invariant_trips._value.get()
    if trips and not schedule.setup.neighbour:
        why = [intent.stopped for intent in process.engine.tools.intents if intent.stopped]
        schedule.oracle.breaks("guard", f"{trips:.0f} times: {' '.join(why)}")


def _after_kill(schedule: Schedule, process: Process) -> None:
    if not schedule.oracle.killed:
        return
    for order in schedule.world.live():
        intent = process.engine.tools.intents.get(order.order_id)
        if intent is not None:
            schedule.oracle.breaks("I8", f"{order.name} lives on after the kill switch: {intent.state.value}")


def _remembers(schedule: Schedule) -> bool:
    """Return whether what was answered before a crash is known after it."""
    durable = schedule.setup.disk is not None and not schedule.faults.struck["disk fails"]
    return durable or not schedule.crashed


def _published(schedule: Schedule) -> list[tuple[str, ExecutionReport]]:
    """Return what reached the bus, each message once; the same id never carries two reports."""
    first: dict[str, bytes] = {}
    remembers = _remembers(schedule) and not schedule.faults.struck["disk fails"]
    for message_id, payload in schedule.setup.bus.got:
        if first.setdefault(message_id, payload) != payload and remembers:
            schedule.oracle.breaks("I6", f"report {message_id} was published with two contents")
    if not schedule.crashed and len(first) < len(schedule.setup.bus.got):
        struck = schedule.faults.struck
        if not (struck["bus loses its acknowledgement"] or struck["bus hangs"] or struck["disk fails"]):
            schedule.oracle.breaks("I6", "a report was published twice, and the bus had acknowledged it")
    reports = [(message_id, ExecutionReport.from_json(payload)) for message_id, payload in first.items()]
    for _, report in reports:
        schedule.verdicts[report.verdict] += 1
        parts = (report.original_size_usd, report.filled_usd, report.remaining_usd)
        if None not in parts and parts[0] != parts[1] + parts[2]:  # type: ignore[operator]
            schedule.oracle.breaks("I2", f"report {report.report_id} does not add up")
    return reports


def _events(schedule: Schedule, process: Process, reports: list[tuple[str, ExecutionReport]]) -> None:
    finals: Counter[tuple[str, int]] = Counter()
    for _, report in reports:
        key = (report.order_id or "", report.event_ts_ms or 0)
        own = {report_id(*key, step) for step in _EVENT_STEPS}
        if report.final and key in schedule.feed.keys and report.report_id in own:
            finals[key] += 1
    for key, (life, answer) in schedule.oracle.answers.items():
        name = schedule.world.orders[key[0]].name
        count = finals[key]
        if not _remembers(schedule):
            continue
        if count > 1 or (count < 1 and life == process.life):
            words = f"{count} final reports for the event {key[1] - schedule.start_ms} of {name}"
            schedule.oracle.breaks("I6", f"{words}, answered with {answer.verdict}")


def _supersession(schedule: Schedule, reports: list[tuple[str, ExecutionReport]]) -> None:
    named = Counter(report.supersedes for _, report in reports if report.supersedes)
    for message_id, report in reports:
        times = named[message_id]
        lost = times < 1 and not schedule.crashed
        if not report.final and _remembers(schedule) and (times > 1 or lost):
            schedule.oracle.breaks("I6", f"the interim {report.verdict} is superseded {times} times")


def _log(schedule: Schedule, process: Process) -> None:
    """What is durable was published, in the order of the log for each trace."""
    disk = schedule.setup.disk
    if disk is None or schedule.faults.struck["disk fails"]:
        return
    place = {}
    for message_id, _ in schedule.setup.bus.got:
        place.setdefault(message_id, len(place))
    last: dict[str, int] = {}
    for record in disk.records:
        if record.kind is not Kind.REPORTED:
            continue
        at = place.get(record.message_id)
        if at is None:
            schedule.oracle.breaks("I6", f"report {record.message_id} is on record and was never published")
            continue
        if at < last.get(record.partition_key, -1):
            schedule.oracle.breaks("I7", f"report {record.message_id} was published before an earlier one")
        last[record.partition_key] = at


async def _stop(schedule: Schedule, process: Process) -> None:
    task = process.run(_done(process.bot.on_host_stop()))
    await asyncio.wait({task}, timeout=60)
    if not task.done():
        schedule.oracle.breaks("I14", f"the bot does not stop: {_where(task)}")
        return
    for left in schedule.loop.left(process.life):
        schedule.oracle.breaks("I13", f"a task is left after the stop: {_where(left)}")


async def _done(work: Any) -> Any:
    return await work
