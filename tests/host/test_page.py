"""The host's page: what it shows, who may look, who may order, and how it looks in a real browser."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from polytraders_hookspecs import ExecutionReport, Strategy, hookimpl
from support.browser import CHROMIUM, browser
from support.eventually import eventually
from support.host_bots import ScribeBot
from support.host_stage import WISH, host_stage, order_event
from support.secret_watch import WATCH
from support.steering_stage import BOT, Steered, steered

from polytraders_pfh.engine.journal import Kind
from polytraders_pfh.host.page.facts import age, short
from polytraders_pfh.host.recent import RecentReports

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture
async def s(tmp_path: Path) -> AsyncIterator[Steered]:
    """A host with one remainder."""
    async with steered(tmp_path) as stage:
        await stage.remainder()
        yield stage


async def get(url: str, headers: Mapping[str, str] | None = None) -> tuple[int, str, Mapping[str, str]]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as reply:
        return reply.status, await reply.text(), reply.headers


async def post(
    s: Steered, form: Mapping[str, str], headers: Mapping[str, str] | None = None, token: str | None = None
) -> tuple[int, str]:
    """Send a form; without `token` with the right one."""
    given = (s.state_dir / "admin" / "token").read_text().strip() if token is None else token
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{s.host.url}/steer", data={"token": given, **form}, headers=headers) as reply,
    ):
        return reply.status, _plain(await reply.text())


def _plain(page: str) -> str:
    """The note that answers a form."""
    note = re.search(r'role="status">(.*?)</p>', page, re.DOTALL)
    return note[1].replace("&#39;", "'").replace("&#34;", '"') if note else ""


# What it shows


async def test_the_page_shows_what_rests_what_was_decided_and_how_everything_is(s: Steered) -> None:
    status, page, headers = await get(s.host.url)

    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    for words in (
        "HOLD_REMAINDER",
        "BOOK_UNAVAILABLE",
        "general_live",
        "Kill switch",
        "off",
        "momentum",
        "10 / 100",
    ):
        assert words in page
    assert f'href="/orders/{s.order_id}"' in page
    assert f'href="/steer?order={s.order_id}"' in page
    assert "books did not answer the last request" in page
    assert "<script" not in page
    assert "<form" not in page


async def test_an_order_has_its_story_from_the_journal(s: Steered) -> None:
    status, page, _ = await get(f"{s.host.url}/orders/{s.order_id}")

    assert status == 200
    assert "BUY 100 shares at 0.5" in page
    assert "a partial fill came: 5 pUSD filled, 45 left" in page
    assert "untrusted book: hold" in page


async def test_an_unknown_order_is_said_to_be_unknown(s: Steered) -> None:
    status, page, _ = await get(f"{s.host.url}/orders/0x12")

    assert status == 200
    assert "No journal of this host knows this order." in page


async def test_a_journal_that_cannot_be_read_is_named(s: Steered) -> None:
    (s.state_dir / "bots" / BOT / "journal" / "journal-00000000000000000009.db").write_bytes(b"x" * 5_000)

    status, page, _ = await get(f"{s.host.url}/orders/{s.order_id}")

    assert status == 200
    assert f"the journal of {BOT} could not be read" in page


async def test_what_others_wrote_is_shown_as_text_and_never_as_markup(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'"

    class EvilBot(ScribeBot):
        @hookimpl
        async def on_partial_fill(self, envelope: Any) -> ExecutionReport:
            report = await super().on_partial_fill(envelope)
            report = report.model_copy(update={"detail": evil, "user_message": evil, "verdict": evil})
            assert self.host is not None
            await self.host.reports.publish("t", "k", report.to_json(), "m1")
            return report

    async with host_stage(tmp_path, EvilBot()) as stage:
        stage.exchange.answer_json("POST /order", {"success": True, "orderID": "0x1", "status": "live"})
        wish = WISH.__class__(**{**vars_of(WISH), "strategy": Strategy(id=evil[:30])})
        placed = await stage.host.place(wish)
        await eventually(lambda: any(name == "user" for name, _ in stage.feed.open))
        await stage.feed.send(order_event(placed.order_id, "10"), "user")
        await eventually(lambda: stage.host.executions)
        await stage.host.kill_switch.signal(True, evil, "eve")
        _, board, _ = await get(stage.host.url)
        _, order, _ = await get(f"{stage.host.url}/orders/%3Cscript%3Ealert(3)%3C%2Fscript%3E")
        _, steer, _ = await get(f"{stage.host.url}/steer?order=%22%3E%3Cscript%3Ealert(4)%3C/script%3E")

    for page in (board, order, steer):
        assert "<script" not in page
        assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in board


def vars_of(wish: Any) -> dict[str, Any]:
    return {name: getattr(wish, name) for name in wish.__dataclass_fields__}


async def test_a_kill_switch_that_cannot_be_read_is_unknown(s: Steered) -> None:
    (s.state_dir / "kill_switch").mkdir()

    _, page, _ = await get(s.host.url)

    assert "unknown" in page
    assert "was unreadable" in page


async def test_a_report_is_shown_although_the_bus_is_down() -> None:
    class DownBus:
        async def publish(self, topic: str, key: str, payload: bytes, message_id: str) -> None:
            raise ConnectionError("down")

    recent = RecentReports(DownBus(), limit=3)
    for number in (1, 1, 2, 3, 4):
        report = ExecutionReport(
            report_id=f"r{number}",
            bot_id="b",
            order_id=f"0x{number:064x}",
            verdict="X",
            evaluated_at_ms=number,
        )
        with pytest.raises(ConnectionError):
            await recent.publish("t", "k", report.to_json(), f"m{number}")
    with pytest.raises(ConnectionError):
        await recent.publish("t", "k", b"no report", "m5")

    assert [report.report_id for report in recent.newest(10)] == ["r4", "r3"]
    assert [report.report_id for report in recent.newest(1)] == ["r4"]
    assert [report.report_id for report in recent.newest(9, f"0x{3:064x}")] == ["r3"]
    assert set(recent.last_of_orders()) == {f"0x{3:064x}", f"0x{4:064x}"}


async def test_the_last_word_of_a_chase_order_is_the_report_that_announced_it() -> None:
    class Bus:
        async def publish(self, topic: str, key: str, payload: bytes, message_id: str) -> None: ...

    recent = RecentReports(Bus())
    root, chase = "0x" + "a" * 64, "0x" + "b" * 64
    facts: dict[str, Any] = {"bot_id": "b", "verdict": "CHASE_ORDER_SUBMITTED", "evaluated_at_ms": 1}
    report = ExecutionReport(report_id="r1", order_id=root, new_order_id=chase, **facts)
    await recent.publish("t", "k", report.to_json(), "m1")

    assert recent.last_of_orders() == {root: report, chase: report}
    assert recent.newest(5, chase) == [report]


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (59_999, "59 s"),
        (60_000, "1 min"),
        (3_725_000, "1 h 2 min"),
        (90_000_000, "1 d 1 h"),
    ],
)
def test_an_age_is_told_in_two_units_at_most(ms: int, text: str) -> None:
    assert age(ms) == text


def test_a_short_id_keeps_both_ends() -> None:
    assert short("0x" + "ab" * 32) == "0xababab…abab"
    assert short("0x12") == "0x12"


# Who may look

CSP = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

PATHS = (
    "/",
    "/steer",
    "/orders/0x1",
    "/page.css",
    "/metrics",
    "/internal/health",
    "/internal/bots",
    "/nowhere",
)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::1", "10.0.0.1"]
)
async def test_a_name_that_was_pointed_at_this_machine_is_refused_everywhere(s: Steered, host: str) -> None:
    answers = [await get(s.host.url + path, {"Host": host}) for path in PATHS]

    assert {status for status, _, _ in answers} == {421}
    assert all("answers to 127.0.0.1, [::1] and localhost alone" in page for _, page, _ in answers)


async def test_this_machine_s_own_names_are_answered(s: Steered) -> None:
    names = ("localhost", "localhost:9464", "127.0.0.1", "[::1]:9464", "LOCALHOST")

    assert [(await get(s.host.url, {"Host": name}))[0] for name in names] == [200] * 5


async def test_every_answer_carries_its_limits(s: Steered) -> None:
    for path in PATHS:
        _, _, headers = await get(s.host.url + path)

        assert headers["Content-Security-Policy"] == CSP
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in headers


# Who may order


async def test_a_form_with_the_token_cancels_a_remainder_and_is_on_record(s: Steered) -> None:
    form = {"what": "cancel-remainder", "bot": BOT, "order": s.order_id, "by": "ann", "reason": "stuck"}

    status, note = await post(s, form, {"Origin": s.host.url, "Sec-Fetch-Site": "same-origin"})

    assert (status, note) == (200, f"order {s.order_id}: CANCELLED_REMAINDER")
    (record,) = s.recorded(Kind.COMMAND)
    assert record.facts == {"command": "cancel-remainder", "actor": "ann", "peer": "page", "reason": "stuck"}


async def test_forms_lower_and_raise_the_mode_kill_and_reset(s: Steered) -> None:
    lowered = await post(s, {"what": "mode", "to": "quarantine", "bot": BOT, "by": "ann"})
    silent = await post(s, {"what": "mode", "to": "general_live", "bot": BOT})
    raised = await post(
        s, {"what": "mode", "to": "general_live", "bot": BOT, "promote": "yes", "reason": "mended"}
    )
    killed = await post(s, {"what": "kill", "by": "ann", "reason": "drill"})
    on = (await s.host.kill_switch.status()).active
    reset = await post(s, {"what": "reset-kill", "by": "ann", "reason": "over"})

    assert [status for status, _ in (lowered, silent, raised, killed, reset)] == [200] * 5
    assert "mode is quarantine" in lowered[1]
    assert "say --promote" in silent[1]
    assert "mode is general_live, it was quarantine" in raised[1]
    assert killed[1] == "the kill switch is ON; 1 remainders were cancelled"
    assert on
    assert "posting is possible again" in reset[1]
    assert not (await s.host.kill_switch.status()).active


@pytest.mark.parametrize("token", ["", "wrong", "é" * 43])
async def test_a_form_without_the_token_orders_nothing(s: Steered, token: str) -> None:
    status, note = await post(s, {"what": "kill"}, token=token)

    assert status == 401
    assert "token" in note
    assert not (await s.host.kill_switch.status()).active


async def test_a_token_that_others_could_know_opens_no_form(s: Steered) -> None:
    (s.state_dir / "admin" / "token").chmod(0o644)

    status, note = await post(s, {"what": "kill"})

    assert status == 401
    assert "had mode 0644, so others may know it" in note
    assert not (await s.host.kill_switch.status()).active


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_form_that_was_sent_from_elsewhere_orders_nothing_even_with_the_token(
    s: Steered, headers: Mapping[str, str]
) -> None:
    status, note = await post(s, {"what": "kill"}, headers)

    assert status == 403
    assert "sent from another page" in note
    assert not (await s.host.kill_switch.status()).active


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "the form asked for ''; there are kill, reset-kill, mode, cancel-remainder"),
        ({"what": "explode"}, "the form asked for 'explode'"),
        ({"what": "bot"}, "the form asked for 'bot'"),
        ({"what": "kill", "by": "x" * 201}, "by was no text of at most 200"),
        ({"what": "mode", "to": "quarantine", "bot": "exec.nobody"}, "there is no bot 'exec.nobody'"),
    ],
)
async def test_a_form_that_is_no_order_is_refused_with_a_sentence(
    s: Steered, form: Mapping[str, str], words: str
) -> None:
    _, note = await post(s, form)

    assert words in note
    assert not (await s.host.kill_switch.status()).active


async def test_no_page_shows_the_token_nor_gives_a_typed_one_back(s: Steered) -> None:
    token = (s.state_dir / "admin" / "token").read_text().strip()
    async with aiohttp.ClientSession() as session:
        pages = []
        for given in (token, "w" * 43):
            form = {"what": "cancel-remainder", "bot": BOT, "order": "0x1", "token": given}
            async with session.post(f"{s.host.url}/steer", data=form) as reply:
                pages.append(await reply.text())
    pages += [(await get(s.host.url + path))[1] for path in ("/", "/steer", "/internal/bots", "/metrics")]

    assert token not in "".join(pages)
    assert "w" * 43 not in "".join(pages)


async def test_where_orders_by_hand_are_off_the_page_is_read_only(tmp_path: Path) -> None:
    async with steered(tmp_path, admin={"door": "off"}) as s:
        _, page, _ = await get(f"{s.host.url}/steer")
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{s.host.url}/steer", data={"what": "kill", "token": "x" * 43}) as reply,
        ):
            refused = reply.status

    assert "<form" not in page
    assert refused == 403


async def test_a_form_over_sixteen_kilobytes_is_refused(s: Steered) -> None:
    status, _ = await post(s, {"what": "kill", "reason": "x" * 20_000})

    assert status == 413
    assert not (await s.host.kill_switch.status()).active


# In a real browser


@needs_chromium
async def test_in_chromium_the_page_is_read_steered_and_seen_in_light_and_dark(
    s: Steered, tmp_path: Path
) -> None:
    """One walk of somebody woken at night: look, read the order's story, cancel it, kill, look again."""
    token = (s.state_dir / "admin" / "token").read_text().strip()
    async with browser(tmp_path, "--window-size=1300,900") as new_tab:
        tab = await new_tab()
        await tab.go(s.host.url)
        first, light = await tab.text(), await tab.colour(".band")
        await tab.scheme("dark")
        dark = await tab.colour("body")
        await tab.scheme("light")
        await tab.click("td a.id")
        story = await tab.text(".story")
        await tab.click("a.button")
        prefilled = await tab.run("document.querySelector('[name=order]').value")
        await _fill(tab, 2, token)
        await tab.click("button[value=cancel-remainder]")
        cancelled = await tab.text("[role=status]")
        await _fill(tab, 1, token)
        await tab.click("button[value=kill]")
        killed, red = await tab.text("[role=status]"), await tab.colour(".band")
        await tab.go(s.host.url)
        last = await tab.text("header")
        shot = tmp_path / "page.png"
        await tab.screenshot(shot)
        problems = list(tab.problems)

    assert first.startswith("Look")
    assert "Active remainders 1" in first
    assert "HOLD_REMAINDER" in first
    assert light == "rgb(244, 183, 64)"
    assert dark == "rgb(16, 19, 23)"
    assert "a partial fill came: 5 pUSD filled, 45 left" in story
    assert prefilled == s.order_id
    assert cancelled == f"order {s.order_id}: CANCELLED_REMAINDER"
    assert killed.startswith("the kill switch is ON")
    assert red == "rgb(179, 38, 30)"
    assert last.startswith("Kill switch ON")
    assert shot.read_bytes().startswith(b"\x89PNG")
    assert problems == []
    assert [record.facts["actor"] for record in s.recorded(Kind.COMMAND)] == ["ann"]


