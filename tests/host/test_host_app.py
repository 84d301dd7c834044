import asyncio
import json
import os
import signal
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from opentelemetry import trace
from polytraders_hookspecs import HostServices, hookimpl
from prometheus_client import REGISTRY
from support.eventually import eventually
from support.host_bots import ScribeBot, plugin_with
from support.host_stage import (
    ACCEPTED,
    ENVIRON,
    FAST,
    WISH,
    answer_as_an_empty_exchange,
    config_for,
    host_stage,
    order_event,
)
from support.orders import BUILDER, MARKET, TOKEN, unsigned
from support.stub_exchange import API_KEY, API_SECRET, PASSPHRASE, StubExchange, json_answer
from support.stub_feed import StubFeed

from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host import Host, PlaceOrder
from polytraders_pfh.host.errors import DiscoveryError, PlacementRefused, SecretMissing


async def get(url: str, accept: str = "") -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers={"Accept": accept}) as reply:
        return reply.status, await reply.text(), reply.headers["Content-Type"]


async def test_a_placed_order_that_fills_in_part_reaches_the_bot_as_a_signed_partial(
    tmp_path: Path,
) -> None:
    async with host_stage(tmp_path) as s:
        s.exchange.answer_json("POST /order", ACCEPTED)
        placed = await s.host.place(WISH)
        await eventually(lambda: any(name == "user" for name, _ in s.feed.open))
        await s.feed.send(order_event(placed.order_id, "25"), "user")
        await eventually(lambda: s.bot.partials)
        await s.feed.send(order_event(placed.order_id, "100", "MATCHED", 2), "user")
        await eventually(lambda: s.bot.closed)
        reports = list(s.host.executions)

    fill = s.bot.partials[0]
    assert placed.outcome == "accepted"
    assert s.bot.events(placed.order_id) == [("PARTIAL", "12.5"), ("FILLED", "50")]
    assert (fill.trace_id, fill.strategy, fill.builder_code) == (placed.trace_id, WISH.strategy, BUILDER)
    assert [report.order_id for report in reports] == [placed.order_id]


async def test_the_decision_is_published_before_the_order_is_posted(tmp_path: Path) -> None:
    bot = ScribeBot()
    decided_at_post: list[int] = []

    async def post(request: Any) -> Any:
        decided_at_post.append(len(bot.decisions))
        return await json_answer(ACCEPTED)(request)

    async with host_stage(tmp_path, bot) as s:
        s.exchange.answer("POST /order", post)
        placed = await s.host.place(WISH)
        body = s.exchange.calls("POST /order")[0]

    assert decided_at_post == [1]
    decision = bot.decisions[0]
    assert (decision.trace_id, decision.intended_size_usd, decision.limit_price) == (
        placed.trace_id,
        Decimal(50),
        Decimal("0.5"),
    )
    assert body.hmac_is_right()
    assert body.json()["order"]["builder"] == BUILDER
    assert body.json()["owner"] == API_KEY


async def test_neg_risk_comes_from_the_market_when_the_strategy_does_not_say(tmp_path: Path) -> None:
    async with host_stage(tmp_path) as s:
        s.exchange.answer_json("POST /order", ACCEPTED)
        placed = await s.host.place(WISH)
        facts = await s.host.lifecycle.get(placed.order_id)

    assert facts is not None
    assert facts.neg_risk is True


@pytest.mark.parametrize(
    "change",
    [
        {"price": Decimal("0.5000001")},
        {"price": Decimal(1)},
        {"size_shares": Decimal(0)},
        {"price": Decimal("0.333333"), "size_shares": Decimal("0.000001")},
    ],
)
async def test_an_order_that_is_not_exact_is_never_sent(tmp_path: Path, change: dict[str, Any]) -> None:
    wish = PlaceOrder(**({field: getattr(WISH, field) for field in WISH.__dataclass_fields__} | change))
    async with host_stage(tmp_path) as s:
        with pytest.raises(PlacementRefused):
            await s.host.place(wish)

        assert s.exchange.calls("POST /order") == []


