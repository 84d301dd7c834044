"""Health as the host serves it: its own, and each bot's with what the host knows of the exchange."""

import asyncio
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.eventually import eventually
from support.host_bots import ScribeBot
from support.host_stage import MARKET, HostStage, host_stage
from support.steering_stage import BOT, steered
from support.stub_exchange import hang_up, json_answer

from polytraders_pfh.host.health import HOST_HEALTH, HostHealth, worst
from polytraders_pfh.ops.health import FIGURES

SILENT = "the exchange's trading side did not answer the last request"
NO_BOOKS = "the exchange's books did not answer the last request"


async def served(url: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(url) as reply:
        return reply.status, await reply.json()


async def of_bot(s: HostStage) -> tuple[int, str, list[str]]:
    status, told = await served(f"{s.host.url}/internal/health/scribe")
    return status, told["status"], told["reasons"]


async def until(condition: Callable[[], Any]) -> None:
    await eventually(condition)


async def test_a_host_whose_exchange_answers_is_green_and_so_is_its_bot(tmp_path: Path) -> None:
    async with host_stage(tmp_path) as s:
        own = await served(f"{s.host.url}/internal/health")

        assert await of_bot(s) == (200, "green", [])
    assert own[0] == 200
    assert own[1] == {
        "status": "green",
        "reasons": [],
        "trading": "open",
        "limited_ms": own[1]["limited_ms"],
        "heartbeat": "off",
        "clob_auth": "reachable",
        "clob_public": "not asked yet",
    }


async def test_a_trading_side_that_does_not_answer_makes_host_and_bot_red_until_it_does(
    tmp_path: Path,
) -> None:
    async with host_stage(tmp_path) as s:
        s.exchange.answer("GET /data/orders", hang_up)
        assert not await s.host._room.reconciler.try_once()
        own = await served(f"{s.host.url}/internal/health")
        bot = await of_bot(s)
        s.exchange.answer_json("GET /data/orders", {"data": [], "next_cursor": "LTE="})
        assert await s.host._room.reconciler.try_once()
        mended = await of_bot(s)

    assert (own[0], own[1]["status"], own[1]["reasons"], own[1]["clob_auth"]) == (
        503,
        "red",
        [SILENT],
        "unreachable",
    )
    assert bot == (503, "red", [SILENT])
    assert mended == (200, "green", [])


async def test_an_answer_that_refuses_is_an_answer(tmp_path: Path) -> None:
    async with host_stage(tmp_path) as s:
        s.exchange.answer("GET /data/orders", json_answer({"error": "busy"}, 500))
        await s.host._room.reconciler.try_once()

        assert await of_bot(s) == (200, "green", [])


async def test_books_that_do_not_answer_make_host_and_bot_amber(tmp_path: Path) -> None:
    async with host_stage(tmp_path) as s:
        s.exchange.answer(f"GET /clob-markets/{MARKET}", hang_up)
        with pytest.raises(Exception, match="clob-markets"):
            await s.host.clob.learn_market(MARKET)
        own = await served(f"{s.host.url}/internal/health")
        bot = await of_bot(s)

    assert (own[0], own[1]["status"], own[1]["reasons"]) == (200, "amber", [NO_BOOKS])
    assert bot == (200, "amber", [NO_BOOKS])


async def test_what_the_host_knows_makes_no_bot_look_better_than_it_says(tmp_path: Path) -> None:
    bot = ScribeBot()
    bot.health = "red"
    async with host_stage(tmp_path, bot) as s:
        s.exchange.answer(f"GET /clob-markets/{MARKET}", hang_up)
        with pytest.raises(Exception, match="clob-markets"):
            await s.host.clob.learn_market(MARKET)

        assert await of_bot(s) == (503, "red", [NO_BOOKS])


async def test_a_call_that_was_given_up_says_nothing_about_the_exchange(tmp_path: Path) -> None:
    never = asyncio.Event()

    async def silence(_: Any) -> Any:
        await never.wait()

    async with host_stage(tmp_path) as s:
        s.exchange.answer("GET /data/orders", silence)
        asked = asyncio.create_task(s.host._room.reconciler.run_once())
        await until(lambda: len(s.exchange.calls("GET /data/orders")) > 1)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        never.set()

        assert (await of_bot(s))[1] == "green"


async def test_the_plugin_s_health_is_served_under_the_card_s_address(tmp_path: Path) -> None:
    async with steered(tmp_path) as s:
        by_slug = await served(f"{s.host.url}/internal/health/partialfillhandler")
        by_id = await served(f"{s.host.url}/internal/health/{BOT}")
        s.exchange.answer("GET /data/orders", hang_up)
        await s.host._room.reconciler.try_once()
        red = await served(f"{s.host.url}/internal/health/partialfillhandler")

    assert by_slug == by_id
    assert by_slug[0] == 200
    assert by_slug[1] == {
        "bot_id": BOT,
        "status": "green",
        "reasons": [],
        "mode": "general_live",
        "kill_switch_active": False,
        "figures": by_slug[1]["figures"],
    }
    assert list(by_slug[1]["figures"]) == list(FIGURES)
    assert (red[0], red[1]["status"], red[1]["reasons"]) == (503, "red", [SILENT])


def test_every_member_of_the_host_s_health_is_documented() -> None:
    assert [field.name for field in fields(HostHealth)] == list(HOST_HEALTH)


@pytest.mark.parametrize(
    ("colours", "colour"),
    [((), "green"), (("green",), "green"), (("green", "amber"), "amber"), (("amber", "red", "green"), "red")],
)
def test_the_worst_colour_is_the_whole_s(colours: tuple[str, ...], colour: str) -> None:
    assert worst(colours) == colour
