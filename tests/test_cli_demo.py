"""The command line, in process: what it prints, and with which code it ends."""

import builtins
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.demo_stage import recorded_file
from support.market_files import write_lines

from polytraders_pfh import __version__
from polytraders_pfh.cli import main
from polytraders_pfh.cli.options import DEFAULT_FAULTS
from polytraders_pfh.demo.board import Board
from polytraders_pfh.demo.run import Run
from polytraders_pfh.demo.world import World

QUICK = ("demo", "--synthetic", "--markets", "1", "--speed", "1000000")


@pytest.fixture(autouse=True)
def _short_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polytraders_pfh.demo.market.SYNTHETIC_MS", 60_000)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_version_and_help_name_every_command() -> None:
    assert __version__ in run("--version").output
    told = run("--help").output
    assert all(command in told for command in ("demo", "replay", "host", "paper"))


def test_demo_prints_lines_and_a_summary_when_nobody_looks_on_a_terminal() -> None:
    ended = run(*QUICK)

    assert ended.exit_code == 0, ended.output
    assert "fills are SIMULATED" in ended.stdout
    assert "0 invariant violations" in ended.stdout
    assert "HOLD_REMAINDER" in ended.stdout


def test_demo_json_is_one_object_and_nothing_else_and_one_seed_repeats_it() -> None:
    first, again = (run(*QUICK, "--json", "--seed", "8") for _ in range(2))

    (line,) = first.stdout.splitlines()
    told, told_again = json.loads(line), json.loads(again.stdout)
    assert told["simulated_fills"] is True
    assert (told["violations"], told["seed"], first.exit_code) == (0, 8, 0)
    assert told["partial_fills"] == sum(row["partial_fills"] for row in told["policies"])
    for timing in ("seconds", "frames_per_second"):
        del told[timing], told_again[timing]
    assert told == told_again


def test_demo_with_faults_kills_its_host_names_what_went_wrong_and_violates_nothing() -> None:
    ended = run(*QUICK, "--json", "--seed", "8", "--faults")

    told = json.loads(ended.stdout)
    assert (ended.exit_code, told["violations"], told["faults_seed"]) == (0, 0, DEFAULT_FAULTS), ended.output
    assert told["restarts"] >= 2
    assert len(told["faults"]) >= 5
    assert all(count > 0 for count in told["faults"].values())


def test_demo_plays_real_recorded_books_and_says_whose_they_are() -> None:
    pytest.importorskip("resolvedkit")

    ended = run("demo", "--markets", "1", "--policy", "chase", "--speed", "1000000", "--json")

    told = json.loads(ended.stdout)
    assert (ended.exit_code, told["violations"], told["complete"]) == (0, 0, True)
    assert told["frames"] > 1_000
    assert "Resolved Markets" in told["attribution"]
    assert "CC BY 4.0" in told["attribution"]
    (market,) = told["markets"]
    assert market["title"].startswith("Bitcoin Up or Down")


@pytest.mark.parametrize("policy", ["hold", "cancel", "chase"])
def test_demo_of_one_policy_speaks_of_that_policy_alone(policy: str) -> None:
    told = json.loads(run(*QUICK, "--json", "--policy", policy).stdout)

    assert {row["policy"] for row in told["policies"]} == {policy}


def test_a_violation_is_named_and_ends_with_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polytraders_pfh.demo.app.Run", partial(Run, after_move=_cheat))

    plain, as_json = run(*QUICK), run(*QUICK, "--json")

    assert (plain.exit_code, as_json.exit_code) == (1, 1)
    assert "conserved: token" in plain.stdout
    told = json.loads(as_json.stdout)
    assert told["violations"] == len(told["violation_list"]) > 0


async def _cheat(world: World, _: Board) -> None:
    """Give us shares that no fill accounts for."""
    world.exchange.mint(world.owner, world.exchange.markets()[0].condition_id, 1)


