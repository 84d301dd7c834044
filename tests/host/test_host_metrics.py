"""Every metric of the host moves for the reason it exists, and is read back as OpenMetrics, strictly."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
from polytraders_hookspecs import ExecutionReport, SignedEvent, hookimpl
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from support.eventually import eventually
from support.host_bots import ScribeBot
from support.host_stage import HostStage, host_stage
from support.paper_town import RAIN, Unanswered, town

from polytraders_pfh.host import metrics
from polytraders_pfh.host.metrics import HOST_METRICS
from polytraders_pfh.telemetry.names import METRICS, Metric

MOVED: set[str] = set()
STRICT = "application/openmetrics-text; version=1.0.0"


def moves(*some: Metric) -> Callable[[Any], Any]:
    """Mark a test as the one in which these metrics move."""

    def mark(test: Any) -> Any:
        MOVED.update(metric.name for metric in some)
        return test

    return mark


async def scraped(url: str) -> dict[tuple[str, str], float]:
    """Return what the window shows of the host's own metrics, by name and label value."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/metrics", headers={"Accept": STRICT}) as answer,
    ):
        text = await answer.text()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("polytraders_host_") and not sample.name.endswith("_created")
    }


async def value(url: str, metric: Metric, label: str = "") -> float:
    """Return one of them now."""
    return (await scraped(url))[(metric.full_name, label) if label else (metric.full_name,)]


@moves(metrics.EVENTS, metrics.ORDERS)
async def test_events_are_counted_by_what_they_told_and_orders_as_they_are_tracked(tmp_path: Path) -> None:
    bot = ScribeBot()
    async with town(tmp_path, bot) as t:
        before = await value(t.host.url, metrics.ORDERS)
        await t.rests("BUY", "0.40", 100)
        await t.trades("SELL", "0.40", 30)
        await eventually(lambda: bot.partials)
        await t.trades("SELL", "0.40", 70)
        await eventually(lambda: bot.closed)
        seen = await scraped(t.host.url)

    assert (before, seen[metrics.ORDERS.full_name,]) == (0, 1)
    assert seen[metrics.EVENTS.full_name, "partial_fill"] == 1
    assert seen[metrics.EVENTS.full_name, "order_closed"] == 1


@moves(metrics.HOOK_ERRORS)
async def test_a_bot_that_raises_is_counted_under_its_hook(tmp_path: Path) -> None:
    class Broken(ScribeBot):
        @hookimpl
        async def on_partial_fill(self, envelope: SignedEvent) -> ExecutionReport:
            raise RuntimeError("a bug")

    async with town(tmp_path, Broken()) as t:
        await t.rests("BUY", "0.40", 100)
        await t.trades("SELL", "0.40", 30)
        await eventually(t.host.metrics.hook_errors["on_partial_fill"]._value.get)
        seen = await scraped(t.host.url)

    assert seen[metrics.HOOK_ERRORS.full_name, "on_partial_fill"] == 1
    assert seen[metrics.HOOK_ERRORS.full_name, "on_book_update"] == 0


@moves(metrics.FEED_CONNECTIONS, metrics.FEED_DROPS, metrics.UNREADABLE)
async def test_a_feed_that_talks_nonsense_is_counted_dropped_and_opened_again(tmp_path: Path) -> None:
    async with host_stage(tmp_path) as s:
        await eventually(lambda: s.feed.greetings)
        s.feed.refuse = True
        await s.feed.send("{", "user")
        await eventually(s.host.metrics.feed_drops["user"]._value.get)
        down = await scraped(s.host.url)
        s.feed.refuse = False
        await eventually(lambda: len(s.feed.greetings) == 2)
        up = await scraped(s.host.url)

    assert down[metrics.UNREADABLE.full_name, "user"] == 1
    assert down[metrics.FEED_DROPS.full_name, "user"] == 1
    assert [seen[metrics.FEED_CONNECTIONS.full_name, "user"] for seen in (down, up)] == [0, 1]


@moves(metrics.RECONCILIATIONS)
async def test_a_reading_of_all_open_orders_is_counted_by_how_it_ended(tmp_path: Path) -> None:
    def readings(s: HostStage) -> tuple[float, float]:
        counted = s.host.metrics.reconciliations
        return counted["done"]._value.get(), counted["failed"]._value.get()

    async with host_stage(tmp_path) as s:
        await eventually(lambda: s.feed.greetings)
        await eventually(lambda: readings(s)[0] >= 2)
        s.exchange.answer_json("GET /data/orders", {"error": "down"}, status=500)
        await s.feed.drop()
        await eventually(lambda: readings(s)[1] >= 1)
        seen = await scraped(s.host.url)

    assert seen[metrics.RECONCILIATIONS.full_name, "done"] >= 2
    assert seen[metrics.RECONCILIATIONS.full_name, "failed"] >= 1


@moves(metrics.POSTS_HELD, metrics.HEARTBEATS, metrics.HEARTBEAT_HEALTHY)
async def test_without_heartbeats_posts_are_held_and_counted_under_why(tmp_path: Path) -> None:
    silent = Unanswered({"POST /v1/heartbeats"})
    async with town(tmp_path, ScribeBot(), faults=silent, exchange={"heartbeat": True}) as t:
        held = await t.host.place(t.wish("BUY", "0.40", 100))
        down = await scraped(t.host.url)
        silent.silenced.clear()
        await eventually(t.host.metrics.heartbeats["accepted"]._value.get)
        up = await scraped(t.host.url)

    assert held.outcome == "refused"
    assert down[metrics.POSTS_HELD.full_name, "heartbeat"] == 1
    assert down[metrics.HEARTBEATS.full_name, "failed"] >= 1
    healthy = metrics.HEARTBEAT_HEALTHY.full_name
    assert (down[healthy,], up[healthy,]) == (0, 1)


def test_every_metric_of_the_host_moves_in_one_of_these_tests() -> None:
    assert {metric.name for metric in HOST_METRICS} == MOVED


async def test_the_window_shows_what_is_documented_with_every_label_value_and_nothing_else(
    tmp_path: Path,
) -> None:
    async with town(tmp_path, settings={"enabled": True}, exchange={"heartbeat": True}) as t:
        await t.rests("BUY", "0.40", 100)
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{t.host.url}/metrics", headers={"Accept": STRICT}) as answer,
        ):
            text = await answer.text()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    ours = {metric.full_name.removesuffix("_total"): metric for metric in METRICS + HOST_METRICS}

    assert set(families) == set(ours)
    for name, metric in ours.items():
        labels = {pair for sample in families[name].samples for pair in sample.labels.items()}
        assert {pair for pair in labels if pair[0] != "le"} == {
            (label, one) for label, values in metric.labels.items() for one in values
        }
        assert (families[name].type, families[name].documentation) == (metric.kind, metric.meaning)
    assert RAIN.condition_id not in text
