"""Steering a running host by hand, over its door, with the real plugin behind it."""

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from polytraders_hookspecs import hookimpl
from support.eventually import eventually
from support.host_bots import ScribeBot
from support.host_stage import host_stage, order_event
from support.steering_stage import BOT, Steered, answer_in, journal_records, run_cli, steered, write_config

from polytraders_pfh.engine.journal import Kind
from polytraders_pfh.errors import ConfigError

UID = f"uid {os.getuid()}"


@pytest.fixture
async def s(tmp_path: Path) -> AsyncIterator[Steered]:
    """A host with one remainder."""
    async with steered(tmp_path) as stage:
        await stage.remainder()
        yield stage


async def ask(s: Steered, body: Any, token: str | None = None, path: str = "/v1/order") -> tuple[int, Any]:
    """Knock by hand; without `token` with the right one."""
    place = s.state_dir / "admin"
    given = (place / "token").read_text().strip() if token is None else token
    connector = aiohttp.UnixConnector(str(place / "socket"))
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(
            f"http://door{path}", data=data, headers={"Authorization": f"Bearer {given}"} if given else {}
        ) as reply,
    ):
        return reply.status, await reply.json() if reply.content_type == "application/json" else None


# The card's command


async def test_the_card_s_command_cancels_a_remainder_and_is_on_record_with_who_and_why(s: Steered) -> None:
    arguments = ("bot", "cancel-remainder", BOT, "--order", s.order_id)
    done = await s.cli(*arguments, "--by", "ann", "--reason", "stuck")

    assert (done.exit_code, done.stdout) == (0, f"order {s.order_id}: CANCELLED_REMAINDER\n")
    assert s.deletes() == [{"orderID": s.order_id}]
    (record,) = s.recorded(Kind.COMMAND)
    assert record.order_id == s.order_id
    assert record.facts == {
        "command": "cancel-remainder",
        "actor": "ann",
        "peer": UID,
        "reason": "stuck",
    }


async def test_the_card_s_command_works_as_the_card_writes_it(s: Steered) -> None:
    done = await s.cli("bot", "cancel-remainder", BOT, "--order", s.order_id)

    assert done.exit_code == 0
    (record,) = s.recorded(Kind.COMMAND)
    assert record.facts["peer"] == UID
    assert record.facts["actor"]
    assert record.facts["reason"] == ""


async def test_with_json_a_command_says_the_same_as_one_object(s: Steered) -> None:
    done = await s.cli("bot", "cancel-remainder", BOT, f"--order={s.order_id}", "--json")

    said = answer_in(done)
    assert (said["ok"], said["message"]) == (True, f"order {s.order_id}: CANCELLED_REMAINDER")
    assert said["data"]["report_id"].startswith("rep_")


async def test_an_unknown_order_ends_with_one_and_a_sentence(s: Steered) -> None:
    refused = await s.cli("bot", "cancel-remainder", BOT, "--order", "0x12")

    assert (refused.exit_code, refused.stdout) == (
        1,
        "order 0x12 is not a remainder this bot knows; pass --order ID\n",
    )
    assert s.deletes() == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("bot", "dance", BOT), 1, "command 'dance' is not known"),
        (("bot", "status", "exec.nobody"), 1, f"there is no bot 'exec.nobody'; this host has {BOT}"),
        (("bot", "status", BOT, "loose"), 2, "'loose' was no option; write --name value"),
        (("bot", "status", BOT, "--order"), 2, "--order was without a value"),
        (("bot", "status", BOT, "--bot", "x"), 2, "--bot was given twice"),
        (("mode", "turbo"), 2, "'turbo' is not one of"),
        (("mode", "quarantine", "--bot", "exec.nobody"), 1, "there is no bot 'exec.nobody'"),
        (("status", "--by", "x" * 201), 2, "No such option"),
        (("kill", "--by", "x" * 201), 1, "by was no text of at most 200 printable characters"),
        (("bot", "status", BOT, "--reason", "two\nlines"), 1, "reason was no text of at most 200"),
        (("bot", "status", BOT, "--Order", "1"), 1, "option 'Order' was no name"),
    ],
)
async def test_a_wrong_command_is_refused_with_a_sentence_and_nothing_is_sent(
    s: Steered, arguments: tuple[str, ...], code: int, words: str
) -> None:
    refused = await s.cli(*arguments)

    assert refused.exit_code == code
    assert words in refused.output
    assert s.deletes() == []


# Status and mode


