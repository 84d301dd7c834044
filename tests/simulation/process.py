"""One life of the host: the real plugin on its services, and everything that runs in it until it dies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pluggy
from opentelemetry.trace import NoOpTracerProvider, TracerProvider
from polytraders_hookspecs import PROJECT_NAME, specs
from prometheus_client import CollectorRegistry
from support.fake_host import KEY, KEY_ID

from polytraders_pfh import __version__
from polytraders_pfh.config import Settings, load_settings
from polytraders_pfh.engine import assembly
from polytraders_pfh.engine.assembly import assemble
from polytraders_pfh.engine.journal import Kind, MemoryJournal
from polytraders_pfh.plugin import PartialFillHandler
from polytraders_pfh.telemetry.metrics import Metrics
from simulation.disk import NOT_OPEN, Disk, DiskJournal
from simulation.loop import LIFE, VirtualClock
from simulation.neighbour import Neighbour
from simulation.ports import BookKeeper, Bus, Signer, Switch
from simulation.world import World

BOT = "exec.partialfillhandler"


class Plugins(pluggy.PluginManager):
    """A manager that looks a plugin's class over once, not once a life."""

    def __init__(self) -> None:
        super().__init__(PROJECT_NAME)
        self.add_hookspecs(specs)

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        """Return the options of a hook, or None for what is none."""
        return _options(super().parse_hookimpl_opts, plugin, type(plugin), name)

    def parse_hookspec_opts(self, module_or_class: Any, name: str) -> Any:
        """Return the options of a hook's specification, or None for what is none."""
        return _options(super().parse_hookspec_opts, module_or_class, module_or_class, name)


def _options(parse: Callable[[Any, str], Any], thing: Any, kind: Any, name: str) -> Any:
    if (kind, name) not in _OPTIONS:
        _OPTIONS[kind, name] = parse(thing, name)
    found = _OPTIONS[kind, name]
    return None if found is None else dict(found)


_OPTIONS: Final[dict[tuple[Any, str], Any]] = {}


class Unscraped(CollectorRegistry):
    """A registry that keeps nothing, so that one life's gauges go with it."""

    def register(self, collector: Any) -> None:
        """Forget it."""


@dataclass
class Services:
    """Every service of the contract."""

    config: Mapping[str, Any]
    clock: VirtualClock
    clob_public: World
    clob_auth: World
    signer: Signer
    kill_switch: Switch
    orders: BookKeeper
    reports: Bus
    manager: pluggy.PluginManager
    metrics_registry: CollectorRegistry
    hookspec_version: str = "1.0"
    event_keys: Mapping[str, bytes] | Any = None
    tracer_provider: TracerProvider | Any = None
    state_dir: Path = Path("/nowhere")

    @property
    def hooks(self) -> pluggy.HookRelay:
        """Return the relay to all bots of this host."""
        return self.manager.hook


@dataclass(frozen=True)
class Setup:
    """What stays the same from one life to the next."""

    world: World
    signer: Signer
    switch: Switch
    bus: Bus
    settings: Settings
    disk: Disk | None
    neighbour: bool


class Process:
    """One life."""

    def __init__(self, life: int, setup: Setup) -> None:
        self.life = life
        world = setup.world
        self.context = copy_context()
        self.context.run(LIFE.set, life)
        self.died: asyncio.Future[None] = world.loop.create_future()
        self.starting: asyncio.Task[Any] | None = None
        self.bookkeeper = BookKeeper(world)
        self.journal: MemoryJournal | DiskJournal = (
            MemoryJournal()
            if setup.disk is None
            else DiskJournal(setup.disk, world.loop, world.rng, world.faults, self.context)
        )
        self._world = world
        self.services = services = Services(
            config={},
            clock=world.clock,
            clob_public=world,
            clob_auth=world,
            signer=setup.signer,
            kill_switch=setup.switch,
            orders=self.bookkeeper,
            reports=setup.bus,
            manager=Plugins(),
            metrics_registry=CollectorRegistry(),
            event_keys={KEY_ID: KEY},
            tracer_provider=NoOpTracerProvider(),
        )
        with patch.object(assembly, "Metrics", lambda *_: _metrics()):
            self.engine = self.context.run(assemble, services, setup.settings, __version__, self.journal)
        self.trips_before = self._trips()
        self.bot = PartialFillHandler(self.engine)
        services.manager.register(self.bot, BOT)
        if setup.neighbour:
            services.manager.register(Neighbour(world), "neighbour")

    def trips(self) -> int:
        """Return how often the last check before a send held something back."""
        return self._trips() - self.trips_before

    def _trips(self) -> int:
        return int(self.engine.tools.metrics.invariant_trips._value.get())

    @property
    def is_open(self) -> bool:
        """Whether the log has been opened."""
        return not isinstance(self.journal, DiskJournal) or self.journal.failed != NOT_OPEN

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start something inside this process."""
        return self._world.loop.begin(work, self.context.copy())

    def has_post(self, order_id: str) -> bool:
        """Return whether the log has the intent to post this order."""
        if isinstance(self.journal, DiskJournal):
            return self.journal.has_post(order_id)
        return any(r.kind is Kind.POST_RECORDED and r.order_id == order_id for r in self.journal.records)


@cache
def _metrics() -> Metrics:
    """Return one set of counters for every life: to make them takes longer than most lives."""
    return Metrics(Unscraped())


@lru_cache(maxsize=256)
def settings_of(
    max_in_flight: int, tombstone_ms: int, cancel_batch: int, thin: bool, policy: str
) -> Settings:
    """Return settings as a host's config would give them."""
    return load_settings(
        {
            "mode": "general_live",
            "execution": {
                "max_in_flight": max_in_flight,
                "tombstone_ms": tombstone_ms,
                "cancel_batch": cancel_batch,
            },
            "defaults": {"chase_max_ticks": 3, "cancel_on_book_thin": thin, "default_policy": policy},
        }
    )