@pytest.mark.parametrize("how", ["on", "unknown"])
async def test_no_order_is_placed_while_the_kill_switch_is_on_or_unknown(tmp_path: Path, how: str) -> None:
    async with host_stage(tmp_path, kill_switch={"file": str(tmp_path / "stop" / "kill")}) as s:
        if how == "on":
            (tmp_path / "stop").mkdir()
            await s.host.kill_switch.signal(True, "drill", "ann")
        with pytest.raises(PlacementRefused, match="kill switch"):
            await s.host.place(WISH)

        assert s.exchange.calls("POST /order") == []


async def test_a_kill_switch_file_that_was_there_before_the_start_is_told_to_the_bots(
    tmp_path: Path,
) -> None:
    (tmp_path / "kill").write_text("left on")
    async with host_stage(tmp_path, kill_switch={"file": str(tmp_path / "kill")}) as s:
        await eventually(lambda: s.bot.signals)

        assert [(signal.active, signal.reason) for signal in s.bot.signals] == [(True, "left on")]


async def test_the_markets_book_is_subscribed_as_soon_as_there_is_an_order(tmp_path: Path) -> None:
    async with host_stage(tmp_path) as s:
        s.exchange.answer_json("POST /order", ACCEPTED)
        await s.host.place(WISH)
        await eventually(lambda: any(name == "market" for name, _ in s.feed.greetings))

        assert dict(s.feed.greetings)["market"]["assets_ids"] == [TOKEN]


async def test_open_orders_are_read_before_the_bots_start_and_told_after(tmp_path: Path) -> None:
    order_id = "0x" + "0c" * 32
    seen: list[Any] = []

    class RecoveringBot(ScribeBot):
        @hookimpl
        async def on_host_start(self) -> None:
            assert self.host is not None
            seen.extend(await self.host.orders.open_partials())
            seen.append(len(self.partials))

    bot = RecoveringBot()
    async with StubExchange() as exchange, StubFeed() as feed:
        answer_as_an_empty_exchange(exchange)
        record = order_event(order_id, "25") | {"timestamp": None}
        exchange.answer_json("GET /data/orders", {"data": [record], "next_cursor": "LTE="})
        config = config_for(tmp_path, exchange, feed, {"exec.scribe": {}})
        async with Host(config, environ=ENVIRON, plugins={"exec.scribe": plugin_with(bot)}, timings=FAST):
            await eventually(lambda: bot.partials)

    assert [facts.order_id for facts in seen[:-1]] == [order_id]
    assert seen[-1] == 0
    assert bot.events(order_id) == [("PARTIAL", "12.5")]


async def test_what_the_user_channel_missed_is_found_by_rest_after_the_reconnect(tmp_path: Path) -> None:
    async with host_stage(tmp_path) as s:
        s.exchange.answer_json("POST /order", ACCEPTED)
        placed = await s.host.place(WISH)
        await eventually(lambda: any(name == "user" for name, _ in s.feed.greetings))
        record = order_event(placed.order_id, "40", "CANCELED") | {"timestamp": None}
        s.exchange.answer_json(f"GET /data/order/{placed.order_id}", record)
        await s.feed.drop()
        await eventually(lambda: s.bot.closed)

    assert s.bot.events(placed.order_id) == [("CANCELLED", "20")]


async def test_an_order_that_the_exchange_calls_matched_with_shares_missing_is_closed_by_its_trades(
    tmp_path: Path,
) -> None:
    async with host_stage(tmp_path) as s:
        s.exchange.answer_json("POST /order", ACCEPTED)
        placed = await s.host.place(WISH)
        await eventually(lambda: any(name == "user" for name, _ in s.feed.open))
        record = order_event(placed.order_id, "40", "MATCHED") | {"timestamp": None}
        trade = {
            "id": "t1",
            "market": MARKET,
            "status": "CONFIRMED",
            "taker_order_id": "0xee",
            "size": "60",
            "trader_side": "MAKER",
            "maker_orders": [{"order_id": placed.order_id, "owner": API_KEY, "matched_amount": "60"}],
        }
        s.exchange.answer_json(f"GET /data/order/{placed.order_id}", record)
        s.exchange.answer_json("GET /data/trades", {"data": [trade], "next_cursor": "LTE="})
        await s.feed.send(order_event(placed.order_id, "40", "MATCHED"), "user")
        await eventually(lambda: s.bot.closed)

    assert s.bot.events(placed.order_id)[-1] == ("CANCELLED", "30")


