"""`doctor` against the paper exchange over real loopback: all right, and each wrong thing by itself."""

import asyncio
import json
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from polytraders_hookspecs import SignedOrder
from support.nats_server import NEEDS_NATS, NatsServer
from support.otlp_receiver import collector
from support.paper_town import FAST, RAIN, Unanswered
from support.signer_process import signer_file, signer_process
from support.stub_exchange import StubExchange

from polytraders_pfh.cli import main
from polytraders_pfh.host import Host, load_config
from polytraders_pfh.host.admin import AdminPlace
from polytraders_pfh.host.clock import SystemClock
from polytraders_pfh.host.doctor import Finding, Verdict, examine, ground
from polytraders_pfh.host.secret import Secret
from polytraders_pfh.host.signer import WalletSigner
from polytraders_pfh.host.wallet import Wallet
from polytraders_pfh.paper.clock import SystemClock as PaperClock
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.protocol.faults import FaultPlan
from polytraders_pfh.paper.protocol.server import PaperServer, serve

BOT = "exec.partialfillhandler"
KEY = "21" * 32
CANARY = "canary-" + "c" * 40
MIB = 1024 * 1024


@dataclass
class Patient:
    """A config file and its secrets, at a paper exchange."""

    server: PaperServer
    path: Path
    environ: dict[str, str] = field(default_factory=lambda: {"PK": KEY})

    @property
    def state_dir(self) -> Path:
        return self.path.parent / "state"

    def configure(self, *extra: str, **replaced: str) -> None:
        """Write the config, with sections replaced and lines added."""
        sections = {
            "host": 'state_dir = "state"\nhttp_port = 0',
            "exchange": f'rest_url = "{self.server.url}"\nws_url = "{self.server.ws_url}"',
            "wallet": 'key = { env = "PK" }',
            f'bots."{BOT}"': 'mode = "shadow_only"',
        } | {name.replace("__", "."): text for name, text in replaced.items()}
        lines = [f"[{name}]\n{text}\n" for name, text in sections.items() if text]
        self.path.write_text("\n".join([*lines, *extra]))

    async def findings(self) -> dict[str, Finding]:
        """Examine, and return the last finding of each check."""
        found = [finding async for finding in examine(self.path, self.environ, SystemClock())]
        assert all("\n" not in finding.line for finding in found)
        return {finding.check: finding for finding in found}

    async def only_wrong(self) -> Finding:
        """Examine, and return what alone is wrong."""
        found = await self.findings()
        (wrong,) = [finding for finding in found.values() if finding.verdict is Verdict.WRONG]
        return wrong

    @asynccontextmanager
    async def host(self) -> AsyncIterator[Host]:
        """Run the host that the config describes."""
        async with Host(load_config(self.path), environ=self.environ, timings=FAST) as host:
            yield host


class OffClock(PaperClock):
    """A clock that is off."""

    def __init__(self, off_ms: int) -> None:
        super().__init__()
        self._off_ms = off_ms

    def now_ms(self) -> int:
        return super().now_ms() + self._off_ms


@asynccontextmanager
async def patient(
    tmp_path: Path, *, off_ms: int = 0, faults: FaultPlan | None = None
) -> AsyncIterator[Patient]:
    """A patient in good health whose host has never run."""
    clock, exchange = OffClock(off_ms), Exchange("doctor-tests")
    exchange.add_market(RAIN, clock.now_ms())
    async with await serve(exchange, clock=clock, faults=faults) as server:
        stage = Patient(server, tmp_path / "host.toml")
        stage.configure()
        yield stage


@pytest.fixture
async def p(tmp_path: Path) -> AsyncIterator[Patient]:
    async with patient(tmp_path) as stage:
        yield stage


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# All right


async def test_before_the_first_start_nothing_is_wrong_and_what_cannot_be_seen_is_said(p: Patient) -> None:
    found = await p.findings()

    verdicts = {check: finding.verdict.value for check, finding in found.items()}
    assert verdicts == {
        "package": "right",
        f"entry point {BOT}": "right",
        f"contract of {BOT}": "right",
        "config": "right",
        f"settings of {BOT}": "right",
        "wallet": "right",
        "API credentials": "right",
        "event keys": "right",
        "state directory": "right",
        "host": "right",
        "kill switch": "right",
        f"journal of {BOT}": "right",
        "door": "right",
        "exchange": "right",
        "clock": "right",
        "feed": "right",
        "signer": "right",
        "credentials": "warning",
        "traces": "skipped",
        "metrics": "skipped",
        "reports": "right",
    }
    assert found["credentials"].found.startswith("the wallet has no API key yet")
    assert not p.state_dir.exists()


