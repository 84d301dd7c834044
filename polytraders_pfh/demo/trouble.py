"""What goes wrong in a run, drawn from one seed: which faults it knows, and when hosts and streams fall.

A seed enables a random part of all faults (so that one does not always hide the other), and always kills
the host at least twice, mostly in the middle of something.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from random import Random
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from polytraders_pfh.demo.clock import MarketClock
from polytraders_pfh.demo.fault_kinds import KINDS
from polytraders_pfh.demo.faults import WINDOWS, Ambush, SeededFaults
from polytraders_pfh.demo.lives import Lives
from polytraders_pfh.demo.truth import WitnessedExchange
from polytraders_pfh.host import FeedTimings
from polytraders_pfh.paper.protocol.server import PaperServer

SETTINGS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "mode": "general_live",
        "execution": {"call_timeout_ms": 200, "backoff_ms": 10, "reconcile_every_ms": 100},
    }
)
"""The plugin's section: it acts, and soon gives up on an answer, so that a run with many lost is short."""

TIMEOUTS: Final[Mapping[str, float]] = MappingProxyType(
    {"book_s": 0.5, "post_s": 0.5, "cancel_s": 0.5, "read_s": 0.5, "trades_s": 1.0}
)
"""The host's, likewise."""

TIMINGS: Final = FeedTimings(first_pause_s=0.03, longest_pause_s=0.25)
AMBUSHES: Final = (
    Ambush("before_cancel_arrives", "cancel"),
    Ambush("while_cancel_is_on_its_way", "cancel", arrives=True),
    Ambush("after_cancel", "cancel", after=True),
    Ambush("between_cancel_and_post", "read", after=True),
    Ambush("before_post_arrives", "post"),
    Ambush("while_post_is_on_its_way", "post", arrives=True),
    Ambush("after_post", "post", after=True),
)
RECOVERING: Final = Ambush("while_recovering", "read")
DROPS: Final = ("market_stream_dropped", "user_stream_dropped")
ENABLED: Final = Fraction(6, 10)
PATIENCE: Final = Fraction(8, 100)
"""A host whose ambush did not come up within this part of the run is killed where it stands."""
AGAIN: Final = 0.35
"""How likely the next host is to be killed while it recovers."""
WINDOW_S: Final = (0.2, 0.5)


class _Due(NamedTuple):
    at: Fraction
    what: str
    ambush: Ambush | None = None


class Trouble:
    """One run's misfortune.

    Attributes:
        faults: The exchange's fault plan.
        lives: The hosts, once the world is open.
    """

    lives: Lives

    def __init__(self, seed: int, clock: MarketClock) -> None:
        self._chance = Random(f"{seed}/trouble")  # noqa: S311 - chooses what to break
        self.enabled = _enabled(self._chance)
        self.faults = SeededFaults(seed, self.enabled, clock)
        self._due = sorted(self._plan(), key=lambda due: due.at)
        self._strike_by: Fraction | None = None
        self._recovering = False
        self._cut: Mapping[str, Callable[[], int]] = {}

    @property
    def met(self) -> Counter[str]:
        """How often each fault took place."""
        return self.faults.met

    @property
    def restarts(self) -> int:
        """How often a host was killed and another took over."""
        return self.lives.restarts

    def attach(self, exchange: WitnessedExchange, server: PaperServer, lives: Lives) -> None:
        """Say whom it befalls."""
        self.faults.attach(exchange)
        self.faults.kill, self.faults.reborn = lives.kill, lives.reborn
        self.lives = lives
        lives.at_death.append(self._died)
        lives.at_birth.append(self._born)
        cuts = (server.venue.market_stream.cut, server.venue.user_stream.cut)
        self._cut = dict(zip(DROPS, cuts, strict=True))

    async def between_moves(self, played: Fraction) -> None:
        """Let happen what is due when so much of the run is played."""
        self.faults.pass_time()
        while self._due and self._due[0].at <= played:
            self._befall(self._due.pop(0), played)
        if self.faults.ambush is None:
            self._strike_by = None
        elif self._strike_by is not None and played >= self._strike_by:
            self.faults.ambush = self._strike_by = None
            self.met["host_killed_between_moves"] += 1
            self.lives.kill()
            await self.lives.reborn()

    def missing(self) -> str:
        """Return what is under way, or nothing."""
        self.lives.check()
        if not self.lives.alive:
            return "the host was being started again"
        return f"{self.faults.held} requests had not arrived at the exchange" if self.faults.held else ""

    def spare(self) -> None:
        """Kill nobody at the next request."""
        self.faults.ambush = self._strike_by = None

    def _befall(self, due: _Due, played: Fraction) -> None:
        if due.ambush is not None:
            self.faults.ambush, self._strike_by = due.ambush, played + PATIENCE
        elif due.what in WINDOWS:
            self.faults.arm_window(due.what, self._chance.uniform(*WINDOW_S))
        else:
            self.met[due.what] += bool(self._cut[due.what]())

    def _died(self) -> None:
        self._strike_by = None
        again = not self._recovering and self._chance.random() < AGAIN
        self.faults.ambush, self._recovering = (RECOVERING, True) if again else (None, self._recovering)

    def _born(self) -> None:
        self.faults.ambush, self._recovering = None, False

    def _plan(self) -> list[_Due]:
        chance = self._chance
        plan = [
            _Due(_between(chance, low, high), "host", ambush)
            for (low, high), ambush in zip(
                ((8, 35), (40, 65), (70, 84)), chance.sample(AMBUSHES, 3), strict=True
            )
        ]
        if chance.random() < 0.5:
            plan.append(_Due(_between(chance, 86, 92), "host", chance.choice(AMBUSHES)))
        others = sorted(self.enabled & {*WINDOWS, *DROPS})
        return plan + [_Due(_between(chance, 5, 80), name) for name in others]


def _between(chance: Random, low: int, high: int) -> Fraction:
    return Fraction(chance.randint(low * 10, high * 10), 1_000)


def _enabled(chance: Random) -> frozenset[str]:
    """Draw what a run knows: of each table at least a part."""
    tables = [[kind.name for kind in kinds] for kinds in KINDS.values()]
    enabled: set[str] = set()
    for names in [*tables, list(WINDOWS), list(DROPS)]:
        some = [name for name in names if chance.random() < ENABLED]
        enabled.update(some or [chance.choice(names)])
    return frozenset(enabled)
