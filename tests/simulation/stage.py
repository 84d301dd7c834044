"""A stage: one world, its host, the host's lives, and how a run of it begins, ends and is judged.

What happens on it is decided by who plays there: a seed (`drive`), or a script (`scenarios`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from polytraders_hookspecs import KillSwitchSignal
from polytraders_hookspecs.reports import CommandResult

from polytraders_pfh.core.basis import Basis
from polytraders_pfh.core.lifecycle import IllegalStep, Step
from polytraders_pfh.core.market import BookView
from polytraders_pfh.core.policy import Action, Decision
from polytraders_pfh.engine import decider
from polytraders_pfh.engine.intents import Intent
from polytraders_pfh.engine.journal import JournalFailed, Kind
from simulation.disk import DiskJournal
from simulation.faults import Faults
from simulation.feed import Feed
from simulation.loop import NOW_MS, Endless, Halted, Loop, VirtualClock
from simulation.oracle import Oracle
from simulation.process import BOT, Process, Setup
from simulation.rest import judge_rest, where
from simulation.story import Broken, Story
from simulation.truth import Order, Wish
from simulation.world import World


@dataclass(frozen=True)
class Outcome:
    """What came of one schedule."""

    seed: int
    broken: list[Broken]
    digest: str
    lines: list[str]
    struck: Counter[str]
    verdicts: Counter[str]
    steps: Counter[str]
    events: Counter[str]
    ticks: int


class Stage:
    """One world, and what befalls the host in it."""

    setup: Setup

    def __init__(self, seed: int, rng: Random, loop: Loop, faults: Faults) -> None:
        self.seed = seed
        self.start_ms = NOW_MS
        self.rng = rng
        self.loop = loop
        self.clock = VirtualClock(self.loop)
        self.faults = faults
        self.story = Story(self.loop.time)
        self.world = World(seed, rng, self.loop, self.clock, self.faults, self.story)
        self.oracle = self.world.watcher = Oracle(self.world)
        self.feed = Feed(self)
        self.verdicts: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.unhandled: list[dict[str, Any]] = []
        self.lives = 0
        self.kills = 0
        self.process: Process | None = None
        self.patience_s = 60.0
        self.crashed = False
        self.kill_is_noted = False
        self.kill_is_durable = False
        self.left_by_crash = ""
        self.commands: list[asyncio.Task[Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.unhandled.append(context))
        self.loop.after_step = self.oracle.after_step
        self.world.on_fill, self.world.on_end = self.feed.filled, self.feed.ended
        self.world.bot_is_killed = self._killed

    async def play(self) -> None:
        """Let happen what happens here."""
        raise NotImplementedError

    def at_step(self, taken: Step) -> None:
        """A remainder has taken a step."""

    def declare(self) -> None:
        """Tell this process the decisions that it does not know yet."""

    def run(self) -> Outcome:
        """Let it happen."""
        asyncio.set_event_loop(self.loop)
        with _watched(self):
            try:
                self.loop.run_until_complete(self.play())
            except Halted:
                pass
            except Endless as e:
                self.oracle.breaks("I14", str(e))
            outcome = self._outcome()
            self.loop.bury()
        asyncio.set_event_loop(None)
        return outcome

    def _outcome(self) -> Outcome:
        return Outcome(
            self.seed,
            list(self.oracle.broken),
            self.story.digest(),
            self.story.lines(),
            self.faults.struck,
            self.verdicts,
            self.steps,
            self.events,
            self.loop.ticks,
        )

    async def come_to_rest(self) -> None:
        """End every fault, wait for everything that is under way, and judge what is left."""
        self.faults.end()
        self.loop.calm_down()
        self.feed.prompt = True
        self.story.tell("every fault ends here")
        await self.alive()
        for _ in range(200):
            await asyncio.sleep(1)
            if all(task.done() for task in self.feed.under_way):
                break
        await asyncio.sleep(140)
        await self.judge(await self.alive())

    async def judge(self, process: Process) -> None:
        """Judge a world at rest."""
        await judge_rest(self, process)

    # ---- the host's lives

    def new_process(self) -> Process:
        """Return the next life of the host."""
        return Process(self.lives, self.setup)

    def boot(self) -> None:
        """Start the host."""
        self.lives += 1
        self.process = self.oracle.process = self.new_process()
        self.story.tell("the host starts, life {}", self.lives)
        self.events["start" if self.lives == 1 else "restart"] += 1
        self.process.starting = self.process.run(_done(self.process.bot.on_host_start))
        self.process.starting.add_done_callback(partial(self._started, self.process))
        self.commands.append(self.process.starting)
        self.declare()

    def _started(self, process: Process, _: asyncio.Task[Any]) -> None:
        remembers = self.kill_is_durable and self.oracle.killed
        if process is self.process and remembers and not process.engine.tools.kill.latched:
            self.oracle.breaks("I8", "the kill switch is forgotten after a restart")

    def crash(self) -> None:
        """Let the process die where it stands."""
        process = self.process
        if process is None:
            return
        self.story.tell("the host dies")
        self.process = None
        self.loop.call_soon(process.died.set_result, None, context=self.loop.outside)
        self._bury(process)

    def _bury(self, process: Process) -> None:
        """Nothing of this process runs any more; another is started."""
        self.crashed = True
        self.loop.dead.add(process.life)
        durable = self.oracle.killed and self.kill_is_noted
        if isinstance(process.journal, DiskJournal):
            durable = durable and process.journal.idle
            process.journal.crash()
        self.kill_is_durable = durable
        self.left_by_crash = self._as_left()
        self.oracle.crashed(kill_is_durable=durable or self._kill_is_durable())
        self.loop.later(self.rng.random() * self.rng.choice((0.05, 1, 4)), self.boot)

    def shut_down(self) -> None:
        """Let the loop of the process end under it: everything is cancelled, and then it is gone."""
        process = self.process
        if process is None:
            return
        self.story.tell("the host is shut down: everything in it is cancelled")
        self.process = None
        process.died.set_result(None)
        for task in self.loop.left(process.life):
            task.cancel()
        self.loop.begin(self._wind_up(process))

    def stop(self) -> None:
        """Stop the host as it should be stopped, and start it again."""
        process = self.process
        if process is None:
            return
        self.story.tell("the host stops")
        self.process = None
        process.died.set_result(None)
        stopping = process.run(_done(process.bot.on_host_stop))
        self.loop.begin(self._after_stop(process, stopping))

    async def _after_stop(self, process: Process, stopping: asyncio.Task[Any]) -> None:
        await asyncio.wait({stopping}, timeout=60)
        if not stopping.done():
            self.oracle.breaks("I14", f"the bot does not stop: {where(stopping)}")
        self._bury(process)

    async def _wind_up(self, process: Process) -> None:
        left = self.loop.left(process.life)
        if left:
            await asyncio.wait(left, timeout=60)
        if pending := [task for task in left if not task.done()]:
            self.oracle.breaks("I20", f"a shutdown's cancellation was swallowed: {where(pending[0])}")
        self._bury(process)

    def _as_left(self) -> str:
        """Return all that a recovery can find: what is on disk, and the orders as they are."""
        disk = [] if self.setup.disk is None else self.setup.disk.records
        orders = [(o.name, o.status, o.matched) for o in self.world.orders.values()]
        return repr(([(r.kind, r.order_id, r.facts) for r in disk], orders))

    def _kill_is_durable(self) -> bool:
        if self.setup.switch.on:
            return True
        records = self.setup.disk.records if self.setup.disk is not None else []
        last = [r.facts["active"] is True for r in records if r.kind is Kind.KILL_SWITCH][-1:]
        return bool(last and last[0])

    async def alive(self) -> Process:
        """Return the process, once it has started or the host has waited for that for long enough.

        A start that takes long hangs in asking others: its log is open from the first.
        """
        while (process := self.process) is None or process.starting is None:
            await asyncio.sleep(0.05)
        if not process.starting.done():
            waits_for = {process.starting, process.died}
            await asyncio.wait(waits_for, timeout=self.patience_s, return_when=asyncio.FIRST_COMPLETED)
        while not (process.is_open or process.died.done()):
            await asyncio.sleep(0.05)
        return await self.alive() if process.died.done() else process

    def _killed(self) -> bool:
        return self.oracle.killed or (self.process is not None and self.process.engine.tools.kill.latched)

    # ---- what people do

    def rests(self, wish: Wish) -> Order:
        """Let the root order of a wish rest on the book."""
        order = Order(wish.root_id, wish.name, wish, wish.size, wish.price)
        wish.orders.append(order)
        self.world.wishes[wish.root_id] = wish
        self.world.orders[wish.root_id] = order
        words = "{} rests: {} {} at {}, {}"
        self.story.tell(words, wish.name, wish.side, wish.size, wish.price, wish.strategy.partial_fill_policy)
        return order

    def kill(self, *, host_too: bool) -> asyncio.Task[Any] | None:
        """Switch the kill switch on, the bot's alone or the host's own as well; return the sweep."""
        process = self.process
        self.setup.switch.on |= host_too
        if process is None:
            return None
        self.story.tell("the kill switch goes on")
        self.kills += 1
        self.events["kill"] += 1
        self.oracle.killed = True
        self.kill_is_noted = isinstance(process.journal, DiskJournal) and not process.journal.failed
        signal = KillSwitchSignal(active=True, ts_ms=self.clock.now_ms(), reason="drill")
        sweep = process.context.run(process.bot.on_killswitch, signal)
        task = process.run(_done(lambda: sweep))
        self.commands.append(task)
        return task

    def reset(self) -> None:
        """Switch the host's kill switch off, and reset the bot's."""
        process = self.process
        self.setup.switch.on = False
        if process is None:
            self.oracle.killed = self._kill_is_durable()
            return
        self.oracle.resets += 1
        self.events["reset"] += 1

        async def reset() -> None:
            kills = self.kills
            with suppress(JournalFailed, TimeoutError):
                take(await process.bot.on_bot_command(BOT, "reset-kill", {}), kills)
            self.oracle.resets -= 1

        def take(answer: CommandResult, kills: int) -> None:
            self.story.tell("the kill switch is reset: {}", answer.ok)
            if answer.ok and self.kills != kills:
                self.oracle.breaks("I8", "a reset undid a kill switch that came after it was asked for")
            elif answer.ok:
                self.oracle.killed = False

        self.commands.append(process.run(reset()))

    def cancel_by_hand(self, order: Order) -> None:
        """Let a person cancel what is left of an order."""
        if self.process is None:
            return
        self.story.tell("a person cancels what is left of {}", order.name)
        self.events["cancel by hand"] += 1
        command = partial(self.process.bot.on_bot_command, BOT, "cancel-remainder", {"order": order.order_id})
        self.commands.append(self.process.run(_done(command)))


async def _done(hook: Callable[[], Any]) -> Any:
    return await hook()


def _crossed(book: BookView) -> bool:
    return bool(book.bids and book.asks) and book.bids[0][0] >= book.asks[0][0]


@contextmanager
def _watched(stage: Stage) -> Iterator[None]:
    """See every step of every remainder, and no log lines."""
    plain, oracle, world = Intent.step, stage.oracle, stage.world

    def step(intent: Intent, taken: Step) -> None:
        before = intent.state
        order = world.orders.get(intent.root_order_id)
        name = "?" if order is None else order.name
        try:
            plain(intent, taken)
        except IllegalStep as e:
            oracle.breaks("LC", f"{name}: {e}")
            raise
        stage.steps[f"{before.value} {taken.value}"] += 1
        stage.at_step(taken)
        stage.story.tell("{}: {} -> {}", name, taken.value, intent.state.value)

    def decided(basis: Basis) -> Decision:
        decision = honest(basis)
        if honest(basis) != decision:
            oracle.breaks("I19", f"two decisions on {basis}")
        book = basis.book
        if decision.action is Action.CHASE and (book is None or book.fault is not None or _crossed(book)):
            oracle.breaks("I19", f"a chase is decided on {book}")
        return decision

    honest, decider.decide_on = decider.decide_on, decided
    Intent.step = step  # type: ignore[method-assign]
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        Intent.step = plain  # type: ignore[method-assign]
        decider.decide_on = honest
        logging.disable(disabled)