async def test_beside_a_running_host_everything_is_right(p: Patient) -> None:
    with collector() as spans:
        p.configure(f'[telemetry]\notlp_endpoint = "{spans.url}"')
        async with p.host():
            found = await p.findings()

    assert {finding.verdict.value for finding in found.values()} == {"right"}
    assert found["host"].found == "one runs here now"
    assert found["door"].found == "it opens to the token"
    assert "the head is " in found[f"journal of {BOT}"].found
    assert found["metrics"].found.endswith("of host and bot")
    assert found["traces"].found == f"{spans.url}/v1/traces takes spans"


async def test_an_examination_changes_nothing_on_disk_nor_at_the_exchange(p: Patient) -> None:
    async with p.host():
        pass
    before, keys = files_of(p), p.server.venue.keys.keys_of(address_of(KEY))
    await p.findings()

    assert files_of(p) == before
    assert p.server.venue.keys.keys_of(address_of(KEY)) == keys


def files_of(p: Patient) -> dict[Path, tuple[int, bytes]]:
    """Every file there; what SQLite puts beside a segment that is read is empty, and no part of it."""
    files = [path for path in p.state_dir.rglob("*") if path.is_file() and path.suffix != ".db-shm"]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files if path.stat().st_size}


def address_of(key: str) -> str:
    return Wallet(Secret(key), chain_id=137).address


# As a command


async def run(p: Patient, *arguments: str) -> Result:
    runner = CliRunner(env={"POLYTRADERS_CONFIG": str(p.path), **p.environ})
    return await asyncio.to_thread(runner.invoke, main, ["doctor", *arguments])


async def test_the_command_says_one_line_each_and_ends_with_zero(p: Patient) -> None:
    told = await run(p)

    lines = told.stdout.splitlines()
    assert told.exit_code == 0
    assert lines[-1] == "nothing is wrong"
    assert "right    clock: agrees with the exchange's, to the second" in lines
    assert len(lines) == 22


async def test_the_command_ends_with_one_when_something_is_wrong_and_says_how_to_mend_it(p: Patient) -> None:
    del p.environ["PK"]
    p.environ["PK"] = ""

    told = await run(p)
    as_json = json.loads((await run(p, "--json")).stdout)

    assert told.exit_code == 1
    assert "wrong    wallet: environment variable PK was empty or absent; put the secret there" in told.stdout
    assert told.stdout.splitlines()[-1] == "2 wrong of 21"
    assert as_json["ok"] is False
    assert {"check", "verdict", "found", "mend"} == set(as_json["findings"][0])
    assert [f["check"] for f in as_json["findings"] if f["verdict"] == "wrong"] == ["wallet", "signer"]


async def test_no_secret_is_ever_shown(p: Patient) -> None:
    p.environ |= {"A": CANARY, "B": "Y2FuYXJ5", "C": CANARY, "E": CANARY}
    p.configure(
        '[wallet.api]\nkey = { env = "A" }\nsecret = { env = "B" }\npassphrase = { env = "C" }',
        '[events.keys]\nk1 = { env = "E" }',
    )
    first, second = await run(p), await run(p, "--json")
    async with Host(load_config_without_api(p), environ=p.environ, timings=FAST):
        third = await run(p, "--json")
        token = AdminPlace(p.state_dir).token.read_text().strip()

    told = first.output + second.output + third.output
    assert "the exchange refuses them" in told
    for secret in (KEY, CANARY, "Y2FuYXJ5", token):
        assert secret not in told


def load_config_without_api(p: Patient) -> Any:
    text = p.path.read_text()
    p.configure()
    try:
        return load_config(p.path)
    finally:
        p.path.write_text(text)


# Installed


async def test_a_bot_that_is_not_installed(p: Patient) -> None:
    p.configure('[bots."exec.nowhere"]\nenabled = true')

    wrong = await p.only_wrong()

    assert wrong.check == "entry point exec.nowhere"
    assert wrong.found == f"not installed; installed are {BOT}"
    assert wrong.mend == "pip install the package that has it"