async def test_status_says_how_host_and_bots_are(s: Steered) -> None:
    plain = await s.cli("status")
    full = answer_in(await s.cli("status", "--json"))["data"]

    assert plain.exit_code == 0
    assert plain.stdout == (f"amber; kill switch off; 1 open remainders; {BOT} amber in general_live\n")
    assert set(full) == {"status", "kill_switch", "open_remainders", "host", "bots", "refused"}
    assert full["kill_switch"] == {"active": False, "reason": ""}
    assert full["bots"][0]["reasons"] == ["the exchange's books did not answer the last request"]
    assert full["host"]["clob_auth"] == "reachable"


async def test_status_is_red_with_exit_code_one_when_the_exchange_is_gone(s: Steered) -> None:
    async def silence(request: Any) -> Any:
        request.transport.close()
        return aiohttp.web.Response()

    s.exchange.answer("GET /data/orders", silence)
    s.host._room.reconciler.read_soon()
    await eventually(lambda: s.host.health().status == "red")

    told = await s.cli("status", "--json")

    assert told.exit_code == 1
    assert answer_in(told)["data"]["bots"][0]["status"] == "red"
    assert answer_in(told)["data"]["bots"][0]["reasons"][0] == (
        "the exchange's trading side did not answer the last request"
    )


async def test_mode_is_shown_lowered_and_raised_again_with_an_explicit_word(s: Steered) -> None:
    shown = await s.cli("mode")
    lowered = await s.cli("mode", "quarantine", "--by", "ann", "--reason", "odd fills")
    silent = await s.cli("mode", "general_live")
    raised = await s.cli("mode", "general_live", "--promote", "--by", "ann", "--reason", "mended")

    assert shown.stdout == f"{BOT}: mode general_live; the config's is general_live\n"
    assert lowered.stdout.startswith(f"{BOT}: mode is quarantine, it was general_live; 1 remainders are open")
    assert (silent.exit_code, raised.exit_code) == (1, 0)
    assert "say --promote and give a --reason" in silent.stdout
    assert raised.stdout == f"{BOT}: mode is general_live, it was quarantine\n"
    records = [(r.facts["to"], r.facts["actor"], r.facts["peer"]) for r in s.recorded(Kind.COMMAND)]
    assert records == [("quarantine", "ann", UID), ("general_live", "ann", UID)]


async def test_the_window_shows_the_mode_that_is_in_force(s: Steered) -> None:
    await s.cli("mode", "shadow_only", "--bot", BOT)
    async with aiohttp.ClientSession() as session, session.get(f"{s.host.url}/internal/bots") as reply:
        listed = await reply.json()
    told = answer_in(await s.cli("status", "--json"))["data"]["bots"][0]

    assert listed["bots"][0]["mode"] == told["mode"] == "shadow_only"


# Kill and reset


async def test_kill_cancels_what_is_open_stops_posting_and_says_so(s: Steered) -> None:
    killed = await s.cli("kill", "--by", "ann", "--reason", "drill")

    assert (killed.exit_code, killed.stdout) == (0, "the kill switch is ON; 1 remainders were cancelled\n")
    assert s.deletes() == [{"orderID": s.order_id}]
    assert (s.state_dir / "kill_switch").read_text() == "drill\n"
    (switched,) = s.recorded(Kind.KILL_SWITCH)
    assert switched.facts == {"active": True, "reason": "drill", "actor": f"ann, {UID}"}


async def test_reset_kill_unlatches_host_and_bot_and_is_on_record(s: Steered) -> None:
    await s.cli("kill", "--reason", "drill")
    reset = await s.cli("reset-kill", "--by", "ann", "--reason", "over")

    assert reset.stdout == (
        f"the kill switch is off in the host; {BOT}: the kill switch is unlatched; "
        "posting is possible again\n"
    )
    assert reset.exit_code == 0
    assert not (s.state_dir / "kill_switch").exists()
    assert not s.host.roster.bots[0].bot.check_health().kill_switch_active  # type: ignore[attr-defined]
    (record,) = s.recorded(Kind.COMMAND)
    assert (record.facts["command"], record.facts["reason"]) == ("reset-kill", "over")


