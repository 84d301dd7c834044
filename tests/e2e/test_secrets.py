"""No secret comes out, wherever somebody might look; and the watch that says so after every test can see.

`support.secret_watch` looks through what each test of the whole run left behind. Here a host lives a whole
life with everything told at its loudest, hosts stumble over wrong secrets, and leaks are planted.
"""

import base64
import logging
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from polytraders_hookspecs import Strategy
from polytraders_hookspecs.events import Policy
from support.canaries import API_KEY, API_SECRET, EVENT_KEY, OWNER_KEY, PASSPHRASE, WALLET_KEY
from support.eventually import eventually
from support.host_stage import ENVIRON, FAST, config_for
from support.otlp_receiver import collector
from support.paper_town import Town, town
from support.secret_watch import WATCH, forms_of
from support.stub_exchange import StubExchange
from support.stub_feed import StubFeed

from polytraders_pfh.host import Host
from polytraders_pfh.host.admin.knock import knock
from polytraders_pfh.host.admin.token import TokenRefused

BOT = "exec.partialfillhandler"
LIVE = {"enabled": True, "mode": "general_live"}
PAGES = (
    "/",
    "/metrics",
    "/internal/bots",
    "/internal/health",
    "/internal/health/partialfillhandler",
    "/steer",
)


async def test_a_whole_life_of_a_host_at_its_loudest_shows_no_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key_file = tmp_path / "event.key"
    key_file.touch(mode=0o600)
    key_file.write_text(EVENT_KEY)
    events = {"keys": {"k1": {"file": str(key_file)}}}
    with collector() as jaeger:
        telemetry = {"otlp_endpoint": jaeger.url}
        loud = {"POLYTRADERS_TRACE_HOOKS": "1"}
        async with town(tmp_path, settings=LIVE, environ=loud, events=events, telemetry=telemetry) as t:
            await trade(t)
            await steer(t, tmp_path / "host")
            await look_at_every_page(t)
            WATCH.saw(
                "reprs", repr([t.host, t.host.config, t.host.wallet, t.host.clob, t.host.clob.credentials])
            )
        for body in jaeger.raw:
            WATCH.saw("OTLP", body)

    assert len(jaeger.spans) > 20
    admin_token = (tmp_path / "host" / "admin" / "token").read_text().strip()
    api_secret = t.host.clob.credentials.secret.reveal()
    assert [WATCH.knows(each) for each in (OWNER_KEY, EVENT_KEY, api_secret, admin_token)] == [True] * 4


async def trade(t: Town) -> None:
    """A hold, and a chase."""
    await t.trades("SELL", "0.42", 300)
    wishes: tuple[tuple[Policy, str], ...] = (("hold", "0.40"), ("chase", "0.41"))
    for policy, price in wishes:
        strategy = Strategy(id="s", partial_fill_policy=policy)
        await t.rests("BUY", price, 100, strategy=strategy, limit_price=Decimal("0.43"))
        await t.trades("SELL", price, 30)
    await eventually(lambda: len(t.host.executions) >= 2, 20)


async def steer(t: Town, state_dir: Path) -> None:
    """Orders by hand, with the right token and with a wrong one; at last the kill switch."""
    loop_free = aiohttp.UnixConnector(str(state_dir / "admin" / "socket"))
    async with aiohttp.ClientSession(connector=loop_free) as session:
        for token in ((state_dir / "admin" / "token").read_text().strip(), "wrong" * 10, PASSPHRASE):
            headers = {"Authorization": f"Bearer {token}"}
            body = {"command": "status", "options": {}, "by": "ann", "reason": "a look"}
            async with session.post("http://door/v1/order", json=body, headers=headers) as answer:
                WATCH.saw("the door's answer", await answer.read())
    await t.host.kill_switch.signal(True, "drill", "ann")


async def look_at_every_page(t: Town) -> None:
    """Fetch the pages there are, and every address that they name."""
    waiting, seen = list(PAGES), set()
    async with aiohttp.ClientSession() as session:
        while waiting:
            path = waiting.pop()
            if path in seen:
                continue
            seen.add(path)
            async with session.get(t.host.url + path, headers={"Accept": "*/*"}) as answer:
                body = await answer.read()
                WATCH.saw(f"page {path}", repr(dict(answer.headers)).encode() + body)
            waiting += re.findall(r'(?:href|action|src)="(/[^"#?]*)"', body.decode("utf-8", "replace"))
    assert seen > set(PAGES)


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("PK", WALLET_KEY + "zz"),
        ("PK", WALLET_KEY[:-2]),
        ("PK", base64.b64encode(bytes.fromhex(WALLET_KEY[2:])).decode()),
        ("PK", "0x" + "f" * 32 + WALLET_KEY[34:]),
        ("EVENT_KEY", EVENT_KEY + "z"),
        ("EVENT_KEY", EVENT_KEY[:40]),
        ("API_SECRET", "!" + API_SECRET),
        ("API_SECRET", API_SECRET[:-3]),
        ("API_PASS", PASSPHRASE + "\n" + PASSPHRASE),
        ("API_KEY", API_KEY + "\r\nX: y"),
    ],
    ids=lambda value: "" if len(value) > 12 else value,
)
async def test_a_secret_that_is_wrong_is_told_by_its_place_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, broken: str
) -> None:
    caplog.set_level(logging.DEBUG)
    WATCH.learn(f"a broken {name}", broken)
    async with StubExchange() as exchange, StubFeed() as feed:
        config = config_for(tmp_path / "state", exchange, feed, {"exec.nobody": {"enabled": False}})
        try:
            async with Host(config, environ={**ENVIRON, name: broken}, timings=FAST) as host:
                await host.clob.get_order("0x" + "0" * 64)
        except Exception as e:
            WATCH.saw("what was raised", "".join(traceback.format_exception(e)) + repr(e))

    assert WATCH.knows(broken)


