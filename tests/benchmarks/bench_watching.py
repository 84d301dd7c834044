"""What watching costs on the hold path, as ratios in one run: metrics, spans sampled out, spans recorded.

    python tests/benchmarks/bench_watching.py [--rounds 15] [--events 600]

Metrics are held against the same path without any (bound: 1.1), spans against the path with a no-op provider
(bounds: 1.25 sampled out, 2.2 recorded with a batch processor whose exporter drops). All are interleaved
round by round, and the order turns with each. Absolute times drift; compare ratios of one run only.
"""

import argparse
import asyncio
import statistics
import sys
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from bench_hold import events, make_ours, providers, timed
from opentelemetry.sdk.trace import TracerProvider
from polytraders_hookspecs import SignedEvent, gather_hook
from support.fake_host import FakeHost

BARE: Final = "no metrics"
BOUNDS: Final = (("no-op", BARE, 1.1), ("sampled out", "no-op", 1.25), ("recording", "no-op", 2.2))
"""What is measured, against what, and how many times as long it may take."""


class Nothing:
    """Takes the place of the metrics that a hold moves."""

    def observe(self, value: float, exemplar: Any = None) -> None:
        """Do nothing."""


def unmeasured(host: FakeHost) -> None:
    """Take the metrics out of a host's hold path."""
    metrics = host.bot._engine.tools.metrics
    metrics.decided = lambda *_: None
    metrics.event_age_seconds = Nothing()


async def handled(host: FakeHost, envelope: SignedEvent) -> None:
    """Have one event answered as a host would."""
    (result,) = await gather_hook(host.manager.hook.on_partial_fill, envelope=envelope)
    assert result.value.verdict == "HOLD_REMAINDER", result


async def measure(rounds: int, count: int) -> dict[str, list[float]]:
    """Return the median microseconds of an event, by setting and round."""
    made = {name: make() for name, make in providers().items()}
    hosts = {name: await make_ours(provider) for name, provider in made.items()}
    hosts[BARE] = await make_ours(providers()["no-op"]())
    unmeasured(hosts[BARE])
    took: dict[str, list[float]] = {name: [] for name in hosts}
    for turn in range(rounds):
        batch = events(count, 64, turn * count)
        order = list(hosts)
        for name in order[turn % len(order) :] + order[: turn % len(order)]:
            host = hosts[name]
            took[name].append(await timed(lambda envelope, host=host: handled(host, envelope), batch, 0.0))
    for host in hosts.values():
        await host.stop()
    for provider in made.values():
        if isinstance(provider, TracerProvider):
            provider.shutdown()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--events", type=int, default=600)
    options = parser.parse_args()
    took = asyncio.run(measure(options.rounds, options.events))
    print(f"{options.rounds} rounds of {options.events} holds each; medians, ratios round by round")
    for name, base, bound in BOUNDS:
        ratio = statistics.median(one / other for one, other in zip(took[name], took[base], strict=True))
        micros = statistics.median(took[name])
        print(f"{name:<12} {micros:>7.1f} µs  {ratio:>5.2f} times {base} (bound {bound})")


if __name__ == "__main__":
    main()