async def test_a_bot_that_the_environment_leaves_out(p: Patient) -> None:
    p.environ["POLYTRADERS_LOAD_PLUGINS"] = "exec.other"

    wrong = await p.only_wrong()

    assert (wrong.check, wrong.mend) == (f"entry point {BOT}", "add its name there")


@pytest.mark.parametrize(
    ("code", "check", "words"),
    [
        ("import nothing_like_that", "entry point exec.odd", "not importable: ModuleNotFoundError"),
        ("raise RuntimeError('lame')", "entry point exec.odd", "not importable: RuntimeError: lame"),
        ("", "entry point exec.odd", "odd_bot has no register_bot"),
        ("NEEDS_HOOKSPEC = '9.0'\ndef register_bot(host): ...", "contract of exec.odd", "9.0"),
    ],
)
async def test_a_bot_that_cannot_be_used(
    p: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, check: str, words: str
) -> None:
    install(tmp_path / "site", monkeypatch, code)
    p.configure('[bots."exec.odd"]\nenabled = true')

    wrong = await p.only_wrong()

    assert wrong.check == check
    assert words in wrong.found
    assert wrong.mend


async def test_a_bot_that_names_no_contract_is_left_to_its_start(
    p: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "site", monkeypatch, "def register_bot(host): ...")
    p.configure('[bots."exec.odd"]\nenabled = true')

    found = await p.findings()

    assert found["contract of exec.odd"].verdict is Verdict.RIGHT
    assert found["settings of exec.odd"].verdict is Verdict.SKIPPED


