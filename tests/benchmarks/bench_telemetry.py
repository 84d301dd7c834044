"""What being watched costs a hold, as ratios in one run.

    python tests/benchmarks/bench_telemetry.py [--rounds 15] [--events 600]

The same events go through four bots in turn, round by round: without metrics, with them, with a span that
is sampled out, and with one that records into a batch processor whose exporter drops; the providers are
built with this contract's id generator. Each ratio is the median over the rounds, against the bot that
differs in that one thing, and the exit code is 1 when one is beyond its limit. What is done between events
(a report's way to journal and bus, and the span of that) is in none of them.
"""

import argparse
import asyncio
import gc
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.bench_hold import Drop, Handle, events, make_ours, timed
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NoOpTracerProvider
from polytraders_hookspecs import SignedEvent, gather_hook
from polytraders_hookspecs.tracing import PolytradersIdGenerator
from support.fake_host import FakeHost


class Mute:
    """Takes every call and every index, and counts nothing."""

    def __getattr__(self, name: str) -> "Mute":
        return self

    def __getitem__(self, name: object) -> "Mute":
        return self

    def __call__(self, *arguments: Any) -> "Mute":
        return self


class Setting(NamedTuple):
    """One way of being watched. `against` names the setting that it is compared with, `most` the limit."""

    name: str
    provider: Callable[[], Any]
    metrics: bool = True
    against: str = ""
    most: float = 0.0


def recording() -> TracerProvider:
    provider = TracerProvider(id_generator=PolytradersIdGenerator())
    provider.add_span_processor(BatchSpanProcessor(Drop()))
    return provider


SETTINGS = (
    Setting("no metrics, no-op", NoOpTracerProvider, metrics=False),
    Setting("no-op", NoOpTracerProvider, against="no metrics, no-op", most=1.1),
    Setting(
        "sampled out",
        lambda: TracerProvider(sampler=ALWAYS_OFF, id_generator=PolytradersIdGenerator()),
        against="no-op",
        most=1.25,
    ),
    Setting("recording", recording, against="no-op", most=2.2),
)


async def bot(setting: Setting) -> tuple[FakeHost, Handle, Any]:
    provider = setting.provider()
    host = await make_ours(provider)
    if not setting.metrics:
        metrics = host.bot._engine.tools.metrics
        for name in [*vars(metrics), "decided", "waited"]:
            setattr(metrics, name, Mute())

    async def handle(envelope: SignedEvent) -> None:
        (result,) = await gather_hook(host.manager.hook.on_partial_fill, envelope=envelope)
        assert result.value.verdict == "HOLD_REMAINDER", result

    return host, handle, provider


async def compare(rounds: int, count: int) -> dict[str, float]:
    """Return each setting's ratio."""
    bots = {setting.name: await bot(setting) for setting in SETTINGS}
    took: dict[str, list[float]] = {name: [] for name in bots}
    gc.collect()
    gc.freeze()
    for number in range(rounds):
        batch = events(count, 64, number * count)
        names = list(bots)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            took[name].append(await timed(bots[name][1], batch, 0.0))
    for host, _, provider in bots.values():
        await host.stop()
        if isinstance(provider, TracerProvider):
            provider.shutdown()
    print(f"hold path, {rounds} interleaved rounds of {count} events, medians in µs per event")
    ratios = {}
    for setting in SETTINGS:
        line = f"{setting.name:<20} {statistics.median(took[setting.name]):>8.1f}"
        if setting.against:
            pairs = zip(took[setting.name], took[setting.against], strict=True)
            ratio = ratios[setting.name] = statistics.median(ours / base for ours, base in pairs)
            line += f"   {ratio:.2f}x of {setting.against} (at most {setting.most}x)"
        print(line)
    return ratios


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--events", type=int, default=600)
    options = parser.parse_args()
    ratios = asyncio.run(compare(options.rounds, options.events))
    return int(any(ratios[setting.name] > setting.most for setting in SETTINGS if setting.against))


if __name__ == "__main__":
    sys.exit(main())
