"""A fake host whose spans are kept, under a provider of one's choice."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from polytraders_hookspecs.tracing import PolytradersIdGenerator

from support.fake_host import ROOT, FakeHost, Resting, book


def deriving() -> TracerProvider:
    """A provider as a host builds it that wants one trace per order."""
    return TracerProvider(id_generator=PolytradersIdGenerator())


class Kept:
    """The finished spans of a provider, oldest first."""

    def __init__(self, provider: TracerProvider) -> None:
        self._exporter = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span

    def traces(self) -> set[int]:
        return {context.trace_id for span in self.all if (context := span.get_span_context())}

    def path(self, span: ReadableSpan) -> list[str]:
        """The names from the outermost span to this one."""
        by_id = {context.span_id: each for each in self.all if (context := each.get_span_context())}
        names = [span.name]
        while span.parent is not None and span.parent.span_id in by_id:
            span = by_id[span.parent.span_id]
            names.insert(0, span.name)
        return names


@asynccontextmanager
async def traced_host(
    provider: TracerProvider, state_dir: Path, config: Mapping[str, Any] | None = None
) -> AsyncIterator[FakeHost]:
    """A live host with one part-filled order of the card's example on its exchange."""
    host = FakeHost({"mode": "general_live", **(config or {})}, state_dir, tracer_provider=provider)
    host.exchange.book = book()
    host.exchange.orders[ROOT] = Resting(725_806_451, 620_000, 322_580_645)
    await host.start()
    try:
        yield host
    finally:
        await host.stop()