def install(site: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Install a package with one bot, as pip would."""
    info = site / "odd_bot-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-bot\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[polytraders]\nexec.odd = odd_bot\n")
    (site / "odd_bot.py").write_text(code)
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "odd_bot", raising=False)


# Settings and secrets


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "was unreadable (No such file or directory); give a readable path"),
        ("[host", "was not TOML"),
        ("[hots]\n", "hots was a section; no such setting exists"),
    ],
)
async def test_a_config_with_faults_is_named_and_ends_the_examination(
    p: Patient, text: str | None, words: str
) -> None:
    if text is None:
        p.path.unlink()
    else:
        p.path.write_text(text)

    found = await p.findings()

    assert found["config"].verdict is Verdict.WRONG
    assert words in found["config"].found
    assert found["everything else"].verdict is Verdict.SKIPPED
    assert found[f"entry point {BOT}"].verdict is Verdict.RIGHT
    assert "exchange" not in found


async def test_a_bot_s_own_section_with_a_fault(p: Patient) -> None:
    p.configure(f'[bots."{BOT}".defaults]\nchase_max_ticks = 11')

    wrong = await p.only_wrong()

    assert wrong.check == f"settings of {BOT}"
    assert "defaults.chase_max_ticks was 11" in wrong.found


async def test_a_value_past_its_warning_threshold_is_a_warning(p: Patient) -> None:
    p.configure(f'[bots."{BOT}".defaults]\nchase_max_ticks = 6')

    found = await p.findings()

    assert found[f"settings of {BOT}"].verdict is Verdict.WARNING
    assert "costs much more than was intended" in found[f"settings of {BOT}"].found


async def test_a_config_without_bots_is_a_warning(p: Patient) -> None:
    p.configure(**{f'bots."{BOT}"': "enabled = false"})

    found = await p.findings()

    assert found["bots"].verdict is Verdict.WARNING


async def test_a_mode_whose_gate_is_not_passed_beside_a_real_account(p: Patient) -> None:
    acting = {f'bots."{BOT}"': 'mode = "quarantine"'}
    word = '[gates.override]\nmode = "quarantine"\nwho = "ann"\nwhy = "drill"'
    p.configure("[sidecar]", **acting)
    refused = await p.only_wrong()
    p.configure("[sidecar]", word, **acting)
    overridden = await p.findings()
    p.configure("[sidecar]")
    shadow = await p.findings()

    assert refused.check == "gate"
    assert "[gates.override] mode" in refused.found
    assert overridden["gate"].found == "of mode quarantine: overridden by ann: drill"
    assert shadow["gate"].found == "of mode shadow_only: passed, or none is asked for"


@pytest.mark.parametrize(
    ("environ", "checks"),
    [
        ({"PK": "0x12"}, {"wallet", "signer"}),
        ({"A": ""}, {"API credentials", "credentials"}),
        ({"B": "%%%"}, {"credentials"}),
        ({"E": "abab"}, {"event keys"}),
    ],
)
async def test_a_secret_that_is_missing_or_none(
    p: Patient, environ: Mapping[str, str], checks: set[str]
) -> None:
    p.environ |= {"A": "key", "B": "c2VjcmV0", "C": "phrase", "E": "ab" * 32, **environ}
    p.configure(
        '[wallet.api]\nkey = { env = "A" }\nsecret = { env = "B" }\npassphrase = { env = "C" }',
        '[events.keys]\nk1 = { env = "E" }',
    )

    found = await p.findings()

    wrong = {check for check, finding in found.items() if finding.verdict is Verdict.WRONG}
    assert checks <= wrong
    assert wrong <= checks | {"credentials"}


async def test_a_secret_s_file_that_others_can_read(p: Patient, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o644)
    p.configure(wallet='key = { file = "key" }')

    found = await p.findings()

    assert found["wallet"].verdict is Verdict.WRONG
    assert "open to others; run: chmod 600" in found["wallet"].found


# Ground


@pytest.mark.parametrize(
    ("mode", "verdict", "words"),
    [
        (0o770, Verdict.WRONG, "others can write into it"),
        (0o707, Verdict.WRONG, "others can write into it"),
        (0o755, Verdict.WARNING, "others can look into it"),
    ],
)
async def test_a_state_directory_that_others_can_enter(
    p: Patient, mode: int, verdict: Verdict, words: str
) -> None:
    p.state_dir.mkdir()
    p.state_dir.chmod(mode)

    finding = (await p.findings())["state directory"]

    assert finding.verdict is verdict
    assert words in finding.found
    assert finding.mend == f"run: chmod 700 {p.state_dir}"


async def test_a_state_directory_that_is_none(p: Patient) -> None:
    p.state_dir.write_text("")

    wrong = (await p.findings())["state directory"]

    assert wrong.verdict is Verdict.WRONG
    assert wrong.found.endswith("is no directory")


async def test_a_state_directory_that_cannot_be_made(p: Patient) -> None:
    p.configure(host='state_dir = "/proc/version/state"\nhttp_port = 0')

    wrong = (await p.findings())["state directory"]

    assert wrong.verdict is Verdict.WRONG
    assert wrong.mend == "create it, mode 0700"


async def test_a_state_directory_that_takes_no_file(tmp_path: Path) -> None:
    found = list(ground.state_dir(Path("/proc/self"), lambda _: 2048 * MIB))

    assert found[0].verdict is not Verdict.RIGHT


@pytest.mark.parametrize(
    ("mib", "verdict"),
    [(63, Verdict.WRONG), (64, Verdict.WARNING), (1023, Verdict.WARNING), (1024, Verdict.RIGHT)],
)
async def test_room_on_the_disk(tmp_path: Path, mib: int, verdict: Verdict) -> None:
    tmp_path.chmod(0o700)

    found = {finding.check: finding for finding in ground.state_dir(tmp_path, lambda _: mib * MIB)}

    assert found["disk"].verdict is verdict
    assert found["disk"].found == f"{mib} MiB are free at {tmp_path}"
    assert found["state directory"].verdict is Verdict.RIGHT


async def test_a_kill_switch_that_is_on_is_a_warning_with_its_reason(p: Patient) -> None:
    p.state_dir.mkdir(mode=0o700)
    (p.state_dir / "kill_switch").write_text("drill\n")

    finding = (await p.findings())["kill switch"]

    assert (finding.verdict, finding.found) == (Verdict.WARNING, "ON: drill")


async def test_a_kill_switch_that_cannot_be_read(p: Patient) -> None:
    (p.state_dir / "kill_switch").mkdir(parents=True)
    p.state_dir.chmod(0o700)

    assert (await p.only_wrong()).check == "kill switch"


async def test_a_journal_whose_newest_segment_was_altered(p: Patient) -> None:
    async with p.host() as host:
        await host.kill_switch.signal(True, "drill", "ann")
        await host.kill_switch.signal(False, "", "ann")
    segment = next((p.state_dir / "bots" / BOT / "journal").glob("journal-*.db"))
    with sqlite3.connect(segment) as db:
        db.execute("PRAGMA writable_schema=ON")
        triggers = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        for name in triggers:
            db.execute(f"DROP TRIGGER {name}")
        altered = "CAST(replace(CAST(body AS TEXT), 'drill', 'prank') AS BLOB)"
        db.execute(f"UPDATE records SET body = {altered} WHERE kind = 'kill_switch'")
    db.close()

    wrong = await p.only_wrong()

    assert wrong.check == f"journal of {BOT}"
    assert "was altered" in wrong.found
    assert "polytraders-pfh verify" in wrong.mend


async def test_a_token_that_others_can_read(p: Patient) -> None:
    async with p.host():
        AdminPlace(p.state_dir).token.chmod(0o644)
        wrong = await p.only_wrong()
    stopped = await p.only_wrong()

    assert (wrong.check, stopped.check) == ("door", "door")
    assert "had mode 0644, so others may know it" in wrong.found


async def test_a_door_that_nobody_opens(p: Patient) -> None:
    async with p.host():
        AdminPlace(p.state_dir).socket.unlink()
        wrong = await p.only_wrong()

    assert wrong.check == "door"
    assert "no host is running" in wrong.found


async def test_a_door_that_is_off_is_skipped(p: Patient) -> None:
    p.configure('[admin]\ndoor = "off"')

    assert (await p.findings())["door"].verdict is Verdict.SKIPPED


# Exchange


async def test_an_exchange_that_is_not_there(p: Patient) -> None:
    port = free_port()
    p.configure(exchange=f'rest_url = "http://127.0.0.1:{port}"\nws_url = "ws://127.0.0.1:{port}/ws"')

    found = await p.findings()

    assert {check for check, finding in found.items() if finding.verdict is Verdict.WRONG} == {
        "exchange",
        "feed",
    }
    assert found["exchange"].mend == "mend exchange.rest_url, or the way there"
    assert found["clock"].verdict is found["credentials"].verdict is Verdict.SKIPPED


async def test_an_address_where_something_else_answers(p: Patient) -> None:
    async with StubExchange() as tea_room:
        tea_room.answer_json("GET /time", "tea time")
        p.configure(exchange=f'rest_url = "{tea_room.url}"\nws_url = "ws{tea_room.url[4:]}/ws"')
        found = await p.findings()

    assert found["clock"].found == """GET /time gave '"tea time"'"""
    assert found["feed"].verdict is Verdict.WRONG


@pytest.mark.parametrize(
    ("off_ms", "verdict", "words"),
    [
        (0, Verdict.RIGHT, "agrees with the exchange's"),
        (-4_800, Verdict.WARNING, "ms ahead of the exchange's"),
        (4_800, Verdict.WARNING, "ms behind the exchange's"),
        (-60_000, Verdict.WRONG, "ms ahead of the exchange's"),
        (60_000, Verdict.WRONG, "ms behind the exchange's"),
    ],
)
async def test_a_clock_that_is_off(tmp_path: Path, off_ms: int, verdict: Verdict, words: str) -> None:
    async with patient(tmp_path, off_ms=off_ms) as p:
        finding = (await p.findings())["clock"]

    assert finding.verdict is verdict
    assert words in finding.found


async def test_a_feed_that_takes_no_connection(p: Patient) -> None:
    p.configure(exchange=f'rest_url = "{p.server.url}"\nws_url = "ws://127.0.0.1:{free_port()}/ws"')

    wrong = await p.only_wrong()

    assert (wrong.check, wrong.mend) == ("feed", "mend exchange.ws_url, or the way there")


async def test_credentials_of_another_wallet_are_refused(p: Patient) -> None:
    p.environ |= {"A": "11111111-2222-3333-4444-555555555555", "B": "c2VjcmV0", "C": "phrase"}
    p.configure('[wallet.api]\nkey = { env = "A" }\nsecret = { env = "B" }\npassphrase = { env = "C" }')

    wrong = await p.only_wrong()

    assert wrong.check == "credentials"
    assert wrong.found.startswith("the exchange refuses them: status 401")
    assert wrong.mend == "copy [wallet.api] as it was issued for this wallet, or leave it out"


async def test_an_exchange_that_takes_no_trading_call_is_said_to_be_in_doubt(tmp_path: Path) -> None:
    async with patient(tmp_path, faults=Unanswered({"GET /data"})) as p:
        async with Host(load_config(p.path), environ=p.environ, timings=FAST):
            pass
        wrong = await p.only_wrong()

    assert wrong.check == "credentials"
    assert wrong.found.startswith("the exchange neither took nor refused them")


async def test_a_signer_process_that_answers(p: Patient, tmp_path: Path) -> None:
    p.configure('[signer]\nsocket = "run/signer.sock"', wallet="signature_type = 0")
    with signer_process(signer_file(tmp_path)):
        found = await p.findings()
    gone = await p.only_wrong()

    assert found["signer"].verdict is Verdict.RIGHT
    assert found["signer"].found.startswith(f"{tmp_path / 'run' / 'signer.sock'} signs as 0x")
    assert gone.check == "signer"


async def test_a_signer_that_signs_with_another_key(p: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def of_another(self: Wallet, timestamp_s: int, nonce: int) -> str:
        return Wallet(Secret("22" * 32), chain_id=137).sign_clob_auth(timestamp_s, nonce)

    monkeypatch.setattr(Wallet, "clob_auth", of_another)

    wrong = await p.only_wrong()

    assert wrong.check == "signer"
    assert "and signs as 0x" in wrong.found


async def test_a_signer_that_signs_something_else(p: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    really = WalletSigner.sign_order

    async def twisted(self: WalletSigner, order: Any) -> SignedOrder:
        signed = await really(self, order)
        return signed.model_copy(update={"maker_amount_micro": 1})

    monkeypatch.setattr(WalletSigner, "sign_order", twisted)

    wrong = await p.only_wrong()

    assert wrong.check == "signer"
    assert "maker_amount_micro was 1" in wrong.found


# Watching


async def test_a_collector_that_is_not_there(p: Patient) -> None:
    p.configure(f'[telemetry]\notlp_endpoint = "http://127.0.0.1:{free_port()}"')

    wrong = await p.only_wrong()

    assert (wrong.check, wrong.mend) == ("traces", "start the collector, or mend telemetry.otlp_endpoint")


async def test_an_address_that_takes_no_spans(p: Patient) -> None:
    p.configure(f'[telemetry]\notlp_endpoint = "{p.server.url}"')

    wrong = await p.only_wrong()

    assert wrong.check == "traces"
    assert "answers with status 404" in wrong.found


async def test_a_bot_without_metrics_in_the_registry(p: Patient) -> None:
    other = p.configure
    other(**{f'bots."{BOT}"': "enabled = false"})
    async with p.host():
        p.configure()
        wrong = await p.only_wrong()

    assert wrong.check == "metrics"
    assert "lacks polytraders_exec_partialfillhandler_decisions_total" in wrong.found


async def test_a_window_that_does_not_answer(p: Patient) -> None:
    async with p.host():
        (p.state_dir / "http_url").write_text(f"http://127.0.0.1:{free_port()}\n")
        wrong = await p.only_wrong()

    assert wrong.check == "metrics"
    assert "window does not answer" in wrong.found


async def test_reports_in_memory_are_a_warning(p: Patient) -> None:
    p.configure('[reports]\nbus = "memory"')

    assert (await p.findings())["reports"].verdict is Verdict.WARNING


async def test_reports_into_a_directory_that_is_not_there(p: Patient) -> None:
    p.configure('[reports]\nfile = "nowhere/reports.jsonl"')

    assert (await p.only_wrong()).check == "reports"


@NEEDS_NATS
async def test_a_bus_that_answers_and_one_that_does_not(p: Patient, tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats")
    p.configure('[reports]\nbus = "nats"', f'[nats]\nservers = ["{server.url}"]\nconnect_s = 1.0')
    gone = await p.only_wrong()
    server.start()
    try:
        found = await p.findings()
    finally:
        server.stop()

    assert gone.check == "reports"
    assert "no bus could be reached" in gone.found
    assert found["reports"].found == "the bus with JetStream answers"
