"""Spans over real OTLP/HTTP: sent by the exporter that hosts use, read back from the wire, compared."""

import json
import socket
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from polytraders_hookspecs import KillSwitchSignal, otel_trace_id
from support.fake_host import NOW_MS, TRACE, partial, reply
from support.otlp_receiver import Collector, Received, collector
from support.traced_host import traced_host

from polytraders_pfh.cli import main
from polytraders_pfh.host.config import SERVICE_NAME, TelemetrySection
from polytraders_pfh.host.tracing import otlp_fault, tracer_provider

OTHER = "0x" + "d4" * 32
QUICK = ("demo", "--synthetic", "--markets", "1", "--speed", "1000000", "--json")


@pytest.fixture
def jaeger() -> Iterator[Collector]:
    """Not Jaeger itself: whatever takes OTLP over HTTP."""
    with collector() as listening:
        yield listening


@pytest.fixture
def _short_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polytraders_pfh.demo.market.SYNTHETIC_MS", 60_000)


async def test_a_chase_reads_back_from_the_collector_as_the_tree_that_it_was(
    jaeger: Collector, tmp_path: Path
) -> None:
    provider = tracer_provider(TelemetrySection(otlp_endpoint=jaeger.url))
    async with traced_host(provider, tmp_path) as host:
        report = await host.bot.on_partial_fill(partial(policy="chase"))
        await host.reports.until(1)
    provider.shutdown()

    event = jaeger.named("pfh.partial_fill")[0]
    chase = jaeger.named("pfh.cancel_replace")[0]
    below = Counter((span.name, span.parent_id) for span in jaeger.spans if span is not event)
    assert below.pop(("pfh.journal.commit", chase.span_id)) >= 1
    assert below == {
        ("pfh.order.facts", event.span_id): 1,
        ("pfh.book.fetch", event.span_id): 1,
        ("pfh.cancel_replace", event.span_id): 1,
        ("send polytraders.reports.execution", event.span_id): 1,
        ("pfh.cancel", chase.span_id): 1,
        ("pfh.book.fetch", chase.span_id): 1,
        ("pfh.order.read", chase.span_id): 1,
        ("pfh.trades.read", chase.span_id): 1,
        ("pfh.sign", chase.span_id): 1,
        ("pfh.killswitch.read", chase.span_id): 1,
        ("pfh.post", chase.span_id): 1,
    }
    assert event.parent_id == ""
    assert {span.trace_id for span in jaeger.spans} == {f"{otel_trace_id(TRACE):032x}"}
    assert {(span.service, span.scope) for span in jaeger.spans} == {(SERVICE_NAME, "polytraders_pfh")}
    assert jaeger.searched(TRACE) == jaeger.spans
    assert event.attributes["polytraders.verdict"] == report.verdict == "CHASE_ORDER_SUBMITTED"
    assert event.attributes["polytraders.chase_max_ticks"] == 3
    assert event.attributes["polytraders.cancel_on_book_thin"] is True
    assert report.traceparent == f"00-{event.trace_id}-{event.span_id}-01"
    kinds = {span.kind for span in jaeger.named("send polytraders.reports.execution")}
    assert kinds == {"SPAN_KIND_PRODUCER"}
    assert all(event.start_ns <= span.start_ns <= span.end_ns for span in jaeger.spans)


async def test_warnings_and_refusals_arrive_as_events(jaeger: Collector, tmp_path: Path) -> None:
    provider = tracer_provider(TelemetrySection(otlp_endpoint=jaeger.url))
    async with traced_host(provider, tmp_path) as host:
        known, host.exchange.book = host.exchange.book, ConnectionError("down")
        await host.bot.on_partial_fill(partial(order_id=OTHER, trace_id="trc_of_another"))
        host.exchange.book = known
        host.exchange.on_post = lambda *_: reply(400, {"error": "not enough balance"})
        await host.bot.on_partial_fill(partial(policy="chase"))
    provider.shutdown()

    words = "not enough balance (HTTP 400)"
    (post,), (warned, refused) = jaeger.named("pfh.post"), jaeger.named("pfh.partial_fill")
    assert post.events == [("refused", {"polytraders.detail": words})]
    assert refused.events == [
        ("CHASE_REJECTED", {"polytraders.severity": "WARN", "polytraders.detail": words})
    ]
    assert warned.events == [("BOOK_UNAVAILABLE", {"polytraders.severity": "WARN"})]


