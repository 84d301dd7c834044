"""The whole hold path against the floor of the same library calls by hand, as ratios in one run.

    python tests/benchmarks/bench_hold.py [--rounds 9] [--events 2000]

Both sides are driven alike, interleaved round by round: envelope in, report bytes out. Ours then also
hands the bytes to journal and bus, which happens between events and is not in either figure. The floor
is a hook call, an HMAC, a pydantic model, a lock, the same integers, a pydantic report, one span with
six attributes and two metrics, composed by hand with nothing else around them. Three settings: span
recording (batch processor, exporter that drops), sampled out, no-op provider. Hot is back to back;
cold is after 7 ms of idling, as real events come. Absolute times drift; compare ratios of one run only.
"""

import argparse
import asyncio
import gc
import hmac
import statistics
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

sys.path.insert(0, str(Path(__file__).parents[1]))

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NoOpTracerProvider
from polytraders_hookspecs import SignedEvent, gather_hook, hookimpl, new_plugin_manager
from polytraders_hookspecs.tracing import PolytradersIdGenerator
from prometheus_client import CollectorRegistry, Counter, Histogram
from pydantic import BaseModel, ConfigDict, Field
from support.fake_host import KEY, NOW_MS, FakeHost, book, partial

Handle = Callable[[SignedEvent], Awaitable[None]]
Hex64 = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]


class Drop(SpanExporter):
    """Exports nowhere."""

    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class FloorStrategy(BaseModel):
    id: str
    partial_fill_policy: Literal["hold", "cancel", "chase"]
    allow_wide_chase: bool


class FloorEvent(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)
    order_id: Hex64
    status: Literal["PARTIAL"]
    filled_usd: Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=6)]
    remaining_usd: Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=6)]
    original_price: Annotated[Decimal, Field(gt=0, lt=1, max_digits=7, decimal_places=6)]
    side: Literal["BUY", "SELL"]
    collateral: Literal["pUSD"]
    builder_code: Hex64
    market_id: Hex64
    token_id: Annotated[str, Field(pattern=r"^[0-9]{1,78}$")]
    strategy: FloorStrategy


class FloorReport(BaseModel):
    model_config = ConfigDict(frozen=True)
    report_id: str
    trace_id: str
    bot_id: str
    order_id: str
    market_id: str
    filled_usd: Decimal
    remaining_usd: Decimal
    policy_applied: str
    verdict: str
    collateral: str
    builder_code: str
    evaluated_at_ms: int
    reason_code: str
    severity: str
    user_message: str
    mode: str
    executed: bool
    final: bool
    event_ts_ms: int
    side: str
    token_id: str
    original_price: Decimal
    original_size_usd: Decimal
    root_order_id: str
    book_depth_usd: Decimal
    ticks_to_fill: Decimal


class Floor:
    """The same library calls, by hand."""

    def __init__(self, provider: Any) -> None:
        self.manager = new_plugin_manager()
        self.manager.register(self)
        self.tracer = provider.get_tracer("floor")
        registry = CollectorRegistry()
        self.decisions = Counter("decisions", "d", ["verdict"], registry=registry).labels("HOLD_REMAINDER")
        self.seconds = Histogram("seconds", "s", registry=registry)
        self.locks: dict[str, asyncio.Lock] = {}
        self.asks = [(630_000 + 10_000 * i, 1_000_000_000) for i in range(5)]
        self.out: list[bytes] = []

    @hookimpl
    async def on_partial_fill(self, envelope: SignedEvent) -> bytes:
        began = time.perf_counter_ns()
        signed = (
            b"polytraders-event-v1\n"
            + f"{envelope.key_id}\n{envelope.event_ts_ms}\n{envelope.trace_id}\n".encode()
            + envelope.body
        )
        expected = hmac.digest(KEY, signed, "sha256")
        if not hmac.compare_digest(expected, bytes.fromhex(envelope.signature)):
            raise ValueError
        event = FloorEvent.model_validate_json(envelope.body)
        lock = self.locks.setdefault(event.order_id, asyncio.Lock())
        attributes = {
            "trace": envelope.trace_id,
            "order": event.order_id,
            "side": event.side,
            "verdict": "HOLD_REMAINDER",
            "remaining": str(event.remaining_usd),
            "policy": "hold",
        }
        with self.tracer.start_as_current_span("floor", attributes=attributes):
            async with lock:
                remaining = int(event.remaining_usd.scaleb(6))
                root = int(event.original_price.scaleb(6))
                depth = sum([price * size for price, size in self.asks])
                ticks = (self.asks[0][0] - root) // 10_000
                assert depth >= remaining * 1_000_000
            report = FloorReport(
                report_id="rep_3c4d5e6f7a8b9c0d",
                trace_id=envelope.trace_id,
                bot_id="exec.partialfillhandler",
                order_id=event.order_id,
                market_id=event.market_id,
                filled_usd=event.filled_usd,
                remaining_usd=event.remaining_usd,
                policy_applied="hold",
                verdict="HOLD_REMAINDER",
                collateral="pUSD",
                builder_code=event.builder_code,
                evaluated_at_ms=NOW_MS,
                reason_code="HOLD_REMAINDER",
                severity="INFO",
                user_message="Your order is still open, waiting to be filled.",
                mode="general_live",
                executed=True,
                final=True,
                event_ts_ms=envelope.event_ts_ms,
                side=event.side,
                token_id=event.token_id,
                original_price=event.original_price,
                original_size_usd=event.filled_usd + event.remaining_usd,
                root_order_id=event.order_id,
                book_depth_usd=Decimal(depth).scaleb(-12),
                ticks_to_fill=Decimal(ticks),
            )
            payload = report.model_dump_json().encode()
        self.decisions.inc()
        self.seconds.observe((time.perf_counter_ns() - began) / 1e9)
        return payload

    async def handle(self, envelope: SignedEvent) -> None:
        for answer in self.manager.hook.on_partial_fill(envelope=envelope):
            await answer