def test_a_token_that_is_refused_is_not_repeated(tmp_path: Path) -> None:
    place = tmp_path / "admin"
    place.mkdir(mode=0o700)
    (place / "url").write_text("http://127.0.0.1:9\n")
    (place / "token").write_text(PASSPHRASE)
    (place / "token").chmod(0o644)

    with pytest.raises(TokenRefused) as refused:
        knock(tmp_path, "status", {}, by="ann", reason="")

    assert PASSPHRASE not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    "secret", [WALLET_KEY, EVENT_KEY, API_SECRET, PASSPHRASE, API_KEY], ids=iter("abcde")
)
def test_a_secret_is_known_in_every_writing(secret: str) -> None:
    forms = forms_of(secret)
    digits = secret.removeprefix("0x")
    raw = bytes.fromhex(digits) if re.fullmatch("[0-9a-f]{64}", digits) else secret.encode()
    written = {
        "as it is": secret.encode(),
        "in the middle": b"key=" + secret.encode() + b";",
        "hex": raw.hex().encode(),
        "hex, 0x, upper": b"0x" + raw.hex().upper().encode(),
        "bytes": raw,
        "repr of bytes": repr(raw).encode(),
        "base64": base64.b64encode(raw),
        "base64 behind something": base64.b64encode(b"user:" + raw),
        "url-safe base64": base64.urlsafe_b64encode(b"x" + raw + b"yz"),
        "base64 of the text": base64.b64encode(b"u:" + secret.encode()),
        "as a number": str(int(raw.hex(), 16)).encode(),
    }

    missed = [name for name, text in written.items() if not any(form in text for form in forms)]
    assert missed == []


PLANTED = """
import logging, pathlib, pytest, subprocess, sys, tempfile
from support.canaries import PASSPHRASE, WALLET_KEY
from support.otlp_receiver import collector
from polytraders_pfh.host.secret import Secret
from opentelemetry.sdk.trace import TracerProvider

def test_clean(tmp_path):
    (tmp_path / "key").write_text(WALLET_KEY)
    (tmp_path / "journal").write_bytes(b"nothing here")
    logging.getLogger("x").error("nothing here")

def test_log():
    logging.getLogger("x").error("the key is %s", WALLET_KEY.upper())

def test_print():
    print("Secret", bytes.fromhex(WALLET_KEY[2:]))

def test_file(tmp_path):
    (tmp_path / "journal").write_bytes(b"SQLite" + bytes.fromhex(WALLET_KEY[2:]) + b"more")

@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("shared")

def test_folder_of_a_module(shared):
    (shared / "orders.jsonl").write_text(WALLET_KEY + ",")

def test_folder_that_is_gone():
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "reports.jsonl").write_text('{"pass": "' + PASSPHRASE + '"}')

def test_process():
    subprocess.run([sys.executable, "-c", "import os; print(os.environ['K'])"], env={"K": WALLET_KEY},
                   capture_output=True)

def test_span():
    with TracerProvider().get_tracer("x").start_as_current_span("post") as span:
        span.set_attribute("auth", PASSPHRASE)

def test_learnt_on_the_way():
    value = "correct-horse-battery"
    print("said", Secret(value).reveal())

def test_traceback():
    assert Secret("another-horse-battery").reveal() == ""
"""


def test_planted_leaks_are_found_by_the_watch_of_every_test(tmp_path: Path) -> None:
    (tmp_path / "test_planted.py").write_text(PLANTED)
    hooks = "pytest_configure, pytest_runtest_makereport, pytest_runtest_teardown"
    (tmp_path / "conftest.py").write_text(f"from support.secret_watch import {hooks}\n")
    tests = Path(__file__).parents[1]
    leaky = Path(tempfile.mkdtemp())  # out of this test's own directory, which is watched too
    arguments = ["-q", "-rA", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", f"--basetemp={leaky / 't'}"]
    command = [sys.executable, "-m", "pytest", *arguments, "-o", f"pythonpath={tests}", str(tmp_path)]
    try:
        with (leaky / "told").open("w+") as out:
            subprocess.run(command, stdout=out, cwd=tmp_path, timeout=90, check=False)
            out.seek(0)
            told = out.read()
    finally:
        shutil.rmtree(leaky)

    leaks = set(re.findall(r"^a secret came out: (.*)$", told, re.MULTILINE))
    assert leaks == {
        "the tests' WALLET_KEY in captured log of call",
        "the tests' WALLET_KEY in captured stdout of call",
        "the tests' WALLET_KEY in file journal",
        "the tests' WALLET_KEY in what a process printed",
        "the tests' PASSPHRASE in file reports.jsonl",
        "a Secret in the traceback; the tests' WALLET_KEY in file orders.jsonl",
        "the tests' PASSPHRASE in span post",
        "a Secret in captured stdout of call",
    }, told
    assert "PASSED test_planted.py::test_clean" in told
