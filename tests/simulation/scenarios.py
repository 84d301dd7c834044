"""Small scenarios with nothing left to chance, for searches that try every order and every moment.

Every answer takes the same short time, every draw is the same, and what goes wrong is written down. One
disruption belongs to each; it comes so many ticks after its moment, which a search may vary.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from polytraders_hookspecs.events import Strategy

from polytraders_pfh.core.lifecycle import Step
from simulation.disk import Disk
from simulation.faults import HONEST, Fate, Faults
from simulation.loop import Loop, SeededLoop
from simulation.ports import Bus, Signer, Switch
from simulation.process import Setup, settings_of
from simulation.stage import Outcome, Stage
from simulation.truth import MICRO, Order, Wish
from simulation.world import Market

TOKEN: Final = "100"
SETTLES_S: Final = 8.0


class Plain(Random):
    """Draws the same every time: a quarter, the one in the middle, the lowest."""

    def __init__(self, *, highest: bool = False) -> None:
        super().__init__(0)
        self._highest = highest

    def random(self) -> float:
        """Return a quarter."""
        return 0.25

    def choice(self, seq: Sequence[Any]) -> Any:
        """Return the one in the middle."""
        return seq[len(seq) // 2]

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        """Return the lowest; of so many from nought the highest, if that is wanted."""
        return start - 1 if stop is None and self._highest else (0 if stop is None else start)


class Planned(Faults):
    """Faults as they are written down: what becomes of the n-th request of a kind."""

    def __init__(self, plan: dict[tuple[str, int], Fate]) -> None:
        super().__init__(Plain())
        self.on = set()
        self._plan = plan

    def fate(self, call: str) -> Fate:
        """Return what becomes of a request."""
        self.struck[call] += 1
        return self._plan.get((call, self.struck[call]), HONEST)


@dataclass(frozen=True)
class Scenario:
    """What is there, what is done, and what goes wrong at which moment.

    `moment` is the step after which the disruption is counted; `at` is by how many ticks it follows it.
    """

    name: str
    script: Callable[[Scene], Awaitable[None]]
    disrupt: Callable[[Scene], None]
    moment: Step
    at: int
    plan: dict[tuple[str, int], Fate] = field(default_factory=dict)
    in_flight: int = 50


class Scene(Stage):
    """One run of a scenario. `written`: what a crash finds in the log's queue has reached the disk."""

    def __init__(
        self, scenario: Scenario, loop: Loop | None = None, *, at: int | None = None, written: bool = False
    ) -> None:
        plain = SeededLoop(Plain(), 0.0) if loop is None else loop
        super().__init__(0, Plain(highest=written), plain, Planned(scenario.plan))
        self.scenario = scenario
        self.at = scenario.at if at is None else at
        self.disrupted = False
        self.moment_tick = 0
        self.settled_tick = 0
        self.oracle.most_in_flight = scenario.in_flight
        settings = settings_of(scenario.in_flight, 1_000, 100, False, "hold")
        bus = Bus(self.faults, self.world)
        self.setup = Setup(
            self.world, Signer(self.world), Switch(self.world), bus, settings, Disk(), neighbour=False
        )

    async def play(self) -> None:
        """Follow the script, and come to rest."""
        self.feed.prompt = True
        self.world.markets[TOKEN] = Market()
        self.boot()
        await self.alive()
        await self.scenario.script(self)
        await asyncio.sleep(SETTLES_S)
        self.settled_tick = self.loop.ticks
        await self.come_to_rest()

    def at_step(self, taken: Step) -> None:
        """Let the disruption follow its moment."""
        if taken is self.scenario.moment and not self.disrupted:
            self.disrupted = True
            self.moment_tick = self.loop.ticks
            self.loop.in_steps(self.at, self._disrupt)

    def _disrupt(self) -> None:
        if not self.settled_tick:
            self.scenario.disrupt(self)

    def order(self, side: str, shares: int, ticks_away: int, policy: str, *, bare: bool = False) -> Order:
        """Let an order rest, so many ticks behind the middle."""
        market = self.world.markets[TOKEN]
        away = ticks_away * market.tick
        wish = Wish(
            root_id=self.world.new_id(),
            name=chr(ord("A") + len(self.world.wishes)),
            side=side,
            size=shares * MICRO,
            price=market.mid - away if side == "BUY" else market.mid + away,
            token=TOKEN,
            trace=f"trc_{len(self.world.wishes):016x}",
            strategy=Strategy(id="s", partial_fill_policy=policy),  # type: ignore[arg-type]
            bare=bare,
        )
        return self.rests(wish)

    def latest(self) -> Order:
        """Return the order that was posted last."""
        return list(self.world.orders.values())[-1]