@pytest.fixture
def hide_package(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    really_import = builtins.__import__

    def hide(name: str) -> None:
        def importing(asked: str, *rest: Any, **more: Any) -> Any:
            if asked.partition(".")[0] == name:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return really_import(asked, *rest, **more)

        monkeypatch.setattr(builtins, "__import__", importing)

    return hide


def test_a_missing_sample_is_one_sentence_with_both_ways_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str) -> Path:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr("polytraders_pfh.paper.markets.recordings.files", absent)

    ended = run("demo")

    assert ended.exit_code == 2
    assert ended.stdout == ""
    (sentence,) = ended.stderr.splitlines()
    assert "pip install 'polytraders-pfh[demo]'" in sentence
    assert "--synthetic" in sentence


def test_a_missing_extra_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, hide_package: Callable[[str], None]
) -> None:
    import sys  # noqa: PLC0415

    for name in [each for each in sys.modules if each.startswith("polytraders_pfh.demo")]:
        monkeypatch.delitem(sys.modules, name)
    hide_package("rich")

    ended = run("demo", "--synthetic")

    assert ended.exit_code == 2
    assert ended.stderr == (
        "this command needs rich, which is not installed; run: pip install 'polytraders-pfh[demo]'\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("demo", "--seconds", "0"), "'0' is not a number above 0; write 20 or 0.5"),
        (("demo", "--speed", "fast"), "'fast' is not a number above 0"),
        (("demo", "--policy", "panic"), "'panic' is not one of"),
        (("replay",), "Missing argument 'PATHS...'"),
        (("paper", "--synthetic", "1", "--recording", "x"), "exclude each other"),
        (("host",), "Missing option '--config'"),
    ],
)
def test_wrong_arguments_are_told_with_code_2(arguments: tuple[str, ...], words: str) -> None:
    ended = run(*arguments)

    assert ended.exit_code == 2
    assert words in ended.stderr


def test_too_many_markets_says_how_many_there_are() -> None:
    pytest.importorskip("resolvedkit")
    ended = run("demo", "--markets", "99")

    assert ended.exit_code == 1
    assert "--markets was 99; the recording holds 18" in ended.stderr


def test_replay_plays_a_file_or_a_folder_and_sums_up(tmp_path: Path) -> None:
    path = recorded_file(tmp_path / "day.jsonl")

    one, folder = run("replay", str(path), "--json"), run("replay", str(tmp_path), "--policy", "hold")

    assert (one.exit_code, folder.exit_code) == (0, 0), one.output + folder.output
    told = json.loads(one.stdout)
    assert (told["frames"], told["violations"], told["skipped"]) == (400, 0, [])
    assert told["partial_fills"] > 0
    assert "frames in" in folder.stdout


def test_replay_refuses_a_broken_row_by_file_and_number_or_skips_and_names_it(tmp_path: Path) -> None:
    path = recorded_file(tmp_path / "day.jsonl")
    lines = path.read_text().splitlines()
    write_lines(path, [*lines[:10], '{"torn', *lines[10:]])

    refused, skipped = run("replay", str(path)), run("replay", str(path), "--on-error", "skip", "--json")

    assert refused.exit_code == 2
    assert f"{path}, row 11" in refused.stderr
    assert "add --on-error skip" in refused.stderr
    told = json.loads(skipped.stdout)
    assert (skipped.exit_code, told["frames"]) == (0, 400)
    assert [(each["file"], each["row"]) for each in told["skipped"]] == [(str(path), 11)]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("gone.jsonl", None, "there was no such file or folder"), ("junk.jsonl", b"\x00\x01", "known are")],
)
def test_replay_of_what_is_no_recording_says_what_to_give(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    ended = run("replay", str(path))

    assert ended.exit_code == 2
    assert str(path) in ended.stderr
    assert words in ended.stderr


def test_a_truncated_parquet_file_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from support.market_files import list_row, write_lists  # noqa: PLC0415

    path = write_lists(tmp_path / "books.parquet", [list_row()])
    path.write_bytes(path.read_bytes()[:-20])

    ended = run("replay", str(path))

    assert ended.exit_code == 2
    assert str(path) in ended.stderr
    assert "footer" in ended.stderr


def test_a_wrong_host_config_is_told_by_path_value_and_rule(tmp_path: Path) -> None:
    config = tmp_path / "host.toml"
    config.write_text("[host]\nstate_dir = 'x'\nhttp_port = -1\n")

    ended = run("host", "--config", str(config))

    assert ended.exit_code == 2
    assert "host.http_port" in ended.stderr
    assert "-1" in ended.stderr
