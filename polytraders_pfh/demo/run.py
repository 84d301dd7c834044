"""One run: the flow is played, strategies trade, the plugin handles what fills in part, the oracle judges."""

import asyncio
import contextlib
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from fractions import Fraction
from itertools import chain as chained
from pathlib import Path
from typing import Final

from polytraders_pfh.config import load_settings
from polytraders_pfh.demo.board import Board
from polytraders_pfh.demo.desk import Desk
from polytraders_pfh.demo.errors import DemoError
from polytraders_pfh.demo.flow import Move
from polytraders_pfh.demo.lanes import Lane, lanes_for
from polytraders_pfh.demo.lockstep import Lockstep
from polytraders_pfh.demo.oracle import left_open
from polytraders_pfh.demo.pace import Pace
from polytraders_pfh.demo.result import Plan, Progress, Result, count_result, judge_world
from polytraders_pfh.demo.strategy import Strategist
from polytraders_pfh.demo.trouble import Trouble
from polytraders_pfh.demo.world import World, open_world
from polytraders_pfh.host.kill import reports_in
from polytraders_pfh.paper.core.model import Market

KILL_FROM: Final = Fraction(85, 100)
KILL_AT: Final = Fraction(97, 100)
"""When the kill switch goes on: from the first on as soon as a part-filled order rests, else at the second.

The rest is played with it, and no order may be posted any more.
"""

CALM_S: Final = 5.0
"""How long, once nothing goes wrong any more, the plugin may take to cancel what the kill switch wants."""

Watcher = Callable[[World, Board], Awaitable[None]]


class Run:
    """Plays a plan once.

    Attributes:
        board: What there is to see, up to date after every move.
        mode: The mode in which the plugin runs.
        stopping: Set it to end the run after the move that is being made.
    """

    def __init__(self, plan: Plan, *, after_move: Watcher | None = None) -> None:
        """`after_move` is awaited with the world after every move, for tests that plant something there.

        Raises:
            ConfigError: The plugin's settings are wrong.
            DemoError: There is no market to play.
        """
        if not plan.flow.markets:
            raise DemoError(f"{plan.flow.name} held no market; give a recording that has some")
        settings = load_settings(plan.settings)
        self.plan = plan
        self.board = Board()
        self.mode: str = settings.mode
        self.stopping = False
        self._after_move = after_move
        self._chase_max_ticks = settings.defaults.chase_max_ticks

    async def play(self, show: Callable[[Progress], None]) -> Result:
        """Play the plan to its end, or until `stopping`; `show` is called after every move.

        Raises:
            PfhError: It could not begin, a recording is broken, or it did not come to rest.
            OSError: No port, or no disk.
        """
        flow, lanes = self.plan.flow, lanes_for(self.plan.policies)
        moves = flow.moves(lanes)
        first = next(moves, None)
        if first is None:
            raise DemoError(f"{flow.name} held no book; give a recording that has some")
        originals = [market.market for market in flow.markets]
        copies = [lane.market(market) for market in originals for lane in lanes]
        with tempfile.TemporaryDirectory(prefix="polytraders-demo-") as folder:
            async with open_world(
                copies,
                originals,
                seed=self.plan.seed,
                start_ms=first.at_ms,
                state_dir=Path(folder),
                settings=self.plan.settings,
                faults=self.plan.faults,
                otlp=self.plan.otlp,
            ) as world:
                stage = _Stage(self, world, lanes, self._chase_max_ticks)
                await stage.play(chained([first], moves), show, self._after_move)
                return stage.result(copies)


