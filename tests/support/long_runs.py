"""Days of a real bot on a fake host in a second: its journal, and what a Prometheus would have scraped."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry

from support.fake_host import FakeClock, FakeHost, Resting, book, partial

NAME = "polytraders_exec_partialfillhandler_decisions"
MINUTE_MS = 60_000

Scraped = list[tuple[int, dict[str, float]]]
"""(moment in Unix ms, the counter's value by verdict)."""


def decisions(registry: CollectorRegistry) -> dict[str, float]:
    """Return the counter of decisions by verdict."""
    return {
        sample.labels["verdict"]: sample.value
        for metric in registry.collect()
        if metric.name == NAME
        for sample in metric.samples
        if sample.name == f"{NAME}_total"
    }


def fills(
    state_dir: Path,
    mode: str,
    moments: list[int],
    remaining: Callable[[int], str] = lambda n: "250",
    policy: str = "chase",
) -> Scraped:
    """Have a bot decide one partial fill at each of these moments; return what was scraped around them."""
    return asyncio.run(_fills(state_dir, mode, moments, remaining, policy))


async def _fills(
    state_dir: Path, mode: str, moments: list[int], remaining: Callable[[int], str], policy: str
) -> Scraped:
    clock = FakeClock(moments[0] - MINUTE_MS)
    host = FakeHost(config={"mode": mode}, state_dir=state_dir, clock=clock)
    await host.start()
    scraped = [(clock.ms, decisions(host.metrics_registry))]
    for n, at_ms in enumerate(moments):
        clock.ms = at_ms
        host.exchange.book = book(timestamp_ms=at_ms)
        order_id = f"0x{at_ms:064x}"
        host.exchange.orders[order_id] = Resting(size=725_806_451, price=620_000, matched=322_580_645)
        event = partial(
            order_id=order_id,
            at_ms=at_ms,
            trace_id=f"trc_{at_ms:016x}",
            policy=policy,
            remaining=remaining(n),
        )
        await host.bot.on_partial_fill(event)
        scraped.append((at_ms + MINUTE_MS, decisions(host.metrics_registry)))
    await host.stop()
    return scraped


def openmetrics(lives: list[Scraped], instance: str = "one") -> str:
    """Return what was scraped of a host over its lives as OpenMetrics text with moments."""
    lines = [f"# TYPE {NAME} counter"]
    for verdict in sorted({verdict for life in lives for _, values in life for verdict in values}):
        for life in lives:
            lines += [
                f'{NAME}_total{{verdict="{verdict}",instance="{instance}"}} {values[verdict]} {at_ms / 1000}'
                for at_ms, values in life
            ]
    return "\n".join([*lines, "# EOF", ""])
