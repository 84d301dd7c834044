"""Each wait of an order's story shows in the step that waited, and in no other's time."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NoOpTracerProvider
from polytraders_hookspecs import DustRemainder, KillSwitchSignal, hookimpl
from support.eventually import eventually
from support.fake_host import NOW_MS, FakeExchange, FakeHost, partial

from polytraders_pfh.engine import assembly
from polytraders_pfh.engine.journal.segment import Segment
from polytraders_pfh.telemetry import names


async def test_all_that_an_order_waited_for_adds_up_to_its_whole_chase(host: FakeHost) -> None:
    def slow(exchange: FakeExchange, *_: Any) -> None:
        exchange.clock.ms += 40

    host.exchange.on_cancel = host.exchange.on_post = slow
    await host.bot.on_partial_fill(partial(policy="chase"))

    assert host.sample("step_seconds_sum", {"step": "cancel_replace"}) == pytest.approx(0.08)


async def test_a_slow_order_lifecycle_manager_shows_in_its_step(host: FakeHost) -> None:
    async def slow(order_id: str) -> None:
        host.clock.ms += 40

    host.orders.get = slow  # type: ignore[method-assign]
    await host.bot.on_partial_fill(partial(token_id=None))

    assert host.sample("step_seconds_sum", {"step": "order_facts"}) == pytest.approx(0.04)


async def test_a_disk_that_a_cancel_waits_for_shows_in_its_step(
    durable: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = Segment.write

    def slow(segment: Segment, *what: Any) -> None:
        durable.clock.ms += 40
        really(segment, *what)

    monkeypatch.setattr(Segment, "write", slow)
    await durable.bot.on_partial_fill(partial(policy="cancel"))

    assert (durable.sample("step_seconds_sum", {"step": "commit"}) or 0) >= 0.04


@pytest.mark.parametrize("provider", [NoOpTracerProvider, TracerProvider])
async def test_a_slow_bus_shows_in_its_step_with_spans_or_without(
    tmp_path: Path, provider: type[Any]
) -> None:
    host = FakeHost({"mode": "general_live"}, tmp_path, tracer_provider=provider())

    async def slow(*message: Any) -> None:
        host.clock.ms += 40

    host.reports.publish = slow  # type: ignore[method-assign]
    await host.start()
    await host.bot.on_partial_fill(partial(key=b"another key of at least 32 bytes"))
    await host.stop()

    assert host.sample("step_seconds_sum", {"step": "publish"}) == pytest.approx(0.04)


async def test_the_one_request_of_a_kill_sweep_is_timed_as_a_cancel(host: FakeHost) -> None:
    def slow(exchange: FakeExchange, *_: Any) -> None:
        exchange.clock.ms += 40

    await host.bot.on_partial_fill(partial())
    host.exchange.on_cancel = slow
    await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill"))

    assert host.sample("step_seconds_count", {"step": "cancel"}) == 1
    assert host.sample("step_seconds_sum", {"step": "cancel"}) == pytest.approx(0.04)


async def test_a_slow_signer_shows_in_its_step(host: FakeHost) -> None:
    def slow(signed: Any) -> Any:
        host.clock.ms += 40
        return signed

    host.signer.twist = slow
    await host.bot.on_partial_fill(partial(policy="chase"))

    assert host.sample("step_seconds_sum", {"step": "sign"}) == pytest.approx(0.04)


async def test_an_event_that_waits_for_another_of_its_order_shows_in_the_lock_s_step(host: FakeHost) -> None:
    reached = asyncio.Event()

    async def slow(exchange: FakeExchange, *_: Any) -> None:
        reached.set()
        await eventually(lambda: host.sample("in_flight") == 2)
        exchange.clock.ms += 40

    host.exchange.on_cancel = slow
    first = asyncio.ensure_future(host.bot.on_partial_fill(partial(policy="cancel")))
    await reached.wait()
    await asyncio.gather(first, host.bot.on_partial_fill(partial(policy="cancel", at_ms=NOW_MS + 1)))

    assert host.sample("step_seconds_count", {"step": "lock"}) == 1
    assert host.sample("step_seconds_sum", {"step": "lock"}) == pytest.approx(0.04)


async def test_a_slow_kill_switch_shows_in_its_step(host: FakeHost) -> None:
    really = host.kill_switch.status

    async def slow() -> Any:
        host.clock.ms += 40
        return await really()

    host.kill_switch.status = slow  # type: ignore[method-assign]
    await host.bot.on_partial_fill(partial(policy="chase"))

    count = host.sample("step_seconds_count", {"step": "kill_switch"})
    assert count
    assert host.sample("step_seconds_sum", {"step": "kill_switch"}) == pytest.approx(0.04 * count)


async def test_a_slow_dust_cleaner_shows_in_its_step(host: FakeHost) -> None:
    class Cleaner:
        @hookimpl
        async def on_dust_remainder(self, dust: DustRemainder) -> None:
            host.clock.ms += 40

    host.manager.register(Cleaner())
    await host.bot.on_partial_fill(partial(remaining="2"))
    await eventually(lambda: host.sample("step_seconds_count", {"step": "dust"}))

    assert host.sample("step_seconds_sum", {"step": "dust"}) == pytest.approx(0.04)


def test_every_wait_that_has_a_span_is_timed() -> None:
    sources = [path.read_text() for path in Path(assembly.__file__).parent.rglob("*.py")]
    waits = {name for text in sources for name in re.findall(r"\.step\(\s*names\.(SPAN_\w+)", text)}

    assert len(waits) > 10
    assert {getattr(names, wait) for wait in waits} <= set(names.STEPS)