async def test_a_bots_own_orders_are_known_from_its_signature_and_post(tmp_path: Path) -> None:
    async with host_stage(tmp_path) as s:
        s.exchange.answer_json("POST /order", ACCEPTED)
        root = await s.host.place(WISH)
        services = s.bot.host
        assert services is not None
        facts = await services.orders.get(root.order_id)
        assert facts is not None
        chase = await services.signer.sign_order(
            unsigned(root_order_id=root.order_id, trace_id=root.trace_id)
        )
        before = await services.orders.get(chase.order_id)
        await services.clob_auth.post_order(chase)
        after = await services.orders.get(chase.order_id)

    assert before is None
    assert after is not None
    assert (after.status, after.root_order_id, after.strategy) == ("LIVE", root.order_id, WISH.strategy)


async def test_a_cancel_that_the_exchange_confirmed_closes_the_order_from_its_record(
    tmp_path: Path,
) -> None:
    async with host_stage(tmp_path) as s:
        s.exchange.answer_json("POST /order", ACCEPTED)
        placed = await s.host.place(WISH)
        s.exchange.answer_json("DELETE /order", {"canceled": [placed.order_id], "not_canceled": {}})
        record = order_event(placed.order_id, "10", "CANCELED") | {"timestamp": None}
        s.exchange.answer_json(f"GET /data/order/{placed.order_id}", record)
        assert s.bot.host is not None
        await s.bot.host.clob_auth.cancel_orders((placed.order_id,))
        await eventually(lambda: s.bot.closed)

    assert s.bot.events(placed.order_id) == [("CANCELLED", "5")]


async def test_bots_get_every_service_and_their_own_section_and_directory(tmp_path: Path) -> None:
    async with host_stage(tmp_path) as s:
        services = s.bot.host

        assert isinstance(services, HostServices)
        assert dict(services.config) == {"enabled": True}
        assert services.state_dir == tmp_path / "state" / "bots" / "exec.scribe"
        assert services.state_dir.is_dir()
        assert services.metrics_registry is s.host.registry is not REGISTRY
        assert services.tracer_provider is s.host.tracers is not trace.get_tracer_provider()


async def test_no_repr_of_host_services_shows_a_secret(tmp_path: Path) -> None:
    async with host_stage(tmp_path) as s:
        shown = f"{s.bot.host!r} {s.host.config!r} {s.host.clob!r} {s.host.wallet!r} {s.host!r}"

    for secret in (ENVIRON["PK"][2:], API_SECRET, PASSPHRASE, API_KEY, repr(b"\xab" * 32), "abababab"):
        assert secret not in shown


async def test_bots_are_started_once_and_stopped_once(tmp_path: Path) -> None:
    async with host_stage(tmp_path) as s:
        running = list(s.bot.life)

    assert running == ["start"]
    assert s.bot.life == ["start", "stop"]


async def test_queued_events_are_delivered_before_the_bots_are_stopped(tmp_path: Path) -> None:
    class SlowBot(ScribeBot):
        @hookimpl
        async def on_order_closed(self, envelope: Any) -> None:  # type: ignore[override]
            await asyncio.sleep(0.05)
            self.life.append("heard")

    bot = SlowBot()
    async with host_stage(tmp_path, bot) as s:
        s.exchange.answer_json("POST /order", ACCEPTED)
        placed = await s.host.place(WISH)
        await eventually(lambda: any(name == "user" for name, _ in s.feed.open))
        await s.feed.send(order_event(placed.order_id, "100", "MATCHED"), "user")
        await eventually(lambda: s.host.lifecycle.order(placed.order_id).end)  # type: ignore[union-attr]

    assert bot.life == ["start", "heard", "stop"]


