"""What a bot gets from this host: the contract's `HostServices`, one set per bot."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pluggy
from opentelemetry.trace import TracerProvider
from polytraders_hookspecs import (
    HOOKSPEC_VERSION,
    ClobAuth,
    ClobPublic,
    Clock,
    Fence,
    KillSwitch,
    OrderBookkeeper,
    ReportBus,
    SharedLog,
    Signer,
)
from prometheus_client import CollectorRegistry


@dataclass(frozen=True, slots=True)
class BotServices:
    """The services of one bot: shared ones, its own config section, its own directory."""

    config: Mapping[str, Any] = field(repr=False)
    event_keys: Mapping[str, bytes] = field(repr=False)
    clob_public: ClobPublic
    clob_auth: ClobAuth
    signer: Signer
    kill_switch: KillSwitch
    orders: OrderBookkeeper
    reports: ReportBus
    hooks: pluggy.HookRelay
    tracer_provider: TracerProvider
    metrics_registry: CollectorRegistry
    clock: Clock
    state_dir: Path
    hookspec_version: str = HOOKSPEC_VERSION
    fence: Fence | None = None
    shared_log: SharedLog | None = None