async def _one_chase(scene: Scene) -> None:
    scene.world.fill(scene.order("BUY", 100, 2, "chase"), 30 * MICRO)


async def _one_cancel(scene: Scene) -> None:
    scene.world.fill(scene.order("BUY", 100, 2, "cancel"), 30 * MICRO)


async def _two_sellers(scene: Scene) -> None:
    orders = [scene.order("SELL", 60, 2, "chase"), scene.order("SELL", 40, 2, "chase")]
    for order in orders:
        scene.world.fill(order, 12 * MICRO)


async def _burst(scene: Scene) -> None:
    orders = [scene.order("BUY", 100, 2, "chase"), scene.order("BUY", 50, 2, "chase")]
    for order in orders:
        scene.world.fill(order, 20 * MICRO)


async def _two_at_rest(scene: Scene) -> None:
    for shares in (100, 50):
        order = scene.order("BUY", shares, 2, "hold")
        scene.world.fill(order, 20 * MICRO)
    await asyncio.sleep(1)
    scene.kill(host_too=True)


async def _told_twice_and_taken_back(scene: Scene) -> None:
    order = scene.order("BUY", 100, 2, "chase", bare=True)
    scene.feed.times = 2
    scene.world.fill(order, 30 * MICRO)
    await asyncio.sleep(1)
    scene.cancel_by_hand(scene.latest())
    await asyncio.sleep(1)
    scene.kill(host_too=False)
    await asyncio.sleep(1)
    scene.reset()


def _nothing(scene: Scene) -> None:
    """Leave it at that."""


def _stop(scene: Scene) -> None:
    scene.stop()


def _root_fills(scene: Scene) -> None:
    scene.world.fill(scene.world.orders[next(iter(scene.world.wishes))], 20 * MICRO)


def _latest_fills(scene: Scene) -> None:
    scene.world.fill(scene.latest(), 10 * MICRO)


def _kill(scene: Scene) -> None:
    scene.kill(host_too=False)


def _crash(scene: Scene) -> None:
    scene.crash()


NAMED: Final = (
    Scenario("a cancel races a fill", _one_chase, _root_fills, Step.CANCEL_STARTED, 3),
    Scenario(
        "a post times out but landed",
        _one_chase,
        _latest_fills,
        Step.POST_STARTED,
        12,
        {("post", 1): Fate("lost", True)},
    ),
    Scenario("kill between cancel and post", _one_chase, _kill, Step.CANCEL_PROVEN, 2),
    Scenario(
        "restart with an unknown post",
        _one_chase,
        _crash,
        Step.POST_DOUBTFUL,
        2,
        {("post", 1): Fate("late", True), ("post", 2): Fate("lost", True)},
    ),
    Scenario("two intents sell one token", _two_sellers, _latest_fills, Step.CANCEL_STARTED, 4),
)
"""The five of which every order with up to two deviations is tried."""
MORE: Final = (
    Scenario("a remainder is cancelled", _one_cancel, _root_fills, Step.CANCEL_STARTED, 2),
    Scenario(
        "a cancel is lost, then doubted",
        _one_chase,
        _root_fills,
        Step.CANCEL_DOUBTFUL,
        2,
        {("cancel", 1): Fate("lost", False), ("cancel", 2): Fate("5xx", True)},
    ),
    Scenario(
        "a post never arrives",
        _one_chase,
        _kill,
        Step.POST_DOUBTFUL,
        2,
        {("post", 1): Fate("lost", False), ("post", 2): Fate("lost", False)},
    ),
    Scenario("a kill switch finds two at rest", _two_at_rest, _root_fills, Step.CANCEL_STARTED, 2),
    Scenario(
        "told twice, taken back by hand, killed and reset",
        _told_twice_and_taken_back,
        _nothing,
        Step.CANCEL_STARTED,
        1,
    ),
    Scenario("the host stops in a chase", _one_chase, _stop, Step.CANCEL_PROVEN, 3),
    Scenario("more events than there is room for", _burst, _root_fills, Step.CANCEL_STARTED, 3, in_flight=1),
)
ALL: Final = NAMED + MORE


def play(scenario: Scenario, at: int | None = None) -> Outcome:
    """Run a scenario in the plain order."""
    return Scene(scenario, at=at).run()