async def test_kill_comes_through_while_the_bot_is_full_sheds_and_its_cancels_hang(tmp_path: Path) -> None:
    async with steered(tmp_path, bot={"execution": {"max_in_flight": 1, "call_timeout_ms": 60_000}}) as s:
        await s.remainder()
        hang = asyncio.Event()

        async def never(_: Any) -> Any:
            await hang.wait()

        s.exchange.answer("DELETE /order", never)
        busy = asyncio.create_task(s.cli("bot", "cancel-remainder", BOT, "--order", s.order_id))
        await eventually(s.deletes)
        for filled in range(11, 30):
            await s.feed.send(order_event(s.order_id, str(filled), ts=filled), "user")
        killed = await s.cli("kill", "--reason", "drill")
        latched = s.host.roster.bots[0].bot.check_health().kill_switch_active  # type: ignore[attr-defined]
        s.exchange.answer_json("DELETE /order", {"canceled": [s.order_id], "not_canceled": {}})
        hang.set()
        await busy

    assert (killed.exit_code, latched) == (0, True)
    assert killed.stdout == "the kill switch is ON; bots are still cancelling\n"


async def test_many_callers_who_never_finish_keep_no_kill_out(s: Steered) -> None:
    idle = []
    for _ in range(50):
        caller = socket.socket(socket.AF_UNIX)
        caller.connect(str(s.state_dir / "admin" / "socket"))
        caller.send(b"POST /v1/order HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        idle.append(caller)
    killed = await s.cli("kill")
    for caller in idle:
        caller.close()

    assert killed.exit_code == 0
    assert (await s.host.kill_switch.status()).active


async def test_kill_without_a_host_writes_the_file_that_the_next_start_finds(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    config = write_config(tmp_path / "host.toml", "http://127.0.0.1:1", "ws://127.0.0.1:1/ws")

    killed = await asyncio.to_thread(run_cli, config, "kill", "--by", "ann", "--reason", "drill")

    assert killed.exit_code == 0
    assert "the kill-switch file" in killed.stdout
    assert (tmp_path / "state" / "kill_switch").read_text() == "drill (ann)\n"


async def test_a_kill_that_could_not_be_written_says_so_and_is_on_all_the_same(s: Steered) -> None:
    (s.state_dir / "kill_switch").mkdir()

    killed = await s.cli("kill")

    assert killed.exit_code == 1
    assert killed.stdout.startswith("the kill switch is ON in this host, but: kill switch file")
    assert s.deletes() == [{"orderID": s.order_id}]


async def test_kill_in_shadow_says_that_remainders_rest(tmp_path: Path) -> None:
    async with steered(tmp_path, bot={"mode": "shadow_only"}) as s:
        await s.remainder()
        killed = await s.cli("kill")

    assert killed.exit_code == 1
    assert "1 rest, since their bot's mode sends nothing: cancel them on the exchange" in killed.stdout
    assert s.deletes() == []


@pytest.mark.parametrize("command", ["status", "mode", "reset-kill"])
def test_without_a_host_a_command_ends_with_one_and_a_sentence(tmp_path: Path, command: str) -> None:
    config = write_config(tmp_path / "host.toml", "http://127.0.0.1:1", "ws://127.0.0.1:1/ws")

    told = run_cli(config, command)

    assert told.exit_code == 1
    assert told.stderr == (
        f"no host is running with state directory {tmp_path / 'state'}; start it, or name its config\n"
    )


def test_a_config_that_is_not_there_ends_with_two(tmp_path: Path) -> None:
    told = run_cli(tmp_path / "nowhere.toml", "status")

    assert told.exit_code == 2
    assert "was unreadable (No such file or directory); give a readable path" in told.stderr


# The token


async def test_door_and_token_belong_to_their_owner_alone(s: Steered) -> None:
    place = s.state_dir / "admin"
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (place, place / "socket", place / "token")}

    assert modes == {"admin": 0o700, "socket": 0o600, "token": 0o600}
    assert len((place / "token").read_text().strip()) >= 43


async def test_a_wrong_token_or_none_is_refused_and_nothing_is_done(s: Steered) -> None:
    order = {"command": "kill", "options": {}, "by": "eve", "reason": "fun"}
    right = (s.state_dir / "admin" / "token").read_text().strip()
    answers = [await ask(s, order, token) for token in ("", "wrong", "wrong" * 20, "é" * 43, right[:-1])]

    assert [status for status, _ in answers] == [401] * 5
    assert answers[0][1]["message"].startswith("no token came with the order")
    assert {answer["message"] for _, answer in answers[1:]} == {
        f"the token was wrong; the right one stands in {s.state_dir / 'admin' / 'token'}"
    }
    assert right not in json.dumps(answers)
    assert not (await s.host.kill_switch.status()).active


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
async def test_a_token_that_others_could_know_is_refused_by_host_and_client(s: Steered, mode: int) -> None:
    token = s.state_dir / "admin" / "token"
    token.chmod(mode)

    client = await s.cli("kill")
    host_status, host_answer = await ask(s, {"command": "kill"})

    sentence = (
        f"token file {token} had mode {mode:04o}, so others may know it; delete it and restart the host, "
        "which writes a new one with mode 0600"
    )
    emergency = f"; in an emergency `touch {s.state_dir / 'kill_switch'}` does the same\n"
    assert (client.exit_code, client.stderr) == (1, sentence + emergency)
    assert (host_status, host_answer["message"]) == (401, sentence)
    assert not (await s.host.kill_switch.status()).active


@pytest.mark.parametrize(
    ("text", "words"), [(None, "there was no token file"), ("short\n", "held 5 characters"), ("", "held 0")]
)
async def test_a_token_that_is_missing_or_none_is_refused_by_host_and_client(
    s: Steered, text: str | None, words: str
) -> None:
    token = s.state_dir / "admin" / "token"
    if text is None:
        token.unlink()
    else:
        token.write_text(text)

    client = await s.cli("mode", "shadow_only")
    host_status, host_answer = await ask(s, {"command": "kill"}, "x" * 43)

    assert client.exit_code == 1
    assert words in client.stderr
    assert (host_status, words in host_answer["message"]) == (401, True)


async def test_a_token_that_is_a_link_or_no_plain_file_is_refused(s: Steered, tmp_path: Path) -> None:
    token = s.state_dir / "admin" / "token"
    token.rename(tmp_path / "elsewhere")
    token.symlink_to(tmp_path / "elsewhere")
    link = await s.cli("kill")
    token.unlink()
    os.mkfifo(token, 0o600)
    pipe = await s.cli("kill")

    assert link.exit_code == pipe.exit_code == 1
    assert "was unreadable (Too many levels of symbolic links)" in link.stderr
    assert "was no plain file" in pipe.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_a_token_of_another_user_is_refused_and_root_may_use_the_host_s_own(
    s: Steered, tmp_path: Path
) -> None:
    token = s.state_dir / "admin" / "token"
    os.chown(token, 12345, 12345)
    foreign = await s.cli("status")
    os.chown(token.parent, 12345, 12345)
    of_the_host_s_user = await s.cli("status")

    assert foreign.exit_code == 1
    assert "belonged to user 12345, and its directory to user 0" in foreign.stderr
    assert of_the_host_s_user.exit_code == 0


async def test_whoever_is_behind_sudo_is_the_one_on_record(
    s: Steered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "ann")

    await s.cli("mode", "quarantine")

    (record,) = s.recorded(Kind.COMMAND)
    assert (record.facts["actor"], record.facts["peer"]) == ("ann", UID)


async def test_a_token_is_rotated_by_replacing_its_file(s: Steered) -> None:
    token = s.state_dir / "admin" / "token"
    old = token.read_text().strip()
    token.write_text("n" * 43)

    with_old, _ = await ask(s, {"command": "status"}, old)
    with_new = await s.cli("status")

    assert (with_old, with_new.exit_code) == (401, 0)


async def test_a_token_outlives_a_restart(tmp_path: Path) -> None:
    async with steered(tmp_path) as s:
        first = (s.state_dir / "admin" / "token").read_text()
    async with steered(tmp_path) as s:
        second = (s.state_dir / "admin" / "token").read_text()

    assert first == second


async def test_no_command_shows_the_token(s: Steered, caplog: pytest.LogCaptureFixture) -> None:
    token = (s.state_dir / "admin" / "token").read_text().strip()
    said = [
        (await s.cli(*words)).output
        for words in (("status", "--json"), ("mode",), ("kill", "--json"), ("reset-kill",))
    ]
    await ask(s, {"command": "status"}, "wrong" * 10)

    assert token not in "".join(said) + caplog.text
    assert token not in repr(journal_records(s.state_dir, Kind.COMMAND))


# The door itself


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "JSON"),
        ([], "an order is a JSON object"),
        ({"command": "kill", "more": 1}, "an order is a JSON object"),
        ({"command": "explode"}, "command was 'explode'; there are status, kill, reset-kill, mode, bot"),
        ({"command": 7}, "command was no text"),
        ({}, "command was no text"),
        ({"command": "kill", "options": []}, "options were no object"),
        ({"command": "kill", "options": {"a": 1}}, "a was no text"),
        (
            {"command": "kill", "options": {f"o{n}": "" for n in range(33)}},
            "options were no object of at most 32",
        ),
        ({"command": "kill", "by": "a\x1b[31m"}, "by was no text"),
    ],
)
async def test_what_is_no_order_is_refused_with_a_sentence(s: Steered, body: Any, words: str) -> None:
    status, answer = await ask(s, body)

    assert status == 400
    assert words in answer["message"]
    assert not (await s.host.kill_switch.status()).active


