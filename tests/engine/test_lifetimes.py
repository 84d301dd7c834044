"""From register_bot to on_host_stop: discovery, declarations, closing, kill sweeps, health, commands."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pluggy
import pytest
from polytraders_hookspecs import (
    HOOK_NAMES,
    ContractTooOld,
    EventForged,
    KillSwitchSignal,
    KillSwitchStatus,
    OrderFacts,
    SignedEvent,
    StreamGap,
    sign_event,
    specs,
)
from polytraders_hookspecs.wire import print_json
from support.fake_host import (
    KEY,
    KEY_ID,
    MARKET,
    NOW_MS,
    ROOT,
    TOKEN,
    TRACE,
    FakeExchange,
    FakeHost,
    Resting,
    book,
    no_reply,
    partial,
)

from polytraders_pfh import plugin
from polytraders_pfh.errors import ConfigError


def envelope(body: dict[str, Any], trace_id: str = TRACE, key: bytes = KEY) -> SignedEvent:
    return sign_event(
        key_id=KEY_ID, key=key, event_ts_ms=NOW_MS, trace_id=trace_id, body=print_json(body).encode()
    )


def closed(status: str = "CANCELLED", order_id: str = ROOT) -> SignedEvent:
    return envelope({"order_id": order_id, "status": status})


def declared(**changes: Any) -> SignedEvent:
    body = {
        "trace_id": TRACE,
        "side": "BUY",
        "intended_size_usd": Decimal(450),
        "limit_price": Decimal("0.65"),
        "strategy": {"id": "s1", "partial_fill_policy": "chase", "allow_wide_chase": False},
    }
    return envelope(body | changes)


def facts(**changes: Any) -> OrderFacts:
    known: dict[str, Any] = {
        "order_id": ROOT,
        "market_id": MARKET,
        "token_id": TOKEN,
        "trace_id": TRACE,
        "side": "BUY",
        "price": "0.62",
        "size_shares": "725.806451",
        "filled_shares": "322.580645",
        "status": "PARTIAL",
    }
    return OrderFacts(**(known | changes))


def test_plain_plugin_manager_finds_the_bot_by_its_entry_point() -> None:
    manager = pluggy.PluginManager("polytraders")
    manager.add_hookspecs(specs)

    manager.load_setuptools_entrypoints("polytraders")
    manager.check_pending()

    assert manager.get_plugin("exec.partialfillhandler") is plugin
    assert [i.function for i in manager.hook.register_bot.get_hookimpls()] == [plugin.register_bot]


def test_bot_s_own_hooks_pass_check_pending(tmp_path: Path) -> None:
    host = FakeHost(config={}, state_dir=tmp_path)
    bot = plugin.register_bot(host)
    host.manager.register(bot, "exec.partialfillhandler")

    host.manager.check_pending()

    assert len(host.manager.get_hookcallers(bot) or []) == len(HOOK_NAMES) - 2


def test_bot_that_is_not_enabled_is_not_built(tmp_path: Path) -> None:
    assert plugin.register_bot(FakeHost(config={"enabled": False}, state_dir=tmp_path)) is None


def test_host_with_an_older_contract_is_refused_with_both_versions(tmp_path: Path) -> None:
    host = FakeHost(config={}, state_dir=tmp_path, hookspec_version="0.9")

    with pytest.raises(ContractTooOld, match=r"needs hook contract 1\.0, and this host offers 0\.9"):
        plugin.register_bot(host)


def test_wrong_config_is_refused_with_path_value_and_rule(tmp_path: Path) -> None:
    host = FakeHost(config={"defaults": {"chase_max_ticks": 11}}, state_dir=tmp_path)

    with pytest.raises(ConfigError, match=r"defaults\.chase_max_ticks was 11; .*less than or equal to 10"):
        plugin.register_bot(host)


def test_default_mode_is_shadow_only(tmp_path: Path) -> None:
    bot = plugin.register_bot(FakeHost(config={}, state_dir=tmp_path))

    assert bot is not None
    assert bot.describe_bot().mode == "shadow_only"


async def test_two_hosts_in_one_process_do_not_see_each_other(make_host: Any) -> None:
    one, two = await make_host(), await make_host()

    await one.bot.on_partial_fill(partial())
    await one.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS))

    assert len(one.bot._engine.tools.intents) == 1
    assert len(two.bot._engine.tools.intents) == 0
    assert (await two.bot.on_partial_fill(partial(policy="chase"))).verdict == "CHASE_ORDER_SUBMITTED"


async def test_declared_size_is_never_exceeded_by_a_chase(host: FakeHost) -> None:
    host.bot.on_decision_report(declared(intended_size_usd=Decimal(300)))

    await host.bot.on_partial_fill(partial(policy=None))

    (posted,) = host.exchange.posted()
    assert posted.maker_amount_micro <= 100_000_000


async def test_declared_limit_price_caps_every_chase(host: FakeHost) -> None:
    host.bot.on_decision_report(declared(limit_price=Decimal("0.63")))
    host.exchange.book = book(asks=(("0.64", "1000"),))

    report = await host.bot.on_partial_fill(partial(policy=None))

    assert report.chase_price == Decimal("0.63")


async def test_forged_decision_report_is_not_remembered(host: FakeHost) -> None:
    forged = envelope({"trace_id": TRACE}, key=b"another key of at least 32 bytes")

    with pytest.raises(EventForged):
        host.bot.on_decision_report(forged)


async def test_closed_order_is_dropped_after_its_tombstone(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial())
    await host.bot.on_order_closed(closed())
    kept = len(host.bot._engine.tools.intents)
    host.clock.ms += 31_000
    await host.bot.on_partial_fill(partial(order_id="0x" + "d4" * 32, at_ms=host.clock.ms))
    await host.bot.on_order_closed(closed(order_id="0x" + "d4" * 32))

    assert (kept, len(host.bot._engine.tools.intents)) == (1, 1)


async def test_partial_of_a_closed_order_has_nothing_left_to_act_on(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial())
    await host.bot.on_order_closed(closed("FILLED"))

    report = await host.bot.on_partial_fill(partial(policy="cancel", at_ms=NOW_MS + 1))

    assert report.verdict == "REMAINDER_CLOSED"
    assert host.exchange.cancels() == []


async def test_closing_an_order_that_was_never_seen_is_no_error(host: FakeHost) -> None:
    await host.bot.on_order_closed(closed(order_id="0x" + "99" * 32))


async def test_kill_switch_cancels_all_known_remainders_in_one_request(host: FakeHost) -> None:
    ids = [f"0x{n:064x}" for n in range(1, 31)]
    for i, order_id in enumerate(ids):
        host.exchange.orders[order_id] = Resting(725_806_451, 620_000, 322_580_645)
        await host.bot.on_partial_fill(partial(order_id=order_id, at_ms=NOW_MS + i))

    reports = await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill"))

    assert host.exchange.cancels() == [tuple(ids)]
    assert {r.verdict for r in reports} == {"KILL_SWITCH_ACTIVE"}
    assert len(reports) == 30
    assert host.exchange.live() == [ROOT]


async def test_kill_switch_waits_for_a_sequence_in_work_and_cancels_what_it_posted(host: FakeHost) -> None:
    gate, reached = asyncio.Event(), asyncio.Event()

    async def slow_read(exchange: FakeExchange, order_id: str) -> None:
        if order_id == ROOT:
            reached.set()
            await gate.wait()

    host.exchange.on_get = slow_read
    working = asyncio.ensure_future(host.bot.on_partial_fill(partial(policy="chase")))
    await reached.wait()
    killing = asyncio.ensure_future(host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS)))
    gate.set()
    report = await working
    await killing

    assert report.verdict in {"KILL_SWITCH_ACTIVE", "PARTIAL_FILL_PENDING"}
    assert host.exchange.live() == []
    assert host.exchange.posted() == []


async def test_kill_switch_that_is_found_on_without_a_signal_cancels_every_known_remainder(
    host: FakeHost,
) -> None:
    other = "0x" + "d4" * 32
    host.exchange.orders[other] = Resting(725_806_451, 620_000, 322_580_645)
    await host.bot.on_partial_fill(partial(order_id=other))
    host.kill_switch.status_now = KillSwitchStatus(active=True, reason="risk desk")

    await host.bot.on_partial_fill(partial())
    published = await host.reports.until(3)

    assert host.exchange.live() == []
    assert [r["verdict"] for r in published[1:]] == ["KILL_SWITCH_ACTIVE"] * 2


async def test_kill_switch_going_off_resets_nothing(host: FakeHost) -> None:
    await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS))

    assert host.bot.on_killswitch(KillSwitchSignal(active=False, ts_ms=NOW_MS + 1)) is None
    report = await host.bot.on_partial_fill(partial(policy="chase"))
    assert report.verdict == "KILL_SWITCH_ACTIVE"


async def test_kill_switch_in_shadow_mode_reports_and_sends_nothing(make_host: Any) -> None:
    host = await make_host(mode="shadow_only")
    await host.bot.on_partial_fill(partial())

    (report,) = await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS))

    assert (report.verdict, report.executed) == ("KILL_SWITCH_ACTIVE", False)
    assert host.exchange.cancels() == []


async def test_kill_switch_cancel_that_is_lost_is_reported_and_asked_for_until_it_is_known(
    host: FakeHost,
) -> None:
    await host.bot.on_partial_fill(partial())
    host.exchange.on_cancel = lambda exchange, ids: no_reply()
    host.exchange.on_get = lambda exchange, order_id: no_reply()

    (report,) = await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS))

    assert report.verdict == "CANCEL_UNCONFIRMED"
    assert host.sample("cancels_unconfirmed") == 1
    host.exchange.on_cancel = host.exchange.on_get = None
    host.clock.wake()
    async with asyncio.timeout(5):
        while host.exchange.live():
            await asyncio.sleep(0)


async def test_reset_by_hand_is_refused_while_the_host_s_switch_is_on(host: FakeHost) -> None:
    await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS))
    host.kill_switch.status_now = KillSwitchStatus(active=True)

    refused = await host.bot.on_bot_command("exec.partialfillhandler", "reset-kill", {"actor": "ops"})
    host.kill_switch.status_now = KillSwitchStatus(active=False)
    allowed = await host.bot.on_bot_command("exec.partialfillhandler", "reset-kill", {"actor": "ops"})

    assert (refused.ok, allowed.ok) == (False, True)
    assert (await host.bot.on_partial_fill(partial(policy="chase"))).verdict == "CHASE_ORDER_SUBMITTED"


async def test_cancel_remainder_by_hand_cancels_and_reports(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial())

    result = await host.bot.on_bot_command(
        "exec.partialfillhandler", "cancel-remainder", {"order": ROOT, "actor": "ops", "reason": "stuck"}
    )

    assert (result.ok, result.message) == (True, f"order {ROOT}: CANCELLED_REMAINDER")
    assert host.exchange.live() == []


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        ("cancel-remainder", {}, "pass --order ID"),
        ("cancel-remainder", {"order": "0x12"}, "is not a remainder this bot knows"),
        ("dance", {}, "command 'dance' is not known"),
    ],
)
async def test_wrong_command_says_what_to_do(
    host: FakeHost, command: str, arguments: dict[str, str], words: str
) -> None:
    result = await host.bot.on_bot_command("exec.partialfillhandler", command, arguments)

    assert not result.ok
    assert words in result.message


async def test_command_in_shadow_mode_sends_nothing_and_says_so(make_host: Any) -> None:
    host = await make_host(mode="shadow_only")
    await host.bot.on_partial_fill(partial())

    result = await host.bot.on_bot_command("exec.partialfillhandler", "cancel-remainder", {"order": ROOT})

    assert not result.ok
    assert "mode shadow_only sends nothing" in result.message
    assert host.exchange.cancels() == []


async def test_command_for_another_bot_is_left_alone(host: FakeHost) -> None:
    assert host.bot.on_bot_command("exec.other", "status", {}) is None


async def test_health_is_green_at_rest_and_names_figures(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial())

    health = host.bot.check_health()

    assert (health.status, health.reasons) == ("green", ())
    assert health.figures["active_intents"] == 1


@pytest.mark.parametrize(("dust", "status"), [(0, "green"), (1, "amber"), (5, "amber"), (6, "red")])
async def test_health_by_dust_rate(host: FakeHost, dust: int, status: str) -> None:
    for n in range(dust):
        order_id = f"0x{n:064x}"
        host.exchange.orders[order_id] = Resting(725_806_451, 620_000, 720_000_000)
        await host.bot.on_partial_fill(partial(order_id=order_id, filled="447", remaining="3"))

    assert host.bot.check_health().status == status


async def test_health_forgets_after_five_minutes(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial(filled="447", remaining="3"))
    host.clock.ms += 5 * 60_000

    assert host.bot.check_health().status == "green"


async def test_health_is_red_when_trading_side_does_not_answer(host: FakeHost) -> None:
    host.exchange.on_cancel = lambda exchange, ids: no_reply()
    host.exchange.on_get = lambda exchange, order_id: no_reply()

    await host.bot.on_partial_fill(partial(filled="447", remaining="3"))

    health = host.bot.check_health()
    assert health.status == "red"
    assert "the exchange's trading side did not answer the last request" in health.reasons


async def test_recovery_learns_open_partials_and_their_chases(tmp_path: Path) -> None:
    chase = "0x" + "ee" * 32
    host = FakeHost(config={"mode": "general_live"}, state_dir=tmp_path)
    host.exchange.book = book()
    host.exchange.orders[ROOT] = Resting(725_806_451, 620_000, 322_580_645, "CANCELED")
    host.exchange.orders[chase] = Resting(396_820_000, 630_000, 100_000_000)
    host.orders.partials = (
        facts(order_id=chase, price="0.63", size_shares="396.82", filled_shares="1", root_order_id=ROOT),
        facts(),
    )
    await host.start()

    intent = host.bot._engine.tools.intents.get(chase)

    assert intent is host.bot._engine.tools.intents.get(ROOT)
    assert [(o.filled_micro, o.may_fill) for o in intent.orders] == [
        (322_580_645, False),
        (100_000_000, True),
    ]
    await host.stop()


async def test_nothing_is_posted_before_recovery_is_done(tmp_path: Path) -> None:
    host = FakeHost(config={"mode": "general_live", "journal": {"durable": False}}, state_dir=tmp_path)
    host.exchange.book = book()
    host.exchange.orders[ROOT] = Resting(725_806_451, 620_000, 322_580_645)
    host.bot = plugin.register_bot(host)
    host.manager.register(host.bot, "exec.partialfillhandler")

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert (report.verdict, report.warnings) == ("HOLD_REMAINDER", ("NOT_REPOSTABLE",))
    assert report.detail == "what was open before the start is not known yet"
    assert host.exchange.cancels() == host.exchange.posted() == []
    await host.stop()


async def test_stop_lets_a_sequence_end_first(host: FakeHost) -> None:
    gate = asyncio.Event()

    async def slow(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        await gate.wait()

    host.exchange.on_cancel = slow
    await host.bot.on_partial_fill(partial(policy="chase"))
    stopping = asyncio.ensure_future(host.bot.on_host_stop())
    await asyncio.sleep(0)
    gate.set()
    await stopping

    assert [r["verdict"] for r in host.reports.reports()] == ["PARTIAL_FILL_PENDING", "CHASE_ORDER_SUBMITTED"]


async def test_stream_gap_voids_the_kept_book(host: FakeHost) -> None:
    host.bot.on_book_update(book())
    host.bot.on_book_update(StreamGap(timestamp_ms=NOW_MS))

    await host.bot.on_partial_fill(partial())

    assert [kind for kind, _ in host.exchange.calls] == ["book"]
