"""`polytraders-pfh explain`: the story on standard output, one sentence and an exit code without one."""

import asyncio
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.fake_host import NOW_MS, ROOT, FakeHost, Resting, book, partial

from polytraders_pfh.cli import main
from polytraders_pfh.core import basis as core_basis
from polytraders_pfh.core.policy import Decision, decide
from polytraders_pfh.host.sidecar.example_files import example
from polytraders_pfh.ops.story import Story


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of a bot that chased the card's order."""
    path: Path = tmp_path_factory.mktemp("state")

    async def run() -> None:
        host = FakeHost(config={"mode": "general_live"}, state_dir=path)
        host.exchange.book = book()
        host.exchange.orders[ROOT] = Resting(size=725_806_451, price=620_000, matched=322_580_645)
        await host.start()
        await host.bot.on_partial_fill(partial(policy="chase", at_ms=NOW_MS))
        await host.stop()

    asyncio.run(run())
    return path


def test_story_is_plain_text_where_nobody_watches(journal: Path) -> None:
    done = CliRunner().invoke(main, ["explain", str(journal), "--order", ROOT])

    assert done.exit_code == 0, done.output
    assert done.output.startswith("BUY 725.806451 shares at 0.62, policy chase, strategy s1\n")
    assert "\x1b" not in done.output
    assert "=> 11  near chase: post again" in done.output


def test_json_is_a_story_of_the_documented_schema(journal: Path) -> None:
    done = CliRunner().invoke(main, ["explain", str(journal), "--order", ROOT, "--json"])

    found = Story.model_validate_json(done.output)
    assert found.schema_version == 1
    assert json.loads(done.output)["entries"][0]["kind"] == "intent_opened"


def test_order_that_is_not_there_is_one_sentence_and_exit_code_1(journal: Path) -> None:
    done = CliRunner().invoke(main, ["explain", str(journal), "--order", "0x12"])

    assert done.exit_code == 1
    assert done.output == (
        f"order 0x12 is in no record of the journal in {journal}; check the id, "
        "or name the journal of the host that traded it\n"
    )


def test_directory_without_a_journal_is_one_sentence_and_exit_code_1(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["explain", str(tmp_path), "--order", ROOT])

    assert done.exit_code == 1
    assert "holds neither segments nor exports of a journal" in done.output


def test_decisions_are_made_again_and_counted(journal: Path) -> None:
    done = CliRunner().invoke(main, ["replay-decisions", str(journal)])

    assert (done.exit_code, done.output) == (
        0,
        "1 decisions were made again from their recorded inputs; 1 came out byte for byte as recorded\n",
    )


def test_altered_rule_is_exit_code_1_and_names_what_differs(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def timid(*inputs: Any) -> Decision:
        return decide(*inputs)._replace(size_micro=1)

    monkeypatch.setattr(core_basis, "decide", timid)
    done = CliRunner().invoke(main, ["replay-decisions", str(journal)])

    assert done.exit_code == 1
    assert "1 differ; the first is record 2, order 0xc3c3" in done.output
    assert "size_micro was 396820000, is now 1" in done.output


def test_counts_are_json_for_a_program(journal: Path) -> None:
    done = CliRunner().invoke(main, ["replay-decisions", str(journal), "--json"])

    assert json.loads(done.output) == {
        "ok": True,
        "decisions": 1,
        "reproduced": 1,
        "first_difference": "",
        "lacking": [],
    }


def test_person_at_a_terminal_sees_colours_and_lines_that_wrap_behind_their_head(journal: Path) -> None:
    code = f"from polytraders_pfh.cli import main; main(['explain', {str(journal)!r}, '--order', {ROOT!r}])"
    shown, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 90, 0, 0))
    environ = {**os.environ, "TERM": "xterm-256color"}
    environ.pop("NO_COLOR", None)
    with subprocess.Popen([sys.executable, "-c", code], stdout=terminal, env=environ):
        os.close(terminal)
        output = b""
        with suppress(OSError):  # how a terminal ends whose other side is gone
            while part := os.read(shown, 65_536):
                output += part
    os.close(shown)

    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in output.decode().splitlines()]
    assert "\x1b[1;32m" in output.decode()
    assert max(map(len, lines)) <= 90
    (at,) = [n for n, line in enumerate(lines) if line.startswith("        => 11  near chase: post again")]
    assert lines[at + 1].startswith(" " * 40)


def test_without_a_journal_the_host_s_config_says_where_it_is(journal: Path, tmp_path: Path) -> None:
    config = tmp_path / "host.toml"
    config.write_text(example("live").replace('state_dir = "state"', f'state_dir = "{journal}"'))

    done = CliRunner().invoke(main, ["explain", "--order", ROOT, "--config", str(config)])

    assert done.exit_code == 0, done.output
    assert done.output.startswith("BUY 725.806451 shares at 0.62")