async def test_an_order_over_sixteen_kilobytes_is_refused(s: Steered) -> None:
    status, _ = await ask(s, b'{"command":"kill","reason":"' + b"x" * 20_000 + b'"}')

    assert status == 413
    assert not (await s.host.kill_switch.status()).active


async def test_on_loopback_the_door_works_and_knows_no_user(tmp_path: Path) -> None:
    async with steered(tmp_path, admin={"door": "loopback"}) as s:
        await s.remainder()
        url = (s.state_dir / "admin" / "url").read_text().strip()
        lowered = await s.cli("mode", "quarantine", "--by", "ann")
        async with aiohttp.ClientSession() as session, session.post(f"{url}/v1/order", data=b"{}") as reply:
            refused = reply.status
        (record,) = s.recorded(Kind.COMMAND)

    assert url.startswith("http://127.0.0.1:")
    assert (lowered.exit_code, refused) == (0, 401)
    assert (record.facts["actor"], record.facts["peer"]) == ("ann", "loopback")
    assert not (tmp_path / "state" / "admin" / "url").exists()


async def test_a_door_that_is_off_is_not_there(tmp_path: Path) -> None:
    async with steered(tmp_path, admin={"door": "off"}) as s:
        told = await s.cli("status")

        assert not (s.state_dir / "admin").exists()
        assert told.exit_code == 1


