"""An order's story as spans: one trace, a span per wait, inputs as attributes, trouble as events."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler, SamplingResult
from opentelemetry.semconv._incubating.attributes import messaging_attributes as semconv
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode
from polytraders_hookspecs import KillSwitchSignal, gather_hook, otel_trace_id
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from support.eventually import eventually
from support.fake_host import (
    MARKET,
    NOW_MS,
    ROOT,
    TOKEN,
    TRACE,
    FakeExchange,
    Resting,
    no_reply,
    partial,
    reply,
)
from support.traced_host import Kept, deriving, traced_host

from polytraders_pfh.engine import assembly, decider
from polytraders_pfh.engine.outbox import TOPIC
from polytraders_pfh.engine.traced import describe
from polytraders_pfh.telemetry import names
from polytraders_pfh.telemetry.traceparent import span_context, traceparent

OTHER, OTHER_TRACE = "0x" + "d4" * 32, "trc_00000000000000d4"
DUST = "0x" + "d5" * 32
CHASE = "pfh.cancel_replace"


async def test_every_wait_of_a_chase_is_a_span_below_its_event(tmp_path: Path) -> None:
    provider = deriving()
    kept = Kept(provider)
    async with traced_host(provider, tmp_path) as host:
        await host.bot.on_partial_fill(partial(policy="chase"))
        await host.reports.until(1)

    paths = sorted({" > ".join(kept.path(span)) for span in kept.all})
    assert paths == [
        "pfh.partial_fill",
        "pfh.partial_fill > pfh.book.fetch",
        f"pfh.partial_fill > {CHASE}",
        f"pfh.partial_fill > {CHASE} > pfh.book.fetch",
        f"pfh.partial_fill > {CHASE} > pfh.cancel",
        f"pfh.partial_fill > {CHASE} > pfh.journal.commit",
        f"pfh.partial_fill > {CHASE} > pfh.killswitch.read",
        f"pfh.partial_fill > {CHASE} > pfh.order.read",
        f"pfh.partial_fill > {CHASE} > pfh.post",
        f"pfh.partial_fill > {CHASE} > pfh.sign",
        f"pfh.partial_fill > {CHASE} > pfh.trades.read",
        "pfh.partial_fill > pfh.order.facts",
        "pfh.partial_fill > send polytraders.reports.execution",
    ]
    assert kept.traces() == {otel_trace_id(TRACE)}
    assert {(span.attributes or {})[names.ATTR_TRACE_ID] for span in kept.all} == {TRACE}


async def test_a_hold_is_one_span_and_its_report_another(tmp_path: Path) -> None:
    provider = deriving()
    kept = Kept(provider)
    async with traced_host(provider, tmp_path) as host:
        host.bot.on_book_update(host.exchange.book)
        await host.bot.on_partial_fill(partial())
        await host.reports.until(1)

    assert [span.name for span in kept.all] == ["pfh.partial_fill", "send polytraders.reports.execution"]


async def test_what_was_decided_from_and_what_came_of_it_stand_on_the_event_s_span(tmp_path: Path) -> None:
    provider = deriving()
    kept = Kept(provider)
    async with traced_host(provider, tmp_path) as host:
        report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert dict(kept.one("pfh.partial_fill").attributes or {}) == {
        "polytraders.trace_id": TRACE,
        "polytraders.order_id": ROOT,
        "polytraders.root_order_id": ROOT,
        "polytraders.market_id": MARKET,
        "polytraders.token_id": TOKEN,
        "polytraders.side": "BUY",
        "polytraders.event_ts_ms": NOW_MS,
        "polytraders.original_price": "0.62",
        "polytraders.root_price": "0.62",
        "polytraders.filled_usd": "200",
        "polytraders.remaining_usd": "250",
        "polytraders.min_remainder_size": "5",
        "polytraders.chase_max_ticks": 3,
        "polytraders.cancel_on_book_thin": True,
        "polytraders.kill_switch": "off",
        "polytraders.best_bid": "0.61",
        "polytraders.best_ask": "0.63",
        "polytraders.book_age_ms": 0,
        "polytraders.book_depth_usd": "630",
        "polytraders.ticks_to_fill": "1",
        "polytraders.decision_row": 11,
        "polytraders.policy": "chase",
        "polytraders.mode": "general_live",
        "polytraders.verdict": "CHASE_ORDER_SUBMITTED",
        "polytraders.executed": True,
        "polytraders.report_id": report.report_id,
        "polytraders.new_order_id": report.new_order_id,
        "polytraders.chase_price": "0.63",
        "polytraders.chase_size_shares": "396.82",
    }


async def test_a_warning_is_an_event_on_the_span(tmp_path: Path) -> None:
    provider = deriving()
    kept = Kept(provider)
    async with traced_host(provider, tmp_path) as host:
        host.exchange.book = ConnectionError("down")
        await host.bot.on_partial_fill(partial())

    assert _events(kept.one("pfh.partial_fill")) == {"BOOK_UNAVAILABLE": {"polytraders.severity": "WARN"}}


async def test_a_refusal_is_an_event_in_the_exchange_s_own_words(tmp_path: Path) -> None:
    provider = deriving()
    kept = Kept(provider)
    async with traced_host(provider, tmp_path) as host:
        host.exchange.on_post = lambda *_: reply(400, {"error": "not enough balance / allowance"})
        report = await host.bot.on_partial_fill(partial(policy="chase"))

    words = "not enough balance / allowance (HTTP 400)"
    assert report.verdict == "CHASE_REJECTED"
    assert _events(kept.one("pfh.post")) == {"refused": {"polytraders.detail": words}}
    assert _events(kept.one("pfh.partial_fill")) == {
        "CHASE_REJECTED": {"polytraders.severity": "WARN", "polytraders.detail": words}
    }


async def test_each_attempt_of_a_cancel_is_a_span_with_its_answer(tmp_path: Path) -> None:
    provider = deriving()
    kept = Kept(provider)
    async with traced_host(provider, tmp_path) as host:
        answers = [no_reply(), None]
        host.exchange.on_get = lambda *_: no_reply() if len(answers) == 1 else None
        host.exchange.on_cancel = lambda *_: answers.pop(0)
        await host.bot.on_partial_fill(partial(policy="cancel"))

    told = [span.attributes or {} for span in kept.named("pfh.cancel")]
    assert [(each["polytraders.attempt"], each["polytraders.outcome"]) for each in told] == [
        (1, "unknown"),
        (2, "dead"),
    ]


async def test_a_sequence_that_outlasts_its_hook_call_still_ends_on_its_own_span(tmp_path: Path) -> None:
    provider = deriving()
    kept, gate = Kept(provider), asyncio.Event()

    async def slow(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        await gate.wait()

    async with traced_host(provider, tmp_path, {"execution": {"timeout_ms": 20}}) as host:
        host.exchange.on_cancel = slow
        interim = await host.bot.on_partial_fill(partial(policy="chase"))
        assert kept.named("pfh.partial_fill") == []
        gate.set()
        await host.reports.until(2)
        await eventually(lambda: kept.named("pfh.partial_fill"))

    assert interim.verdict == "PARTIAL_FILL_PENDING"
    attributes = kept.one("pfh.partial_fill").attributes or {}
    assert attributes[names.ATTR_VERDICT] == "CHASE_ORDER_SUBMITTED"


async def test_an_event_that_waits_for_an_earlier_one_of_its_intent_shows_how_long(tmp_path: Path) -> None:
    provider = deriving()
    kept, gate, reached = Kept(provider), asyncio.Event(), asyncio.Event()

    async def slow(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        reached.set()
        await gate.wait()

    async with traced_host(provider, tmp_path) as host:
        host.exchange.on_cancel = slow
        first = asyncio.create_task(host.bot.on_partial_fill(partial(policy="cancel")))
        await reached.wait()
        second = asyncio.create_task(host.bot.on_partial_fill(partial(policy="cancel", at_ms=NOW_MS + 1)))
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, second)

    assert kept.path(kept.one("pfh.intent.lock")) == ["pfh.partial_fill", "pfh.intent.lock"]


async def test_what_is_asked_of_other_bots_and_of_a_signer_in_doubt_is_a_span_too(tmp_path: Path) -> None:
    provider = deriving()
    kept = Kept(provider)
    async with traced_host(provider, tmp_path) as host:
        sign, host.signer.twist = host.signer.twist, lambda _: "no signature today"
        await host.bot.on_partial_fill(partial(policy="chase"))
        host.signer.twist = sign
        host.exchange.orders[OTHER] = Resting(725_806_451, 620_000, 322_580_645)
        await host.bot.on_partial_fill(partial(order_id=OTHER, policy="chase", trace_id=OTHER_TRACE))
        host.exchange.orders[DUST] = Resting(725_806_451, 620_000, 720_000_000)
        await host.bot.on_partial_fill(partial(order_id=DUST, filled="447", remaining="3"))

    tried = kept.path(_about(kept, OTHER_TRACE, "pfh.sign")[0])
    assert tried == ["pfh.partial_fill", "pfh.sign"]
    assert kept.path(kept.one("pfh.dust")) == ["pfh.partial_fill", "pfh.dust"]


async def test_second_look_at_a_shed_event_stays_in_its_own_order_s_trace(tmp_path: Path) -> None:
    provider = deriving()
    kept, gate, reached = Kept(provider), asyncio.Event(), asyncio.Event()
    tracer = provider.get_tracer("host")

    async def slow(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        if ids == (ROOT,):
            reached.set()
            await gate.wait()

    crowded = {"execution": {"max_in_flight": 1, "resume_in_flight": 1}}
    async with traced_host(provider, tmp_path, crowded) as host:
        host.exchange.orders[OTHER] = Resting(725_806_451, 620_000, 322_580_645)
        host.exchange.on_cancel = slow

        async def first() -> None:
            with tracer.start_as_current_span("the first order's own"):
                await host.bot.on_partial_fill(partial(policy="cancel"))

        handling = asyncio.create_task(first())
        await reached.wait()
        envelope = partial(order_id=OTHER, policy="cancel", trace_id=OTHER_TRACE)
        await host.bot.on_partial_fill(envelope)
        gate.set()
        await handling
        await host.reports.until(3)
        await eventually(lambda: len(_about(kept, OTHER_TRACE, "pfh.partial_fill")) == 2)

    shed, again = _about(kept, OTHER_TRACE, "pfh.partial_fill")
    assert {span.context.trace_id for span in _about(kept, OTHER_TRACE)} == {otel_trace_id(OTHER_TRACE)}
    assert again.parent.span_id == shed.context.span_id
    assert _events(shed) == {"PARTIAL_FILL_SHED": {"polytraders.severity": "WARN"}}
    assert again.attributes[names.ATTR_VERDICT] == "CANCELLED_REMAINDER"


async def test_kill_sweep_is_seen_in_each_order_s_own_trace_with_a_link_to_the_signal(tmp_path: Path) -> None:
    provider = deriving()
    kept = Kept(provider)
    async with traced_host(provider, tmp_path) as host:
        host.exchange.orders[OTHER] = Resting(725_806_451, 620_000, 322_580_645)
        await host.bot.on_partial_fill(partial())
        await host.bot.on_partial_fill(partial(order_id=OTHER, trace_id=OTHER_TRACE))
        with provider.get_tracer("host").start_as_current_span("the signal") as signal:
            reports = await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="x"))
        await host.reports.until(4)

    for trace_id in (TRACE, OTHER_TRACE):
        (sweep,) = _about(kept, trace_id, "pfh.killswitch")
        (cancel,), (commit,) = [
            _about(kept, trace_id, f"pfh.{name}") for name in ("cancel", "journal.commit")
        ]
        assert sweep.context.trace_id == otel_trace_id(trace_id)
        assert cancel.parent.span_id == commit.parent.span_id == sweep.context.span_id
        assert cancel.attributes[names.ATTR_OUTCOME] == "dead"
        assert [link.context.span_id for link in sweep.links] == [signal.get_span_context().span_id]
        assert _events(sweep) == {"KILL_SWITCH_ACTIVE": {"polytraders.severity": "HARD_REJECT"}}
        (report,) = [report for report in reports if report.trace_id == trace_id]
        assert report.traceparent == traceparent(NonRecordingSpan(sweep.context))


async def test_an_event_that_is_not_believed_is_told_on_the_host_s_span_alone(tmp_path: Path) -> None:
    provider = deriving()
    kept = Kept(provider)
    async with traced_host(provider, tmp_path) as host:
        with provider.get_tracer("host").start_as_current_span("the call"):
            await host.bot.on_partial_fill(partial(key=b"wrong" * 8))
        await host.reports.until(1)

    assert [span.name for span in kept.all] == ["the call"]
    ((name, attributes),) = _events(kept.one("the call")).items()
    assert name == "EVENT_REJECTED"
    assert attributes["polytraders.severity"] == "HARD_REJECT"


async def test_under_a_host_s_own_provider_spans_are_its_children_linked_to_the_derived_trace(
    tmp_path: Path,
) -> None:
    provider = TracerProvider()
    kept = Kept(provider)
    async with traced_host(provider, tmp_path) as host:
        with provider.get_tracer("host").start_as_current_span("the call") as outer:
            await host.bot.on_partial_fill(partial(policy="chase"))
        await host.reports.until(1)

    event = kept.one("pfh.partial_fill")
    assert event.parent
    assert event.parent.span_id == outer.get_span_context().span_id
    assert [link.context.trace_id for link in event.links] == [otel_trace_id(TRACE)]
    assert kept.traces() == {outer.get_span_context().trace_id}
    inside = [span for span in kept.all if span.name != "the call"]
    assert len(inside) > 8
    assert {(span.attributes or {})[names.ATTR_TRACE_ID] for span in inside} == {TRACE}


async def test_a_span_that_is_sampled_out_changes_nothing_and_costs_no_attribute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decider, "decision_inputs", _nobody_asks)
    provider = TracerProvider(sampler=ALWAYS_OFF)
    kept = Kept(provider)
    async with traced_host(provider, tmp_path) as host:
        report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert kept.all == []
    assert report.verdict == "CHASE_ORDER_SUBMITTED"
    context = span_context(report.traceparent or "")
    assert context is not None
    assert not context.trace_flags.sampled
    assert host.sample("decisions_total", {"verdict": "CHASE_ORDER_SUBMITTED"}) == 1
    assert b"# {" not in generate_openmetrics(host.metrics_registry)


def test_a_report_is_not_looked_at_for_a_span_that_does_not_record() -> None:
    untouchable: Any = object()

    describe(NonRecordingSpan(SpanContext(1, 1, is_remote=False)), untouchable, untouchable)


async def test_exemplar_carries_the_otel_trace(tmp_path: Path) -> None:
    provider = deriving()
    Kept(provider)
    async with traced_host(provider, tmp_path) as host:
        await host.bot.on_partial_fill(partial(policy="chase"))

    text = generate_openmetrics(host.metrics_registry).decode()
    assert f'trace_id="{otel_trace_id(TRACE):032x}"' in text


async def test_report_is_sent_by_a_producer_s_span_that_names_it(tmp_path: Path) -> None:
    provider = deriving()
    kept = Kept(provider)
    async with traced_host(provider, tmp_path) as host:
        await host.bot.on_partial_fill(partial())
        await host.reports.until(1)

    ((_, _, payload, message_id),) = host.reports.published
    sent = kept.one("send polytraders.reports.execution")
    assert sent.kind.name == "PRODUCER"
    assert dict(sent.attributes or {}) == {
        "polytraders.trace_id": TRACE,
        "polytraders.order_id": ROOT,
        "polytraders.attempt": 1,
        semconv.MESSAGING_SYSTEM: "polytraders",
        semconv.MESSAGING_OPERATION_NAME: "send",
        semconv.MESSAGING_OPERATION_TYPE: "send",
        semconv.MESSAGING_DESTINATION_NAME: TOPIC,
        semconv.MESSAGING_DESTINATION_PARTITION_ID: TRACE,
        semconv.MESSAGING_MESSAGE_ID: message_id,
        semconv.MESSAGING_MESSAGE_CONVERSATION_ID: TRACE,
        semconv.MESSAGING_MESSAGE_BODY_SIZE: len(payload),
    }


@pytest.mark.parametrize("make", [deriving, TracerProvider])
async def test_a_report_that_is_sent_after_a_restart_stays_in_its_event_s_trace(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "_DRAIN_S", 0.01)
    first, second = make(), make()
    before, after = Kept(first), Kept(second)
    async with traced_host(first, tmp_path) as host:
        host.reports.down = True
        await host.bot.on_partial_fill(partial())
        await eventually(lambda: before.named("send polytraders.reports.execution"))
    async with traced_host(second, tmp_path) as host:
        (report,) = await host.reports.until(1)
        await eventually(lambda: after.named("send polytraders.reports.execution"))

    event = before.one("pfh.partial_fill")
    failed, sent = before.all[-1], after.one("send polytraders.reports.execution")
    assert failed.status.status_code is StatusCode.ERROR
    assert (failed.attributes or {})[names.ATTR_ERROR_TYPE] == "ConnectionError"
    assert sent.status.status_code is StatusCode.UNSET
    assert event.context
    assert sent.parent == span_context(report["traceparent"])
    assert (sent.parent.trace_id, sent.parent.span_id) == (event.context.trace_id, event.context.span_id)
    assert sent.context
    assert sent.context.trace_id == event.context.trace_id


async def test_a_host_whose_sampler_fails_loses_its_spans_and_nothing_else(tmp_path: Path) -> None:
    class Broken(Sampler):
        def should_sample(self, *arguments: Any, **named: Any) -> SamplingResult:
            raise RuntimeError("no samples today")

        def get_description(self) -> str:
            return "broken"

    provider = TracerProvider(sampler=Broken())
    async with traced_host(provider, tmp_path) as host:
        (result,) = await gather_hook(host.hooks.on_partial_fill, envelope=partial(policy="chase"))

    assert result.value.verdict == "CHASE_ORDER_SUBMITTED"
    assert len(host.exchange.live()) == 1


@pytest.mark.parametrize(
    "text", ["", "00-0-0-00", f"00-{'0' * 32}-{'1' * 16}-01", f"ff-{'1' * 32}-{'1' * 16}-01"]
)
def test_a_traceparent_that_names_no_span_is_none(text: str) -> None:
    assert span_context(text) is None


def _about(kept: Kept, trace_id: str, name: str = "") -> list[Any]:
    spans = [span for span in kept.all if (span.attributes or {}).get(names.ATTR_TRACE_ID) == trace_id]
    return [span for span in spans if not name or span.name == name]


def _events(span: Any) -> dict[str, dict[str, Any]]:
    return {event.name: dict(event.attributes or {}) for event in span.events}


def _nobody_asks(*_: Any) -> Any:
    raise AssertionError("attributes were computed for a span that does not record")
