"""True processes: they start, say where they are, stop when told, and leave with the right code."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from py_clob_client_v2 import ClobClient
from support.canaries import OWNER_KEY
from support.demo_stage import recorded_file
from support.processes import PATIENCE_S, ROOT, line_with, process
from support.sdk_connections import own_sdk_connections


def test_demo_as_a_process_ends_by_itself_with_one_json_object() -> None:
    arguments = ("demo", "--synthetic", "--markets", "1", "--speed", "1000000", "--json")
    with process(*arguments) as started:
        out, err = started.communicate(timeout=PATIENCE_S)

    assert (started.returncode, err) == (0, "")
    assert json.loads(out)["violations"] == 0


def test_ctrl_c_in_a_replay_sums_up_what_was_played_and_ends_with_130(tmp_path: Path) -> None:
    path = recorded_file(tmp_path / "day.jsonl", frames=20_000)
    with process("replay", str(path)) as started:
        line_with(started.stdout, "HOLD_REMAINDER|CANCELLED_REMAINDER|CHASE_ORDER_SUBMITTED")
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=PATIENCE_S)

    assert (started.returncode, err) == (130, "")
    assert "stopped early" in out
    assert "0 invariant violations" in out


def test_paper_says_where_it_is_serves_and_stops_on_sigterm() -> None:
    with process("paper", "--synthetic", "4", "--starting-usd", "123") as started:
        line = line_with(started.stdout, "paper exchange: http://127.0.0.1:")
        found = re.search(r"(http://127\.0\.0\.1:\d+)\s.*(ws://127\.0\.0\.1:\d+/ws)/market", line)
        assert found is not None
        token = re.search(r"token (\d+)", line_with(started.stdout, "token"))
        assert token is not None
        client = _sdk_client(line_with(started.stdout, "client = ClobClient"))
        with own_sdk_connections():
            client.set_api_creds(client.create_or_derive_api_key())
        with urllib.request.urlopen(f"{found[1]}/book?token_id={token[1]}", timeout=5) as answer:
            book = json.load(answer)
        started.send_signal(signal.SIGTERM)
        out, err = started.communicate(timeout=PATIENCE_S)

    assert (started.returncode, err) == (0, "")
    assert "has stopped" in out
    assert book["asset_id"] == token[1]
    assert client.get_address().startswith("0x")


def _sdk_client(line: str) -> Any:
    """Build the client exactly as the printed line says."""
    names: dict[str, Any] = {"ClobClient": ClobClient}
    exec(line.strip(), names)
    return names["client"]


def test_paper_plays_a_recording_and_goes_on_serving_after_its_end(tmp_path: Path) -> None:
    path = recorded_file(tmp_path / "day.jsonl", frames=50)
    with process("paper", "--recording", str(path), "--speed", "100000") as started:
        line_with(started.stdout, "the recording is over")
        assert started.poll() is None
        started.send_signal(signal.SIGINT)
        started.communicate(timeout=PATIENCE_S)

    assert started.returncode == 0


def test_paper_on_a_taken_port_says_so(tmp_path: Path) -> None:
    with process("paper") as first:
        found = re.search(r":(\d+)", line_with(first.stdout, "paper exchange").split("http:")[1])
        assert found is not None
        with process("paper", "--port", found[1]) as second:
            _, err = second.communicate(timeout=PATIENCE_S)

    assert second.returncode == 1
    assert err.count("\n") == 1
    assert found[1] in err
    assert "address already in use; free it, or name another" in err


@contextmanager
def paper_config(tmp_path: Path, mode: str = "shadow_only") -> Iterator[Path]:
    """A paper exchange, and the config of a host that trades there."""
    with process("paper") as exchange:
        line = line_with(exchange.stdout, "paper exchange")
        found = re.search(r"(http://\S+)\s.*(ws://\S+?/ws)/market", line)
        assert found is not None
        config = tmp_path / "host.toml"
        config.write_text(
            f'[host]\nstate_dir = "state"\nhttp_port = 0\n'
            f'[exchange]\nrest_url = "{found[1]}"\nws_url = "{found[2]}"\n'
            f'[wallet]\nkey = {{ env = "WALLET_KEY" }}\n'
            f'[bots."exec.partialfillhandler"]\nmode = "{mode}"\n'
        )
        yield config


def run(*arguments: str, **environ: str) -> tuple[int, str, str]:
    """Run a command to its end."""
    with process(*arguments, **environ) as started:
        out, err = started.communicate(timeout=PATIENCE_S)
    return started.returncode, out, err


def test_host_against_paper_stops_on_sigterm(tmp_path: Path) -> None:
    with (
        paper_config(tmp_path) as config,
        process("host", "--config", str(config), WALLET_KEY=OWNER_KEY) as host,
    ):
        up = line_with(host.stderr, "host is up at http://127.0.0.1:")
        url = re.search(r"(http://127\.0\.0\.1:\d+)", up)
        assert url is not None
        health = f"{url[1]}/internal/health/partialfillhandler"
        with urllib.request.urlopen(health, timeout=5) as answer:
            told = json.load(answer)
        host.send_signal(signal.SIGTERM)
        host.communicate(timeout=PATIENCE_S)

    assert host.returncode == 0
    assert told["bot_id"] == "exec.partialfillhandler"


def test_a_host_is_steered_and_looked_over_by_other_processes_and_stays_killed(tmp_path: Path) -> None:
    bot = "exec.partialfillhandler"
    with paper_config(tmp_path, "general_live") as config:
        environ = {"WALLET_KEY": OWNER_KEY, "POLYTRADERS_CONFIG": str(config)}
        with process("host", "--config", str(config), **environ) as host:
            line_with(host.stderr, "host is up at")
            looked_over = run("doctor", "--json", **environ)
            lowered = run("mode", "quarantine", "--by", "ann", "--reason", "drill", **environ)
            refused = run("bot", "cancel-remainder", bot, "--order", "0x12", **environ)
            killed = run("kill", "--by", "ann", "--reason", "drill", **environ)
            host.send_signal(signal.SIGTERM)
            host.communicate(timeout=PATIENCE_S)
        gone = run("status", **environ)
        with process("host", "--config", str(config), **environ) as host:
            line_with(host.stderr, "host is up at")
            after = run("status", **environ)
            host.send_signal(signal.SIGTERM)
            host.communicate(timeout=PATIENCE_S)

    assert (looked_over[0], looked_over[2]) == (0, "")
    assert {f["verdict"] for f in json.loads(looked_over[1])["findings"]} == {"right", "skipped"}
    assert lowered[:2] == (0, f"{bot}: mode is quarantine, it was general_live\n")
    assert refused[:2] == (1, "order 0x12 is not a remainder this bot knows; pass --order ID\n")
    assert killed[:2] == (0, "the kill switch is ON; 0 remainders were cancelled\n")
    assert (gone[0], "no host is running" in gone[2]) == (1, True)
    assert after[:2] == (0, f"amber; kill switch ON; 0 open remainders; {bot} amber in quarantine\n")


def test_without_click_the_command_is_one_sentence() -> None:
    code = "import sys; sys.modules['click'] = None; from polytraders_pfh.cli import main; main()"
    paths = os.pathsep.join([str(ROOT), str(ROOT / "hookspecs")])
    ended = subprocess.run(
        [sys.executable, "-c", code, "demo"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
        timeout=PATIENCE_S,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr == (
        "the command line needs click, which is not installed; run: pip install 'polytraders-pfh[host]'\n"
    )
