"""Spans under three kinds of provider, and metrics in the host's own registry."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from polytraders_hookspecs import otel_trace_id
from polytraders_hookspecs.tracing import PolytradersIdGenerator
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from support.fake_host import ROOT, TRACE, FakeHost, Resting, book, partial

from polytraders_pfh.telemetry import names
from polytraders_pfh.telemetry.deferred import DeferredHistogram


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    yield exporter
    exporter.shutdown()


async def run_chase(provider: TracerProvider, exporter: InMemorySpanExporter, tmp_path: Path) -> FakeHost:
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    host = FakeHost(config={"mode": "general_live"}, state_dir=tmp_path, tracer_provider=provider)
    host.exchange.book = book()
    host.exchange.orders[ROOT] = Resting(725_806_451, 620_000, 322_580_645)
    await host.start()
    await host.bot.on_partial_fill(partial(policy="chase"))
    await host.stop()
    return host


def named(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


async def test_every_step_of_a_chase_is_a_span_in_the_order_s_own_trace(
    spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    await run_chase(TracerProvider(id_generator=PolytradersIdGenerator()), spans, tmp_path)

    found = spans.get_finished_spans()
    assert {span.name for span in found} == {
        names.SPAN_PARTIAL_FILL,
        names.SPAN_BOOK_FETCH,
        names.SPAN_CANCEL,
        names.SPAN_READ_ORDER,
        names.SPAN_SIGN,
        names.SPAN_POST,
    }
    assert {span.context.trace_id for span in found if span.context} == {otel_trace_id(TRACE)}
    assert all((span.attributes or {})[names.ATTR_TRACE_ID] == TRACE for span in found)


async def test_steps_are_children_of_the_event(spans: InMemorySpanExporter, tmp_path: Path) -> None:
    await run_chase(TracerProvider(id_generator=PolytradersIdGenerator()), spans, tmp_path)

    root = named(spans)[names.SPAN_PARTIAL_FILL]
    assert root.parent is None
    assert root.context
    for name, span in named(spans).items():
        if name != names.SPAN_PARTIAL_FILL:
            assert span.parent
            assert span.parent.span_id == root.context.span_id


async def test_decision_stands_on_the_event_s_span(spans: InMemorySpanExporter, tmp_path: Path) -> None:
    await run_chase(TracerProvider(id_generator=PolytradersIdGenerator()), spans, tmp_path)

    attributes = named(spans)[names.SPAN_PARTIAL_FILL].attributes or {}
    assert attributes[names.ATTR_VERDICT] == "CHASE_ORDER_SUBMITTED"
    assert attributes[names.ATTR_ROW] == 11
    assert attributes[names.ATTR_TICKS] == "1"
    assert attributes[names.ATTR_DEPTH_USD] == "630"


async def test_host_s_own_provider_gets_children_of_its_span_linked_to_the_derived_trace(
    spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    provider = TracerProvider()
    with provider.get_tracer("host").start_as_current_span("host") as outer:
        await run_chase(provider, spans, tmp_path)

    event = named(spans)[names.SPAN_PARTIAL_FILL]
    assert event.parent
    assert event.parent.span_id == outer.get_span_context().span_id
    assert [link.context.trace_id for link in event.links] == [otel_trace_id(TRACE)]


async def test_span_that_is_sampled_out_changes_nothing(spans: InMemorySpanExporter, tmp_path: Path) -> None:
    host = await run_chase(TracerProvider(sampler=ALWAYS_OFF), spans, tmp_path)

    assert spans.get_finished_spans() == ()
    assert host.sample("decisions_total", {"verdict": "CHASE_ORDER_SUBMITTED"}) == 1
    assert b"# {" not in generate_openmetrics(host.metrics_registry)


async def test_exemplar_carries_the_otel_trace(spans: InMemorySpanExporter, tmp_path: Path) -> None:
    host = await run_chase(TracerProvider(id_generator=PolytradersIdGenerator()), spans, tmp_path)

    text = generate_openmetrics(host.metrics_registry).decode()
    assert f'trace_id="{otel_trace_id(TRACE):032x}"' in text


async def test_report_carries_the_traceparent_of_its_event(
    spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    host = await run_chase(TracerProvider(id_generator=PolytradersIdGenerator()), spans, tmp_path)

    (report,) = host.reports.reports()
    assert report["traceparent"].startswith(f"00-{otel_trace_id(TRACE):032x}-")


async def test_warnings_are_events_on_the_span(spans: InMemorySpanExporter, tmp_path: Path) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    host = FakeHost(config={"mode": "general_live"}, state_dir=tmp_path, tracer_provider=provider)
    host.exchange.book = ConnectionError("down")
    await host.start()
    await host.bot.on_partial_fill(partial())
    await host.stop()

    assert [event.name for event in named(spans)[names.SPAN_PARTIAL_FILL].events] == ["BOOK_UNAVAILABLE"]


async def test_metrics_are_those_that_are_documented(tmp_path: Path) -> None:
    host = FakeHost(config={}, state_dir=tmp_path)
    await host.start()
    await host.stop()

    text = generate_latest(host.metrics_registry).decode()
    kinds = dict(line.split()[2:4] for line in text.splitlines() if line.startswith("# TYPE"))
    documented = {metric.full_name: metric.kind for metric in names.METRICS}
    assert {n: k for n, k in kinds.items() if not n.endswith("_created")} == documented


def test_the_card_s_three_metrics_have_their_exact_names_and_labels() -> None:
    prefix = "polytraders_exec_partialfillhandler_"
    assert [(m.full_name, m.kind, tuple(m.labels)) for m in names.METRICS[:3]] == [
        (f"{prefix}decisions_total", "counter", ("verdict",)),
        (f"{prefix}remainder_usd", "histogram", ()),
        (f"{prefix}chase_ticks", "histogram", ()),
    ]


def test_deferred_histogram_counts_like_a_plain_one() -> None:
    registry = CollectorRegistry()
    deferred = DeferredHistogram("waits", "Waits.", (0.1, 1.0), registry)
    for value in [0.05] * 5_000 + [0.5, 2.0]:
        deferred.observe(value)

    assert registry.get_sample_value("waits_bucket", {"le": "0.1"}) == 5_000
    assert registry.get_sample_value("waits_bucket", {"le": "1.0"}) == 5_001
    assert registry.get_sample_value("waits_count") == 5_002
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        DeferredHistogram("waits", "Waits.", (0.1,), registry)