async def test_a_host_that_is_cut_off_says_nothing_more_and_asks_nobody_to_stop(tmp_path: Path) -> None:
    async with host_stage(tmp_path) as s:
        s.exchange.answer_json("POST /order", ACCEPTED)
        placed = await s.host.place(WISH)
        await s.host.cut_off()
        with pytest.raises(RuntimeError, match="session is closed"):
            await s.host.clob.get_order(placed.order_id)

    assert s.exchange.calls(f"GET /data/order/{placed.order_id}") == []
    assert s.bot.life == ["start"]


async def test_no_task_outlives_the_host(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with StubExchange() as exchange, StubFeed() as feed:
        answer_as_an_empty_exchange(exchange)
        stubs = asyncio.all_tasks()
        config = config_for(tmp_path, exchange, feed, {"exec.scribe": {}})
        plugins = {"exec.scribe": plugin_with(ScribeBot())}
        async with Host(config, environ=ENVIRON, plugins=plugins, timings=FAST):
            during = asyncio.all_tasks() - stubs
        names = {task.get_name() for task in during}
        left = {task for task in during if not task.done() and task.get_name() in names}

    assert "kill switch watch" in names
    assert {task.get_name() for task in left if not task.get_name().startswith("Task-")} == set()
    assert {task for task in asyncio.all_tasks() - before if not task.done()} == set()


async def test_the_window_shows_metrics_bots_and_health(tmp_path: Path) -> None:
    async with host_stage(tmp_path) as s:
        metrics = await get(f"{s.host.url}/metrics")
        openmetrics = await get(f"{s.host.url}/metrics", "application/openmetrics-text; version=1.0.0")
        bots = await get(f"{s.host.url}/internal/bots")
        healths = []
        for color in ("green", "amber", "red"):
            s.bot.health = color
            healths.append((await get(f"{s.host.url}/internal/health/scribe"))[0])
        full = await get(f"{s.host.url}/internal/health/exec.scribe")
        missing = await get(f"{s.host.url}/internal/health/nobody")
        url_file = (tmp_path / "state" / "http_url").read_text().strip()

    assert metrics[0] == 200
    assert "polytraders_host_orders 0.0" in metrics[1]
    assert openmetrics[1].endswith("# EOF\n")
    assert openmetrics[2].startswith("application/openmetrics-text")
    assert json.loads(bots[1])["bots"][0]["bot_id"] == "exec.scribe"
    assert healths == [200, 200, 503]
    assert json.loads(full[1])["status"] == "red"
    assert missing[0] == 404
    assert url_file == s.host.url
    assert s.host.url.startswith("http://127.0.0.1:")


async def test_a_bot_that_fails_to_say_how_it_is_reads_as_red(tmp_path: Path) -> None:
    class MuteBot(ScribeBot):
        @hookimpl
        def check_health(self) -> Any:
            raise RuntimeError("cannot say")

    async with host_stage(tmp_path, MuteBot()) as s:
        status, text, _ = await get(f"{s.host.url}/internal/health/scribe")

    assert status == 503
    assert json.loads(text)["reasons"] == ["check_health failed: RuntimeError: cannot say"]


async def test_the_window_is_read_only(tmp_path: Path) -> None:
    async with host_stage(tmp_path) as s, aiohttp.ClientSession() as session:
        statuses = []
        for path in ("/metrics", "/internal/bots", "/internal/health/scribe"):
            async with session.post(s.host.url + path) as reply:
                statuses.append(reply.status)

    assert statuses == [405, 405, 405]


async def test_a_command_goes_to_its_bot_and_to_no_other(tmp_path: Path) -> None:
    async with host_stage(tmp_path) as s:
        answer = await s.host.command("exec.scribe", "explain", {"order": "0x"})
        nobody = await s.host.command("exec.other", "explain", {})

    assert answer is not None
    assert (answer.ok, answer.message) == (True, "explain {'order': '0x'}")
    assert nobody is None


async def test_two_hosts_live_in_one_process_and_share_nothing(tmp_path: Path) -> None:
    async with host_stage(tmp_path / "a") as a, host_stage(tmp_path / "b") as b:
        a.exchange.answer_json("POST /order", ACCEPTED)
        placed = await a.host.place(WISH)
        await a.host.kill_switch.signal(True, "only here", "ann")

        assert a.bot is not b.bot
        assert await b.host.lifecycle.get(placed.order_id) is None
        assert not (await b.host.kill_switch.status()).active
        assert b.bot.signals == []
        assert b.bot.decisions == []


async def test_two_hosts_never_share_a_directory(tmp_path: Path) -> None:
    async with host_stage(tmp_path):
        with pytest.raises(ConfigError, match="another host holds"):
            async with host_stage(tmp_path):
                pass


async def test_a_host_without_any_of_its_enabled_bots_does_not_start(tmp_path: Path) -> None:
    async with StubExchange() as exchange, StubFeed() as feed:
        answer_as_an_empty_exchange(exchange)
        config = config_for(tmp_path, exchange, feed, {"exec.nowhere": {}})
        with pytest.raises(DiscoveryError, match=r"exec\.nowhere"):
            async with Host(config, environ=ENVIRON):
                pass
        async with Host(
            config_for(tmp_path, exchange, feed, {"exec.nowhere": {"enabled": False}}), environ=ENVIRON
        ) as host:
            assert host.roster.bots == ()


async def test_a_start_that_fails_half_way_leaves_nothing_open(tmp_path: Path) -> None:
    async with StubExchange() as exchange, StubFeed() as feed:
        answer_as_an_empty_exchange(exchange)
        async with host_stage(tmp_path / "other") as other:
            port = int(other.host.url.rpartition(":")[2])
            section = {"state_dir": str(tmp_path), "http_port": port}
            bot = ScribeBot()
            config = config_for(tmp_path, exchange, feed, {"exec.scribe": {}}, host=section)
            with pytest.raises(OSError, match="address already in use"):
                async with Host(config, environ=ENVIRON, plugins={"exec.scribe": plugin_with(bot)}):
                    pass
        await eventually(lambda: not feed.open)

        assert bot.life == ["start", "stop"]


async def test_a_bot_that_fails_to_start_stays_and_the_others_start(tmp_path: Path) -> None:
    class LameBot(ScribeBot):
        @hookimpl
        async def on_host_start(self) -> None:
            raise RuntimeError("lame")

    async with StubExchange() as exchange, StubFeed() as feed:
        answer_as_an_empty_exchange(exchange)
        lame, well = LameBot("exec.lame"), ScribeBot("exec.well")
        config = config_for(tmp_path, exchange, feed, {"lame": {}, "well": {}})
        plugins = {"lame": plugin_with(lame), "well": plugin_with(well)}
        async with Host(config, environ=ENVIRON, plugins=plugins, timings=FAST) as host:
            assert [bot.bot_id for bot in host.roster.bots] == ["exec.lame", "exec.well"]
            assert well.life == ["start"]


async def test_an_exchange_that_is_away_at_the_start_leaves_open_partials_unknown(tmp_path: Path) -> None:
    failures: list[str] = []

    class AskingBot(ScribeBot):
        @hookimpl
        async def on_host_start(self) -> None:
            assert self.host is not None
            try:
                await self.host.orders.open_partials()
            except Exception as e:
                failures.append(type(e).__name__)

    async with StubExchange() as exchange, StubFeed() as feed:
        exchange.answer_json("GET /data/orders", {"error": "down"}, status=503)
        config = config_for(tmp_path, exchange, feed, {"exec.scribe": {}})
        plugins = {"exec.scribe": plugin_with(AskingBot())}
        async with Host(config, environ=ENVIRON, plugins=plugins, timings=FAST):
            pass

    assert failures == ["ExchangeRefused"]


async def test_an_exchange_that_comes_back_during_the_start_is_read_while_bots_wait_for_it(
    tmp_path: Path,
) -> None:
    class PatientBot(ScribeBot):
        @hookimpl
        async def on_host_start(self) -> None:
            assert self.host is not None
            orders = self.host.orders
            await eventually(lambda: orders.reconciled)  # type: ignore[attr-defined]
            self.life.append(f"{len(await orders.open_partials())} open")

    bot = PatientBot()
    async with StubExchange() as exchange, StubFeed() as feed:
        empty = json_answer({"data": [], "next_cursor": "LTE="})
        exchange.answer("GET /data/orders", json_answer({"error": "down"}, status=503), empty)
        config = config_for(tmp_path, exchange, feed, {"exec.scribe": {}})
        async with Host(config, environ=ENVIRON, plugins={"exec.scribe": plugin_with(bot)}, timings=FAST):
            pass

    assert bot.life == ["0 open", "stop"]


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"PK": ""}, "environment variable PK"),
        ({"PK": "0x12"}, "not a private key"),
        ({"EVENT_KEY": "abab"}, "event key 'k1'"),
        ({"API_SECRET": ""}, "environment variable API_SECRET"),
    ],
)
async def test_a_secret_that_is_missing_stops_the_start_and_is_named(
    tmp_path: Path, environ: dict[str, str], message: str
) -> None:
    async with StubExchange() as exchange, StubFeed() as feed:
        config = config_for(tmp_path, exchange, feed, {})
        with pytest.raises(SecretMissing, match=message):
            async with Host(config, environ=ENVIRON | environ):
                pass

    assert exchange.seen == []