class _Stage:
    """A run that is under way."""

    def __init__(self, run: Run, world: World, lanes: tuple[Lane, ...], chase_max_ticks: int) -> None:
        self._run = run
        self._plan = run.plan
        self._w = world
        self._chase_max_ticks = chase_max_ticks
        self._lockstep = Lockstep(world)
        self._strategist = Strategist(run.plan.seed, run.plan.flow.markets)
        self._desk = Desk(world, lanes, run.plan.seed, chase_max_ticks)
        self._began_ns = world.clock.monotonic_ns()
        self._moves = self._facts_seen = self._reports_seen = 0
        self._killed: int | None = None

    async def play(
        self, moves: Iterator[Move], show: Callable[[Progress], None], after_move: Watcher | None
    ) -> None:
        plan = self._plan
        pace = None if plan.speed is None else Pace(self._w.clock, plan.speed)
        for move in moves:
            if self._run.stopping:
                break
            if pace is not None:
                await pace.wait_for(move.at_ms)
            await self._make(move)
            if self._w.trouble is not None:
                await self._w.trouble.between_moves(self._played())
            if after_move is not None:
                await after_move(self._w, self._run.board)
                await self._lockstep.rest()
            self._moves += 1
            self._take_news()
            show(self._progress())
        await self._lockstep.rest()
        if self._w.trouble is not None:
            await self._calm_down(self._w.trouble)
        self._take_news()

    async def _calm_down(self, trouble: Trouble) -> None:
        """Let everything work again, and give what was in doubt the time to be found out."""
        trouble.faults.heal()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CALM_S):
                while self._killed is not None and left_open(self._w.exchange.facts):
                    await self._w.clock.sleep(CALM_S / 100)
                    await self._lockstep.rest()
        await self._lockstep.rest()

    def result(self, markets: list[Market]) -> Result:
        """Judge and count."""
        reports = self._lockstep.reports
        chains, violations = judge_world(self._w, self._desk.intents, reports, markets, self._chase_max_ticks)
        return Result(
            plan=self._plan,
            mode=self._run.mode,
            moves=self._moves,
            elapsed_s=self._elapsed_s(),
            complete=not self._run.stopping,
            killed=self._killed,
            **count_result(self._w, self._plan, chains, violations, reports),
        )

    async def _make(self, move: Move) -> None:
        """Let the market move, then the plugin, then the strategies."""
        clock = self._w.clock
        clock.move_to(move.at_ms)
        now_ms = clock.now_ms()
        move.apply(self._w.exchange, self._w.reference, now_ms)
        await self._lockstep.after_step()
        over = self._strategist.over(now_ms)
        for idea in over:
            await self._desk.withdraw(idea)
        idea_now = None
        if self._killed is None:
            idea_now = self._strategist.next_in(move.condition_id, self._w.reference, now_ms)
            if idea_now is not None:
                self._run.board.placed(await self._desk.place(idea_now))
            if self._ends():
                await self._kill()
        if over or idea_now is not None:
            await self._lockstep.rest()

    def _played(self) -> Fraction:
        return Fraction(self._plan.flow.done(), max(self._plan.flow.total, 1))

    def _ends(self) -> bool:
        played = self._played()
        return played >= KILL_AT or (played >= KILL_FROM and self._run.board.part_filled())

    async def _kill(self) -> None:
        """Switch off at rest, so that whatever is posted afterwards was decided afterwards."""
        if self._w.trouble is not None:
            self._w.trouble.spare()
        await self._lockstep.rest()
        # A moment of its own, so that no PARTIAL shares its timestamp.
        self._w.clock.move_to(self._w.clock.now_ms() + 1)
        self._w.exchange.mark_kill(self._w.clock.now_ms())
        results = await self._w.hosts.ask(
            lambda host: host.kill_switch.signal(True, "the demonstration ends", "demo")
        )
        reports = reports_in(results)
        self._lockstep.expect(reports)
        await self._lockstep.rest()
        self._killed = len(reports)

    def _take_news(self) -> None:
        facts, reports = self._w.exchange.facts, self._lockstep.reports
        self._run.board.happened(facts[self._facts_seen :])
        self._run.board.reported(reports[self._reports_seen :])
        if (trouble := self._w.trouble) is not None:
            self._run.board.faults, self._run.board.restarts = trouble.met.total(), trouble.restarts
        self._facts_seen, self._reports_seen = len(facts), len(reports)

    def _progress(self) -> Progress:
        flow = self._plan.flow
        return Progress(flow.done(), flow.total, self._moves, self._w.clock.now_ms(), self._elapsed_s())

    def _elapsed_s(self) -> float:
        return (self._w.clock.monotonic_ns() - self._began_ns) / 1e9
