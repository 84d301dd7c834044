"""What a run was asked to do, how far it is, and what came of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from polytraders_hookspecs.events import Policy

from polytraders_pfh.demo.chains import Chain, chains_of
from polytraders_pfh.demo.desk import Intent
from polytraders_pfh.demo.flow import Flow
from polytraders_pfh.demo.oracle import (
    Circumstances,
    HistoryJudge,
    Violation,
    judge_books,
    judge_kill,
    judge_reports,
)
from polytraders_pfh.demo.tally import Figures, figures_of
from polytraders_pfh.demo.truth import KillMark
from polytraders_pfh.demo.world import BOT_SETTINGS, PAIRS_PER_MARKET, World
from polytraders_pfh.paper.core.model import MICRO, ExchangeConfig, Market, OrderRecord


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. `speed` is recorded time over real time, None as fast as it goes.

    `settings` is the plugin's section of the host's config. With `faults` the exchange misbehaves as
    drawn from it, and hosts are killed. With `otlp` every host's spans are sent to that address.
    """

    flow: Flow
    seed: int
    policies: tuple[Policy, ...]
    speed: Fraction | None = None
    settings: Mapping[str, Any] = field(default_factory=lambda: BOT_SETTINGS)
    faults: int | None = None
    otlp: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: `done` of `total` in the flow's own unit, moves so far, the market's time."""

    done: int
    total: int
    moves: int
    now_ms: int
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it. Every fill in here is SIMULATED.

    `orders` are the strategies' own; `chase_orders` those that the plugin posted after them. `killed` is
    how many remainders the kill switch cancelled, None when it was not reached. `complete` is False when
    the run was stopped early. `faults` are those that took place, by kind, and `restarts` how often a
    host was killed and another took over; nothing of that without faults in the plan. `examples` names
    one order's `trace_id` for each verdict.
    """

    plan: Plan
    mode: str
    orders: int
    chase_orders: int
    partial_fills: int
    verdicts: Mapping[str, int]
    warnings: Mapping[str, int]
    figures: tuple[Figures, ...]
    violations: tuple[Violation, ...]
    moves: int
    elapsed_s: float
    complete: bool
    killed: int | None
    faults: Mapping[str, int] = field(default_factory=dict)
    restarts: int = 0
    examples: Mapping[str, str] = field(default_factory=dict)


def judge_world(
    world: World,
    intents: Sequence[Intent],
    reports: Sequence[Mapping[str, Any]],
    markets: Sequence[Market],
    chase_max_ticks: int,
) -> tuple[list[Chain], list[Violation]]:
    """Return every intent's chain, and what the oracle found. All trades are settled first."""
    _settle(world)
    exchange = world.exchange
    history = HistoryJudge(intents, {m.condition_id: m.tick_micro for m in markets}, chase_max_ticks)
    for fact in exchange.facts:
        history.read(fact)
    trades = exchange.trades(world.api_key)
    chains, strays = chains_of(intents, exchange.facts, trades)
    records = {order_id: order for chain in chains.values() for order_id, order in chain.orders.items()}
    records |= {order.order_id: order for order in strays}
    found = history.found + judge_reports(
        reports, world.observer.partials, records, history.levels, _circumstances(world)
    )
    if world.trouble is not None:
        found += judge_kill(exchange.facts)
    expected = _shares(chains.values(), records, markets)
    held = {token_id: exchange.balance(world.owner, token_id) for token_id in expected}
    return list(chains.values()), found + judge_books(exchange.audit(), held, expected)


def count_result(
    world: World,
    plan: Plan,
    chains: Sequence[Chain],
    violations: Sequence[Violation],
    reports: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the counted fields of a `Result`."""
    finals = [report for report in reports if report.get("final")]
    partials = Counter(partial.order_id for partial in world.observer.partials)
    return {
        "orders": len(chains),
        "chase_orders": sum(len(chain.chases) for chain in chains),
        "partial_fills": partials.total(),
        "verdicts": Counter(str(report["verdict"]) for report in finals),
        "warnings": Counter(str(warning) for report in finals for warning in report.get("warnings", ())),
        "figures": figures_of(chains, plan.policies, partials),
        "violations": tuple(violations),
        "faults": dict(world.trouble.met) if world.trouble else {},
        "restarts": world.trouble.restarts if world.trouble else 0,
        "examples": {str(each["verdict"]): str(each["trace_id"]) for each in finals if "trace_id" in each},
    }


def _circumstances(world: World) -> Circumstances | None:
    if world.trouble is None:
        return None
    unarrived = {
        order_id: order.maker_amount_micro if order.side == "BUY" else order.taker_amount_micro
        for order_id, order in world.signer.signed.items()
        if world.exchange.order(order_id) is None
    }
    kills = [fact.timestamp_ms for fact in world.exchange.facts if isinstance(fact, KillMark)]
    return Circumstances(frozenset(world.trouble.lives.unaccepted), unarrived, kills[0] if kills else None)


def _settle(world: World) -> None:
    config = ExchangeConfig()
    last_ms = world.clock.now_ms() + config.mine_delay_ms + config.confirm_delay_ms
    world.clock.move_to(last_ms)
    world.server.tick()


def _shares(
    chains: Iterable[Chain], records: Mapping[str, OrderRecord], markets: Sequence[Market]
) -> dict[str, int]:
    """Return what minting and the fills of our orders add up to, by token."""
    held = {token_id: PAIRS_PER_MARKET * MICRO for market in markets for token_id in market.token_ids}
    for chain in chains:
        for fill in chain.fills:
            request = records[fill.order_id].request
            held[request.token_id] += fill.size_micro if request.side == "BUY" else -fill.size_micro
    return held