async def run_process(
    tmp_path: Path, exchange: StubExchange, feed: StubFeed, toml_bots: str = ""
) -> asyncio.subprocess.Process:
    config = tmp_path / "host.toml"
    config.write_text(
        f'[host]\nstate_dir = "state"\nhttp_port = 0\n[exchange]\nrest_url = "{exchange.url}"\n'
        f'ws_url = "{feed.url}"\n[wallet]\nkey = {{ env = "PK" }}\n'
        f'[wallet.api]\nkey = {{ env = "API_KEY" }}\n'
        f'secret = {{ env = "API_SECRET" }}\npassphrase = {{ env = "API_PASS" }}\n{toml_bots}'
    )
    code = (
        "import pathlib, sys; from polytraders_pfh.host import run_host; "
        "sys.exit(run_host(pathlib.Path(sys.argv[1])))"
    )
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        "-c",
        code,
        str(config),
        env={**os.environ, **ENVIRON, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_process_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    async with StubExchange() as exchange, StubFeed() as feed:
        answer_as_an_empty_exchange(exchange)
        process = await run_process(tmp_path, exchange, feed)
        await eventually((tmp_path / "state" / "http_url").exists, 30)
        await eventually(lambda: feed.open)
        process.send_signal(number)
        _, errors = await process.communicate()

    assert process.returncode == 0, errors.decode()
    assert not (tmp_path / "state" / "http_url").exists()
    assert b"Traceback" not in errors
    assert API_SECRET.encode() not in errors


async def test_a_process_with_a_wrong_config_ends_with_two_and_says_why(tmp_path: Path) -> None:
    async with StubExchange() as exchange, StubFeed() as feed:
        process = await run_process(tmp_path, exchange, feed, "[hots]\n")
        _, errors = await process.communicate()

    assert process.returncode == 2
    assert b"hots was a section; no such setting exists" in errors


async def test_a_signal_during_the_start_ends_the_start_cleanly(tmp_path: Path) -> None:
    never = asyncio.Event()

    async def silence(_: Any) -> Any:
        await never.wait()

    async with StubExchange() as exchange, StubFeed() as feed:
        exchange.answer("GET /data/orders", silence)
        process = await run_process(tmp_path, exchange, feed)
        await eventually(lambda: exchange.seen, 30)
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
        never.set()

    assert process.returncode == 0, errors.decode()
    assert b"Traceback" not in errors


async def test_a_process_that_cannot_start_ends_with_one_and_says_why(tmp_path: Path) -> None:
    async with StubExchange() as exchange, StubFeed() as feed:
        process = await run_process(tmp_path, exchange, feed, '[bots."exec.nowhere"]\nenabled = true\n')
        _, errors = await process.communicate()

    assert process.returncode == 1
    assert b"bot 'exec.nowhere' was not found" in errors
    assert b"Traceback" not in errors
