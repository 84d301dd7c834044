import gzip
import zlib
from pathlib import Path

from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from polytraders_hookspecs import otel_trace_id
from support.eventually import eventually
from support.host_stage import ACCEPTED, WISH, host_stage, order_event
from support.stub_exchange import StubExchange, json_answer


async def test_every_event_of_an_order_is_a_span_in_that_orders_own_trace(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    async with host_stage(tmp_path) as s:
        s.host.tracers.add_span_processor(SimpleSpanProcessor(exporter))
        s.exchange.answer_json("POST /order", ACCEPTED)
        placed = await s.host.place(WISH)
        await eventually(lambda: any(name == "user" for name, _ in s.feed.open))
        await s.feed.send(order_event(placed.order_id, "25"), "user")
        await s.feed.send(order_event(placed.order_id, "100", "MATCHED", 2), "user")
        await eventually(lambda: s.bot.closed)
        await s.host.settle(5)
    spans = exporter.get_finished_spans()

    assert [span.name for span in spans] == ["host on_partial_fill", "host on_order_closed"]
    assert {span.context.trace_id for span in spans} == {otel_trace_id(placed.trace_id)}
    assert {span.attributes["polytraders.trace_id"] for span in spans} == {placed.trace_id}


async def test_spans_reach_the_collector_before_the_host_has_stopped(tmp_path: Path) -> None:
    async with StubExchange() as collector:
        collector.answer("POST /v1/traces", json_answer({}))
        async with host_stage(tmp_path, telemetry={"otlp_endpoint": collector.url}) as s:
            s.exchange.answer_json("POST /order", ACCEPTED)
            placed = await s.host.place(WISH)
            await eventually(lambda: any(name == "user" for name, _ in s.feed.open))
            await s.feed.send(order_event(placed.order_id, "25"), "user")
            await eventually(lambda: s.bot.partials)
        sent = b"".join(_plain(seen.body) for seen in collector.calls("POST /v1/traces"))

    assert placed.trace_id.encode() in sent
    assert otel_trace_id(placed.trace_id).to_bytes(16, "big") in sent


def _plain(body: bytes) -> bytes:
    try:
        return gzip.decompress(body)
    except (OSError, zlib.error):
        return body