async def _fill(tab: Any, form: int, token: str) -> None:
    for name, text in (("by", "ann"), ("reason", "woken"), ("token", token)):
        await tab.fill(f"form:nth-of-type({form}) [name={name}]", text)


@needs_chromium
async def test_in_chromium_no_other_page_and_no_other_name_reaches_the_host(
    s: Steered, tmp_path: Path
) -> None:
    """A form that posts itself from elsewhere, a frame, a script that reads, a name pointed at loopback."""
    WATCH.spare(tmp_path)  # the browser caches the trap's pages, which know the token
    token = (s.state_dir / "admin" / "token").read_text().strip()
    port = s.host.url.rpartition(":")[2]
    async with (
        trap(s.host.url, token) as elsewhere,
        browser(tmp_path, "--host-resolver-rules=MAP evil.example 127.0.0.1") as new_tab,
    ):
        forged, framed, reading, renamed = [await new_tab() for _ in range(4)]
        await forged.go(f"{elsewhere}/form")
        await forged.click("button")
        note = await forged.text("[role=status]")
        await framed.go(f"{elsewhere}/frame")
        await reading.go(f"{elsewhere}/read")
        title = await reading.run("answered")
        await renamed.go(f"http://evil.example:{port}/")
        refused = await renamed.text()

    assert note.startswith("this form was sent from another page")
    assert any("frame-ancestors" in problem for problem in framed.problems)
    assert title == "refused"
    assert "answers to 127.0.0.1, [::1] and localhost alone" in refused
    assert not (await s.host.kill_switch.status()).active


@asynccontextmanager
async def trap(url: str, token: str) -> AsyncIterator[str]:
    """Somebody else's pages, which know the token and try everything."""
    pages = {
        "/form": f"<form method=post action='{url}/steer'><input name=token value='{token}'>"
        "<button name=what value=kill>Win a prize</button></form>",
        "/frame": f"<iframe src='{url}/'></iframe>",
        "/read": f"<script>var answered = fetch('{url}/').then(() => 'read', () => 'refused')</script>",
    }

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=pages.get(request.path, ""), content_type="text/html")

    app = web.Application()
    app.router.add_get("/{path}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
