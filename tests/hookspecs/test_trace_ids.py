"""One order, one trace: the id is a fixed function, and the generator puts spans of any process into it."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from polytraders_hookspecs import order_trace, otel_trace_id
from polytraders_hookspecs.trace_ids import current_order_trace
from polytraders_hookspecs.tracing import PolytradersIdGenerator

TRACE = "trc_2b3c4d5e6f7a8b9c"


def sha(trace_id: str) -> str:
    return hashlib.sha256(b"polytraders/otel/1\0" + trace_id.encode()).hexdigest()


def test_the_cards_trace_id_keeps_its_digits_in_front() -> None:
    assert f"{otel_trace_id(TRACE):032x}" == "2b3c4d5e6f7a8b9c" + sha(TRACE)[:16]


@given(st.from_regex(r"trc_[0-9a-f]{16}", fullmatch=True))
def test_a_trace_id_of_sixteen_hex_digits_keeps_them_in_front(trace_id: str) -> None:
    assert f"{otel_trace_id(trace_id):032x}" == trace_id[4:] + sha(trace_id)[:16]


@pytest.mark.parametrize(
    "trace_id",
    [
        "trc_1",
        "trc_2B3C4D5E6F7A8B9C",
        "trc_2b3c4d5e6f7a8b9c0",
        "trc_2b3c4d5e6f7a8b9c\n",
        "trc_\u0661b3c4d5e6f7a8b9c",
        "order-1",
        "",
    ],
)
def test_any_other_trace_id_is_hashed_whole(trace_id: str) -> None:
    assert f"{otel_trace_id(trace_id):032x}" == sha(trace_id)[:32]


def test_the_formula_stands_by_literals() -> None:
    """Fixed for good: a changed digit would tear every order's trace in two at an upgrade."""
    assert f"{otel_trace_id('trc_0000000000000000'):032x}" == (
        "0000000000000000" + hashlib.sha256(b"polytraders/otel/1\x00trc_0000000000000000").hexdigest()[:16]
    )
    assert otel_trace_id("trc_0000000000000000") != 0


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789_.:-", min_size=1, max_size=64))
def test_every_trace_id_is_valid_in_opentelemetry(trace_id: str) -> None:
    assert 0 < otel_trace_id(trace_id) < 2**128


def provider() -> tuple[TracerProvider, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    made = TracerProvider(id_generator=PolytradersIdGenerator(), shutdown_on_exit=False)
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made, exporter


def test_spans_of_one_order_join_one_trace_across_providers_and_time() -> None:
    first, seen_first = provider()
    second, seen_second = provider()

    with order_trace(TRACE), first.get_tracer("a").start_as_current_span("partial"):
        first.get_tracer("a").start_span("child").end()
    with order_trace(TRACE):
        second.get_tracer("b").start_span("recovery").end()

    spans = (*seen_first.get_finished_spans(), *seen_second.get_finished_spans())
    assert {s.context.trace_id for s in spans} == {otel_trace_id(TRACE)}
    assert len({s.context.span_id for s in spans}) == 3


def test_spans_of_two_orders_are_in_two_traces() -> None:
    made, seen = provider()
    for trace_id in (TRACE, "trc_other"):
        with order_trace(trace_id):
            made.get_tracer("a").start_span("s").end()

    assert [s.context.trace_id for s in seen.get_finished_spans()] == [
        otel_trace_id(TRACE),
        otel_trace_id("trc_other"),
    ]


def test_outside_an_order_trace_ids_are_random() -> None:
    made, seen = provider()
    for _ in range(20):
        made.get_tracer("a").start_span("s").end()

    assert len({s.context.trace_id for s in seen.get_finished_spans()}) == 20


def test_an_order_inside_an_order_gives_way_when_it_ends() -> None:
    with order_trace("outer"):
        with order_trace("inner"):
            assert current_order_trace() == "inner"
        assert current_order_trace() == "outer"
    assert current_order_trace() is None


def test_an_exception_ends_the_order_too() -> None:
    with pytest.raises(RuntimeError), order_trace("outer"):
        raise RuntimeError("broken")

    assert current_order_trace() is None