class Count:
    """A bus that counts bytes."""

    def __init__(self) -> None:
        self.bytes = 0

    async def publish(self, topic: str, key: str, payload: bytes, message_id: str) -> None:
        self.bytes += len(payload)


async def make_ours(provider: Any, **config: Any) -> FakeHost:
    host = FakeHost(
        config={"mode": "general_live", "journal": {"durable": False}, **config},
        state_dir=Path("/tmp"),
        tracer_provider=provider,
    )
    host.reports = Count()  # type: ignore[assignment]
    await host.start()
    host.bot.on_book_update(book(asks=tuple((f"0.{63 + i}", "1000") for i in range(5))))
    return host


def events(count: int, orders: int, start: int) -> list[SignedEvent]:
    """Return events of `orders` orders in turn, each order's own in the order of its time."""
    return [
        partial(
            order_id=f"0x{n % orders:064x}",
            at_ms=NOW_MS + n // orders,
            trace_id=f"trc_{n % orders:016x}",
        )
        for n in range(start, start + count)
    ]


async def timed(handle: Handle, batch: list[SignedEvent], idle_s: float) -> float:
    """Return the median microseconds of one event."""
    took = []
    for envelope in batch:
        if idle_s:
            await asyncio.sleep(idle_s)
        began = time.perf_counter_ns()
        await handle(envelope)
        took.append(time.perf_counter_ns() - began)
        for _ in range(3):
            await asyncio.sleep(0)
    return statistics.median(took) / 1000


def providers() -> dict[str, Callable[[], Any]]:
    def recording() -> TracerProvider:
        provider = TracerProvider(id_generator=PolytradersIdGenerator())
        provider.add_span_processor(BatchSpanProcessor(Drop()))
        return provider

    return {
        "recording": recording,
        "sampled out": lambda: TracerProvider(sampler=ALWAYS_OFF),
        "no-op": NoOpTracerProvider,
    }


async def compare(rounds: int, count: int) -> None:
    print(f"hold path against the composed floor: {rounds} interleaved rounds, medians in µs per event")
    print(f"{'setting':<12} {'':<5} {'floor':>8} {'ours':>8} {'ratio':>6}   (median of the rounds' ratios)")
    for name, make in providers().items():
        floor_provider, our_provider = make(), make()
        floor, ours = Floor(floor_provider), await make_ours(our_provider)

        async def ours_handle(envelope: SignedEvent, host: FakeHost = ours) -> None:
            (result,) = await gather_hook(host.manager.hook.on_partial_fill, envelope=envelope)
            assert result.value.verdict == "HOLD_REMAINDER", result

        offset = 0
        for warmth, idle_s, size in (("hot", 0.0, count), ("cold", 0.007, 60)):
            pairs = []
            for _ in range(rounds):
                batch = events(size, 64, offset)
                offset += size
                pairs.append(
                    (await timed(floor.handle, batch, idle_s), await timed(ours_handle, batch, idle_s))
                )
            floor_us, ours_us = (statistics.median(p[i] for p in pairs) for i in (0, 1))
            ratio = statistics.median(o / f for f, o in pairs)
            print(f"{name:<12} {warmth:<5} {floor_us:>8.1f} {ours_us:>8.1f} {ratio:>6.2f}")
        await ours.stop()
        for provider in (floor_provider, our_provider):
            if isinstance(provider, TracerProvider):
                provider.shutdown()


async def flatness(sizes: tuple[int, ...]) -> None:
    print("\ncost per event by active intents (no-op provider, hot), and memory per active intent")
    base = None
    for size in sizes:
        gc.collect()
        host = await make_ours(
            NoOpTracerProvider(), execution={"max_intents": max(sizes) + 1, "seen_events": 1_000}
        )
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for n in range(size):
            envelope = partial(order_id=f"0x{n:064x}", at_ms=NOW_MS, trace_id=f"trc_{n:016x}")
            await host.bot.on_partial_fill(envelope)
            if n % 50 == 0:
                await asyncio.sleep(0)
        gc.collect()
        per_intent = (tracemalloc.get_traced_memory()[0] - before) / size
        tracemalloc.stop()
        batch = [
            partial(
                order_id=f"0x{n * 7919 % size:064x}",
                at_ms=NOW_MS + 1 + n // size,
                trace_id=f"trc_{n * 7919 % size:016x}",
            )
            for n in range(3_000)
        ]
        gc.collect()
        gc.freeze()

        async def handle(envelope: SignedEvent, host: FakeHost = host) -> None:
            await host.bot.on_partial_fill(envelope)

        micro = await timed(handle, batch, 0.0)
        gc.unfreeze()
        base = base or micro
        print(
            f"{size:>8} intents: {micro:>7.1f} µs/event, {micro / base:>5.2f}x of the first; "
            f"{per_intent:>7.0f} B/intent"
        )
        await host.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--events", type=int, default=800)
    parser.add_argument("--intents", type=int, nargs="*", default=[10, 1_000, 10_000, 100_000])
    options = parser.parse_args()
    asyncio.run(compare(options.rounds, options.events))
    asyncio.run(flatness(tuple(options.intents)))


if __name__ == "__main__":
    main()