async def test_under_a_host_s_own_provider_every_span_is_found_by_its_tag_and_linked_to_the_derived_trace(
    jaeger: Collector, tmp_path: Path
) -> None:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{jaeger.url}/v1/traces")))
    tracer = provider.get_tracer("a host of its own")
    async with traced_host(provider, tmp_path) as host:
        with tracer.start_as_current_span("an event"):
            await host.bot.on_partial_fill(partial(policy="chase"))
        with tracer.start_as_current_span("the kill switch"):
            await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill"))
        await host.reports.until(2)
    provider.shutdown()

    hosts = {span.name: span for span in jaeger.spans if span.scope == "a host of its own"}
    ours = [span for span in jaeger.spans if span.scope == "polytraders_pfh"]
    assert jaeger.searched(TRACE) == ours
    (event,), (sweep,) = jaeger.named("pfh.partial_fill"), jaeger.named("pfh.killswitch")
    assert event.parent_id == hosts["an event"].span_id
    assert sweep.parent_id == hosts["the kill switch"].span_id
    assert event.links == sweep.links == [f"{otel_trace_id(TRACE):032x}"]
    assert {span.trace_id for span in ours} == {span.trace_id for span in hosts.values()}


@pytest.mark.usefixtures("_short_day")
def test_a_whole_demo_goes_to_the_collector_and_its_end_says_what_to_search(jaeger: Collector) -> None:
    ended = CliRunner().invoke(main, [*QUICK, "--seed", "8", "--otlp", jaeger.url])
    told = json.loads(ended.stdout)

    assert (ended.exit_code, ended.stderr) == (0, "")
    assert told["otlp"]["sent_to"] == jaeger.url
    assert {span.service for span in jaeger.spans} == {told["otlp"]["service"]}
    assert {line["verdict"] for line in told["otlp"]["search"]} == set(told["verdicts"])
    for line in told["otlp"]["search"]:
        found = _searched(jaeger, line["tag"])
        assert {span.trace_id for span in found} == {line["trace"]}
        assert line["verdict"] in {span.attributes.get("polytraders.verdict") for span in found}
    handled = jaeger.named("pfh.partial_fill")
    assert len(handled) == told["partial_fills"]
    assert {span.attributes["polytraders.policy"] for span in handled} == {"hold", "cancel", "chase"}
    _each_order_is_one_whole_trace(jaeger)


@pytest.mark.usefixtures("_short_day")
def test_every_life_of_a_host_that_is_killed_and_started_again_is_in_the_same_traces(
    jaeger: Collector,
) -> None:
    ended = CliRunner().invoke(main, [*QUICK, "--seed", "8", "--faults", "6", "--otlp", jaeger.url])
    told = json.loads(ended.stdout)

    assert ended.exit_code == 0, ended.output
    assert told["restarts"] > 0
    assert {line["trace"] for line in told["otlp"]["search"]} <= {span.trace_id for span in jaeger.spans}
    _each_order_is_one_whole_trace(jaeger)


def test_the_demo_says_in_one_sentence_that_nobody_collects_spans_there() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        ended = CliRunner().invoke(main, [*QUICK, "--otlp", url])

    assert ended.exit_code == 1
    (sentence,) = ended.stderr.splitlines()
    assert sentence.startswith(f"no span collector answered at {url}/v1/traces (")
    assert sentence.endswith("; start one there: Jaeger takes OTLP on port 4318")


def test_an_address_that_is_none_is_named() -> None:
    told = otlp_fault("localhost:4318")

    assert told == "the address of the span collector was 'localhost:4318'; use http://HOST:PORT"


def _searched(jaeger: Collector, tag: str) -> list[Received]:
    name, _, trace_id = tag.partition("=")
    assert name == "polytraders.trace_id"
    return jaeger.searched(trace_id)


def _each_order_is_one_whole_trace(jaeger: Collector) -> None:
    """Every span is tagged, one OTel trace per tag, and no span's parent is missing."""
    traces: defaultdict[Any, set[str]] = defaultdict(set)
    for span in jaeger.spans:
        traces[span.attributes.get("polytraders.trace_id")].add(span.trace_id)
    assert traces == {trace_id: {f"{otel_trace_id(str(trace_id)):032x}"} for trace_id in traces}
    known = {span.span_id for span in jaeger.spans} | {""}
    assert [span.name for span in jaeger.spans if span.parent_id not in known] == []
