"""Health by the card: green, amber, red, each colour with its reasons, rates over a sliding five minutes."""

from decimal import Decimal
from typing import Any

import pytest
from polytraders_hookspecs import BotHealth, KillSwitchSignal
from support.fake_host import NOW_MS, FakeHost, Resting, no_reply, partial
from support.live_bot import MakeHost

from polytraders_pfh.ops.health import FIGURES

MINUTE_MS = 60_000


async def dust(host: FakeHost, count: int, first: int = 0) -> None:
    """Have this many remainders cancelled as dust."""
    for n in range(first, first + count):
        order_id = f"0x{n:064x}"
        host.exchange.orders[order_id] = Resting(725_806_451, 620_000, 720_000_000)
        event = partial(order_id=order_id, filled="447", remaining="3", at_ms=host.clock.ms)
        await host.bot.on_partial_fill(event)


async def aborts(host: FakeHost, count: int) -> None:
    """Have this many chases aborted, the market being far away."""
    host.exchange.book = host.exchange.book.model_copy(
        update={"asks": ((900_000, 10_000_000_000),), "timestamp_ms": host.clock.ms}
    )
    for n in range(count):
        order_id = f"0x{0xABC000 + n:064x}"
        host.exchange.orders[order_id] = Resting(725_806_451, 620_000, 322_580_645)
        event = partial(order_id=order_id, policy="chase", at_ms=host.clock.ms)
        report = await host.bot.on_partial_fill(event)
        assert report.verdict == "PARTIAL_FILL_CHASE_ABORTED"


@pytest.mark.parametrize(
    ("count", "status", "reasons"),
    [
        (0, "green", ()),
        (1, "amber", ("dust cancels ran at 0.2 per minute over 5 minutes; green is below 0.2",)),
        (5, "amber", ("dust cancels ran at 1 per minute over 5 minutes; green is below 0.2",)),
        (6, "red", ("dust cancels ran at 1.2 per minute over 5 minutes; red is above 1",)),
    ],
)
async def test_dust_cancels_are_green_below_a_fifth_per_minute_and_red_above_one(
    host: FakeHost, count: int, status: str, reasons: tuple[str, ...]
) -> None:
    await dust(host, count)

    health = host.bot.check_health()

    assert (health.status, health.reasons) == (status, reasons)
    assert health.figures["dust_cancels_5m"] == count
    assert health.figures["dust_cancels_per_min"] == Decimal(count) / 5


@pytest.mark.parametrize(
    ("count", "status", "reasons"),
    [
        (0, "green", ()),
        (1, "amber", ("chase aborts ran at 0.2 per minute over 5 minutes; green is below 0.1",)),
        (2, "amber", ("chase aborts ran at 0.4 per minute over 5 minutes; green is below 0.1",)),
        (3, "red", ("chase aborts ran at 0.6 per minute over 5 minutes; red is above 0.5",)),
    ],
)
async def test_chase_aborts_are_green_below_a_tenth_per_minute_and_red_above_a_half(
    host: FakeHost, count: int, status: str, reasons: tuple[str, ...]
) -> None:
    await aborts(host, count)

    health = host.bot.check_health()

    assert (health.status, health.reasons) == (status, reasons)
    assert health.figures["chase_aborts_5m"] == count
    assert health.figures["chase_aborts_per_min"] == Decimal(count) / 5


async def test_the_five_minutes_slide(host: FakeHost) -> None:
    await dust(host, 4)
    host.clock.ms += 3 * MINUTE_MS
    await dust(host, 2, first=4)
    full = host.bot.check_health()
    host.clock.ms += 2 * MINUTE_MS
    later = host.bot.check_health()
    host.clock.ms += 3 * MINUTE_MS
    last = host.bot.check_health()

    assert [h.figures["dust_cancels_5m"] for h in (full, later, last)] == [6, 2, 0]
    assert [h.status for h in (full, later, last)] == ["red", "amber", "green"]


async def test_a_trading_side_that_does_not_answer_is_red(host: FakeHost) -> None:
    host.exchange.on_cancel = lambda exchange, ids: no_reply()
    host.exchange.on_get = lambda exchange, order_id: no_reply()
    await host.bot.on_partial_fill(partial(policy="cancel"))

    health = host.bot.check_health()

    assert health.status == "red"
    assert health.reasons == ("the exchange's trading side did not answer the last request",)
    assert health.figures["clob_auth"] == "unreachable"


async def test_a_trading_side_that_answers_again_is_green_again(host: FakeHost) -> None:
    host.exchange.on_cancel = lambda exchange, ids: no_reply()
    host.exchange.on_get = lambda exchange, order_id: no_reply()
    await host.bot.on_partial_fill(partial(policy="cancel"))
    host.exchange.on_cancel = host.exchange.on_get = None

    command = {"order": partial_order(host), "actor": "ann", "reason": "test"}
    await host.bot.on_bot_command("exec.partialfillhandler", "cancel-remainder", command)

    assert host.bot.check_health().figures["clob_auth"] == "reachable"
    assert host.bot.check_health().status == "green"


def partial_order(host: FakeHost) -> str:
    (intent,) = host.bot._engine.tools.intents
    return str(intent.working.order_id)


async def test_books_that_do_not_answer_are_amber(host: FakeHost) -> None:
    host.exchange.book = ConnectionError("no books today")
    report = await host.bot.on_partial_fill(partial())

    health = host.bot.check_health()

    assert report.warnings == ("BOOK_UNAVAILABLE",)
    assert (health.status, health.reasons) == (
        "amber",
        ("the exchange's books did not answer the last request",),
    )
    assert health.figures["clob_public"] == "unreachable"


async def test_what_was_never_asked_is_said_to_be_unknown(host: FakeHost) -> None:
    health = host.bot.check_health()

    assert health.figures["clob_auth"] == "not asked yet"
    assert health.figures["clob_public"] == "not asked yet"


async def test_red_outweighs_amber_and_both_are_told(host: FakeHost) -> None:
    await dust(host, 1)
    await aborts(host, 3)

    health = host.bot.check_health()

    assert health.status == "red"
    assert health.reasons == (
        "chase aborts ran at 0.6 per minute over 5 minutes; red is above 0.5",
        "dust cancels ran at 0.2 per minute over 5 minutes; green is below 0.2",
    )


async def test_a_latched_kill_switch_is_amber_and_shown(host: FakeHost) -> None:
    await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill"))

    health = host.bot.check_health()

    assert (health.status, health.kill_switch_active) == ("amber", True)
    assert health.reasons == ("the kill switch is latched; reset it by hand once the cause is mended",)


async def test_the_figures_are_those_that_are_documented(host: FakeHost) -> None:
    assert list(host.bot.check_health().figures) == list(FIGURES)


async def test_health_reads_back_from_its_json_as_it_was_written(make_host: MakeHost) -> None:
    host: Any = await make_host()
    await dust(host, 1)
    health = host.bot.check_health()

    assert BotHealth.from_json(health.to_json()) == health
