"""One schedule: a seed in, an outcome out. What happens, and when, is all decided by the seed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from polytraders_hookspecs import TickSizeChange
from polytraders_hookspecs.events import Strategy

from polytraders_pfh.core.lifecycle import Step
from polytraders_pfh.engine.journal import Kind
from simulation.disk import Disk
from simulation.faults import Faults
from simulation.feed import decision_event
from simulation.file import FileDisk
from simulation.loop import Loop, SeededLoop
from simulation.ports import Bus, Signer, Switch
from simulation.process import Setup, settings_of
from simulation.stage import Outcome, Stage
from simulation.truth import MICRO, Order, Wish
from simulation.world import Market

SIZES: Final = (20 * MICRO, 50 * MICRO, 725_806_451, 100 * MICRO + 1, 333_330_000, 200 * MICRO)
TICKS: Final = (10_000, 1_000)
FILE_EVERY: Final = 25
ON_FILE: Final = 7
"""Of so many seeds, this one plays on a true file. Nothing else of what a seed means depends on it."""


class Schedule(Stage):
    """One seed's world, its host, and what befalls them.

    `always` names what befalls every one of them, where a search knows what it looks for.
    """

    def __init__(
        self, seed: int, loop: Callable[[Random], Loop] | None = None, always: Collection[str] = ()
    ) -> None:
        rng = Random(seed)  # every choice comes from the seed
        stall = rng.choice((0.0, 0.0, 0.01, 0.05))
        super().__init__(seed, rng, SeededLoop(rng, stall) if loop is None else loop(rng), Faults(rng))
        self.killer = rng.random() < 0.35 or "killer" in always
        self.dies = rng.random() < (0.5 if self.killer else 0.25) or "dies" in always
        self.restless = rng.random() < 0.2 or "restless" in always
        self.meddling = rng.random() < 0.2 or "meddling" in always
        self.racing = rng.random() < 0.4 or "racing" in always
        self.directory = ExitStack()
        self.durable = rng.random() < (0.85 if self.dies else 0.3)
        self.patience_s = rng.choice((0.5, 5, 60))
        self.world.on_call = self._at_call
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
        disk = self._disk() if self.durable else None
        switch, bus = Switch(self.world), Bus(self.faults, self.world)
        return Setup(
            self.world, Signer(self.world), switch, bus, settings, disk, neighbour=rng.random() < 0.2
        )

    def _disk(self) -> Disk:
        """Return the disk: now and then a true file, whatever else the seed decides."""
        if self.seed % FILE_EVERY != ON_FILE:
            return Disk()
        return FileDisk(Path(self.directory.enter_context(TemporaryDirectory())) / "journal")

    def run(self) -> Outcome:
        """Run it, and leave no file behind."""
        with self.directory:
            outcome = super().run()
            if self.setup.disk is not None:
                self.setup.disk.let_go()
            return outcome

    async def play(self) -> None:
        """Let the seed decide what happens."""
        self._list_markets()
        self.boot()
        for _ in range(self.rng.choice((1, 1, 1, 2, 4, 8))):
            self._place()
        self.declare()
        if self.rng.random() < 0.7:
            await asyncio.sleep(0.3)
        for _ in range(self.rng.choice((3, 8, 20))):
            await self._something_happens()
            await asyncio.sleep(self.rng.random() * self.rng.choice((0, 0.005, 0.1, 0.5, 2)))
        self.dies = self.killer = self.restless = self.meddling = self.racing = False
        await self.come_to_rest()
        if isinstance(self.setup.disk, FileDisk):
            for fault in self.setup.disk.faults():
                self.oracle.breaks("I16", fault)

    def _at_call(self) -> None:
        """A request has just left: now and then the worst moment for something else."""
        for wanted, chance, steps, act in (
            ("dies", 0.03, 30, self.crash),
            ("killer", 0.12, 20, self._kill),
            ("restless", 0.15, 20, self._tick_changes),
            ("meddling", 0.1, 10, self._trader_meddles),
            ("racing", 0.2, 15, self._fill_races),
        ):
            if getattr(self, wanted) and self.rng.random() < chance:
                self.loop.in_steps(self.rng.randrange(1, steps), partial(self._while, wanted, act))

    def at_step(self, taken: Step) -> None:
        """A remainder has come closest to a post: now and then that moment is chosen."""
        if taken in {Step.POST_RECORDED, Step.POST_STARTED}:
            for wanted, act in (("killer", self._kill), ("dies", self.crash)):
                if getattr(self, wanted) and self.rng.random() < 0.3:
                    self.loop.in_steps(self.rng.randrange(1, 12), partial(self._while, wanted, act))

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
        self.rests(wish)
        if rng.random() < 0.3:
            usd = wish.size * wish.price // MICRO
            usd = rng.choice((usd, usd // 2, usd * 2))
            wish.limit = wish.price + (1 if wish.buying else -1) * tick * rng.randrange(0, 5)
            wish.declared = usd * MICRO // wish.price
            wish.decision = decision_event(wish, usd, wish.limit, self.clock.now_ms())

    def declare(self) -> None:
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
            self._kill()
        elif chance < 0.82 and self.killer:
            self._reset()
        elif chance < 0.86 and live:
            self.cancel_by_hand(rng.choice(live))
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

    def _kill(self) -> None:
        """Switch the kill switch on; now and then the host dies of it, or nobody waits for the sweep."""
        host_too = self.rng.random() < 0.6
        if self.process is not None and self.dies and self.rng.random() < 0.3:
            self.loop.in_steps(self.rng.randrange(10, 120), partial(self._while, "dies", self.crash))
        sweep = self.kill(host_too=host_too)
        if sweep is not None and self.rng.random() < 0.3:
            self.loop.later(self.rng.random() * 0.1, sweep.cancel)

    def _reset(self) -> None:
        """Reset the kill switch; now and then it goes on once more meanwhile."""
        if self.process is not None and self.rng.random() < 0.4:
            self.loop.in_steps(self.rng.randrange(1, 20), partial(self._while, "killer", self._kill))
        self.reset()


def run(seed: int, always: Collection[str] = ()) -> Outcome:
    """Run one seed."""
    return Schedule(seed, always=always).run()