async def test_a_stopped_host_leaves_no_door_behind_and_a_stale_one_is_replaced(tmp_path: Path) -> None:
    async with steered(tmp_path) as s:
        door = s.state_dir / "admin" / "socket"
    left = door.exists()
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(door))
    stale.close()
    dead = await asyncio.to_thread(run_cli, tmp_path / "host.toml", "status")
    async with steered(tmp_path) as s:
        alive = await s.cli("status")

    assert not left
    assert (dead.exit_code, alive.exit_code) == (1, 0)
    assert "did not answer: [Errno 111] Connection refused" in dead.stderr


async def test_a_door_in_a_deep_directory_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    async with steered(deep) as s:
        told = await s.cli("status")

    assert told.exit_code == 0


async def test_a_directory_that_others_could_enter_is_drawn_in(tmp_path: Path) -> None:
    place = tmp_path / "state" / "admin"
    place.mkdir(parents=True, mode=0o755)
    async with steered(tmp_path):
        found = stat.S_IMODE(place.stat().st_mode)

    assert found == 0o700


async def test_a_door_that_cannot_be_made_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "admin").write_text("in the way")

    with pytest.raises(ConfigError, match=r"the door's directory .* was unusable"):
        async with steered(tmp_path):
            pass


async def test_a_bot_that_knows_no_such_command_is_named(tmp_path: Path) -> None:
    class DeafBot(ScribeBot):
        @hookimpl
        async def on_bot_command(self, bot_id: str, command: str, arguments: Any) -> None:
            return None

    async with host_stage(tmp_path, DeafBot()) as stage:
        write_config(tmp_path / "host.toml", stage.exchange.url, stage.feed.url)
        told = await asyncio.to_thread(run_cli, tmp_path / "host.toml", "mode", "quarantine")
        direct = await asyncio.to_thread(run_cli, tmp_path / "host.toml", "bot", "mode", "exec.scribe")

    assert (told.exit_code, told.stdout) == (1, "exec.scribe: does not know this command\n")
    assert direct.stdout == "exec.scribe does not know the command 'mode'\n"


async def test_the_door_opens_before_bots_have_recovered_so_that_a_kill_needs_no_finished_start(
    tmp_path: Path,
) -> None:
    seen: list[int] = []

    class SlowBot(ScribeBot):
        @hookimpl
        async def on_host_start(self) -> None:
            config = write_config(tmp_path / "host.toml", "http://127.0.0.1:1", "ws://127.0.0.1:1/ws")
            seen.append((await asyncio.to_thread(run_cli, config, "kill")).exit_code)

    async with host_stage(tmp_path, SlowBot()) as stage:
        active = (await stage.host.kill_switch.status()).active

    assert (seen, active) == ([0], True)
