"""One schedule: a seed in, an outcome out. What happens, and when, is all decided by the seed."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Final

from polytraders_hookspecs import KillSwitchSignal, TickSizeChange
from polytraders_hookspecs.events import Strategy
from polytraders_hookspecs.reports import CommandResult

from polytraders_pfh.core.lifecycle import IllegalStep, Step
from polytraders_pfh.engine.intents import Intent
from polytraders_pfh.engine.journal import JournalFailed, Kind
from simulation.disk import Disk, DiskJournal
from simulation.faults import Faults
from simulation.feed import Feed, decision_event
from simulation.loop import NOW_MS, Endless, Halted, SeededLoop, VirtualClock
from simulation.oracle import Oracle
from simulation.ports import Bus, Signer, Switch
from simulation.process import BOT, Process, Setup, settings_of
from simulation.rest import judge_rest
from simulation.story import Broken, Story
from simulation.truth import MICRO, Order, Wish
from simulation.world import Market, World

SIZES: Final = (20 * MICRO, 50 * MICRO, 725_806_451, 100 * MICRO + 1, 333_330_000, 200 * MICRO)
TICKS: Final = (10_000, 1_000)


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


class Schedule:
    """One seed's world, its host, and what befalls them."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.start_ms = NOW_MS
        self.rng = rng = Random(seed)  # every choice comes from the seed
        self.loop = SeededLoop(rng, rng.choice((0.0, 0.0, 0.01, 0.05)))
        self.clock = VirtualClock(self.loop)
        self.faults = Faults(rng)
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
        self.dies = rng.random() < 0.3
        self.killer = rng.random() < 0.35
        self.restless = rng.random() < 0.2
        self.meddling = rng.random() < 0.2
        self.racing = rng.random() < 0.4
        self.durable = rng.random() < (0.85 if self.dies else 0.3)
        self.patience_s = rng.choice((10, 60))
        self.crashed = False
        self.kill_is_noted = False
        self.commands: list[asyncio.Task[Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.unhandled.append(context))
        self.loop.after_step = self.oracle.after_step
        self.world.on_fill, self.world.on_end, self.world.on_call = (
            self.feed.filled,
            self.feed.ended,
            self._at_call,
        )
        self.world.bot_is_killed = self._killed
        self.setup = self._set_up()

    def _set_up(self) -> Setup:
        rng = self.rng
        self.oracle.most_in_flight = rng.choice((1, 1, 2, 5, 50))
        settings = settings_of(
            self.oracle.most_in_flight,
            rng.choice((0, 1_000, 30_000)),
            rng.choice((1, 2, 100)),
            rng.random() < 0.2,
            rng.choice(("hold", "chase", "cancel")),
        )
        disk = Disk() if self.durable else None
        switch, bus = Switch(self.world), Bus(self.faults, self.world)
        return Setup(
            self.world, Signer(self.world), switch, bus, settings, disk, neighbour=rng.random() < 0.2
        )

    def run(self) -> Outcome:
        """Let it happen."""
        asyncio.set_event_loop(self.loop)
        with _watched(self):
            try:
                self.loop.run_until_complete(self._main())
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
            self.loop.steps,
        )

    async def _main(self) -> None:
        self._list_markets()
        self._boot()
        for _ in range(self.rng.choice((1, 1, 1, 2, 4, 8))):
            self._place()
        if self.rng.random() < 0.7:
            await asyncio.sleep(0.3)
        self._declare()
        for _ in range(self.rng.choice((3, 8, 20))):
            await self._something_happens()
            await asyncio.sleep(self.rng.random() * self.rng.choice((0, 0.005, 0.1, 0.5, 2)))
        await self._come_to_rest()

    async def _come_to_rest(self) -> None:
        self.faults.end()
        self.loop.calm_down()
        self.feed.prompt = True
        self.dies = self.killer = self.restless = self.meddling = self.racing = False
        self.story.tell("every fault ends here")
        await self.alive()
        for _ in range(200):
            await asyncio.sleep(1)
            if all(task.done() for task in self.feed.under_way):
                break
        await asyncio.sleep(140)
        process = await self.alive()
        await judge_rest(self, process)

    # ---- the host's lives

    def _boot(self) -> None:
        self.lives += 1
        self.process = self.oracle.process = Process(self.lives, self.setup)
        self.story.tell("the host starts, life {}", self.lives)
        self.events["start" if self.lives == 1 else "restart"] += 1
        self.process.starting = self.process.run(_done(self.process.bot.on_host_start()))
        self.commands.append(self.process.starting)
        self._declare()

    def crash(self) -> None:
        """Let the process die where it stands."""
        process = self.process
        if process is None:
            return
        self.story.tell("the host dies")
        self.crashed = True
        self.loop.dead.add(process.life)
        durable = self.oracle.killed and self.kill_is_noted
        if isinstance(process.journal, DiskJournal):
            durable = durable and process.journal.idle
            process.journal.crash()
        self.process = None
        self.oracle.crashed(kill_is_durable=durable or self._kill_is_durable())
        self.loop.call_soon(process.died.set_result, None, context=self.loop.outside)
        self.loop.later(self.rng.random() * self.rng.choice((0.05, 1, 4)), self._boot)

    def _kill_is_durable(self) -> bool:
        if self.setup.switch.on:
            return True
        records = self.setup.disk.records if self.setup.disk is not None else []
        last = [r.facts["active"] is True for r in records if r.kind is Kind.KILL_SWITCH][-1:]
        return bool(last and last[0])

    async def alive(self) -> Process:
        """Return the process, once it has started or the host has waited for that for long enough."""
        while (process := self.process) is None or process.starting is None:
            await asyncio.sleep(0.05)
        if not process.starting.done():
            waits_for = {process.starting, process.died}
            await asyncio.wait(waits_for, timeout=self.patience_s, return_when=asyncio.FIRST_COMPLETED)
        return await self.alive() if process.died.done() else process

    def _killed(self) -> bool:
        return self.oracle.killed or (self.process is not None and self.process.engine.tools.kill.latched)

    def _at_call(self) -> None:
        """A request has just left: now and then the worst moment for something else."""
        for wanted, chance, steps, act in (
            ("dies", 0.03, 30, self.crash),
            ("killer", 0.06, 20, self.kill),
            ("restless", 0.15, 20, self._tick_changes),
            ("meddling", 0.1, 10, self._trader_meddles),
            ("racing", 0.2, 15, self._fill_races),
        ):
            if getattr(self, wanted) and self.rng.random() < chance:
                self.loop.in_steps(self.rng.randrange(1, steps), partial(self._while, wanted, act))

    def _while(self, wanted: str, act: Callable[[], None]) -> None:
        if getattr(self, wanted):
            act()

    # ---- what befalls it

    def _list_markets(self) -> None:
        for number in range(self.rng.choice((1, 2))):
            market = self.world.markets[str(100 + number)] = Market(self.rng.choice(TICKS))
            market.mid += 10_000 * self.rng.randrange(-2, 3)

    def _place(self) -> None:
        """Place one root order."""
        rng, world = self.rng, self.world
        side = rng.choice(("BUY", "SELL"))
        token = rng.choice(tuple(world.markets))
        tick = world.markets[token].tick
        away = rng.choice((-3, -2, -2, -1, -1, 0, 1)) * (1 if side == "BUY" else -1)
        policy = rng.choice((None, "hold", "cancel", *("chase",) * 12))
        wish = Wish(
            root_id=world.new_id(),
            name=chr(ord("A") + len(world.wishes)),
            side=side,
            size=rng.choice(SIZES),
            price=world.markets[token].mid // tick * tick + tick * away,
            token=token,
            trace=f"trc_{rng.getrandbits(64):016x}",
            strategy=Strategy(id="s", partial_fill_policy=policy, allow_wide_chase=rng.random() < 0.3),
            bare=rng.random() < 0.3,
        )
        order = Order(wish.root_id, wish.name, wish, wish.size, wish.price)
        wish.orders.append(order)
        world.wishes[wish.root_id] = wish
        world.orders[wish.root_id] = order
        self.story.tell("{} rests: {} {} at {}, {}", wish.name, side, wish.size, wish.price, policy)
        if rng.random() < 0.3:
            usd = wish.size * wish.price // MICRO
            usd = rng.choice((usd, usd // 2, usd * 2))
            wish.limit = wish.price + (1 if wish.buying else -1) * tick * rng.randrange(0, 5)
            wish.declared = usd * MICRO // wish.price
            wish.decision = decision_event(wish, usd, wish.limit, self.clock.now_ms())

    def _declare(self) -> None:
        """Tell this process the decisions that it does not know yet."""
        if self.process is None:
            return
        known = set()
        if self.setup.disk is not None:
            known = {r.trace_id for r in self.setup.disk.records if r.kind is Kind.DECLARED}
        for wish in self.world.wishes.values():
            if wish.decision is not None and wish.trace not in known:
                self.process.context.run(self.process.bot.on_decision_report, wish.decision)

    async def _something_happens(self) -> None:
        rng, chance = self.rng, self.rng.random()
        live = self.world.live()
        if live and chance < 0.6:
            self.world.fill(rng.choice(live[-3:]))
        elif chance < 0.7:
            self._market_moves()
        elif chance < 0.74:
            self._tick_changes()
        elif chance < 0.78 and self.killer:
            self.kill()
        elif chance < 0.82 and self.killer:
            self._reset()
        elif chance < 0.86 and live:
            self._command(rng.choice(live))
        elif chance < 0.88 and live:
            self._trader_cancels(rng.choice(live))
        elif chance < 0.93 and self.dies:
            self.crash()
        elif (filled := [o for o in live if o.filled > 0]) and self.faults.strikes("fills are reversed", 0.7):
            self.world.reverse(rng.choice(filled))

    def _market_moves(self) -> None:
        token = self.rng.choice(tuple(self.world.markets))
        market = self.world.markets[token]
        market.mid = min(max(market.mid + 10_000 * self.rng.randrange(-3, 4), 50_000), 950_000)
        if self.process is not None and self.rng.random() < 0.7:
            book = self.world.snapshot(token)
            self.world.tell_tick(token, market.tick)
            self.process.context.run(self.process.bot.on_book_update, book)

    def _tick_changes(self) -> None:
        token = self.rng.choice(tuple(self.world.markets))
        market = self.world.markets[token]
        old, market.tick = market.tick, self.rng.choice(TICKS)
        self.story.tell("the tick of {} becomes {}", token, market.tick)
        if self.process is None:
            return
        change = TickSizeChange(
            token_id=token,
            old_tick_micro=old,
            new_tick_micro=market.tick,
            timestamp_ms=self.clock.now_ms(),
        )
        self.world.tell_tick(token, market.tick)
        self.process.context.run(self.process.bot.on_book_update, change)

    def _fill_races(self) -> None:
        live = self.world.live()
        if live:
            self.world.fill(self.rng.choice(live))

    def _trader_meddles(self) -> None:
        live = self.world.live()
        if live:
            self._trader_cancels(self.rng.choice(live[-2:]))

    def _trader_cancels(self, order: Order) -> None:
        if order.status == "LIVE":
            order.taken_away = True
            self.world.end(order, "its trader cancelled it")
            self.events["trader cancels"] += 1

    def kill(self) -> None:
        """Switch the kill switch on."""
        process = self.process
        self.setup.switch.on = self.rng.random() < 0.6
        if process is None:
            return
        self.story.tell("the kill switch goes on")
        self.kills += 1
        self.events["kill"] += 1
        self.oracle.killed = True
        self.kill_is_noted = isinstance(process.journal, DiskJournal) and not process.journal.failed
        signal = KillSwitchSignal(active=True, ts_ms=self.clock.now_ms(), reason="drill")
        sweep = process.context.run(process.bot.on_killswitch, signal)
        task = process.run(_done(sweep))
        self.commands.append(task)
        if self.rng.random() < 0.3:
            self.loop.later(self.rng.random() * 0.1, task.cancel)

    def _reset(self) -> None:
        process = self.process
        self.setup.switch.on = False
        if process is None:
            self.oracle.killed = self._kill_is_durable()
            return
        self.oracle.resets += 1
        self.events["reset"] += 1
        if self.rng.random() < 0.4:
            self.loop.in_steps(self.rng.randrange(1, 20), partial(self._while, "killer", self.kill))

        async def reset() -> None:
            kills = self.kills
            with suppress(JournalFailed):
                take(await process.bot.on_bot_command(BOT, "reset-kill", {}), kills)
            self.oracle.resets -= 1

        def take(answer: CommandResult, kills: int) -> None:
            self.story.tell("the kill switch is reset: {}", answer.ok)
            if answer.ok and self.kills == kills:
                self.oracle.killed = False

        self.commands.append(process.run(reset()))

    def _command(self, order: Order) -> None:
        if self.process is None:
            return
        self.story.tell("a person cancels what is left of {}", order.name)
        self.events["cancel by hand"] += 1
        command = self.process.bot.on_bot_command(BOT, "cancel-remainder", {"order": order.order_id})
        self.commands.append(self.process.run(_done(command)))


async def _done(work: Any) -> Any:
    return await work


@contextmanager
def _watched(schedule: Schedule) -> Iterator[None]:
    """See every step of every remainder, and no log lines."""
    plain, oracle, world = Intent.step, schedule.oracle, schedule.world

    def step(intent: Intent, taken: Step) -> None:
        before = intent.state
        order = world.orders.get(intent.root_order_id)
        name = "?" if order is None else order.name
        try:
            plain(intent, taken)
        except IllegalStep as e:
            oracle.breaks("LC", f"{name}: {e}")
            raise
        schedule.steps[f"{before.value} {taken.value}"] += 1
        schedule.story.tell("{}: {} -> {}", name, taken.value, intent.state.value)

    Intent.step = step  # type: ignore[method-assign]
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        Intent.step = plain  # type: ignore[method-assign]
        logging.disable(disabled)


def run(seed: int) -> Outcome:
    """Run one seed."""
    return Schedule(seed).run()
