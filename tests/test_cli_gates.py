"""`polytraders-pfh gates`: figure, threshold, evidence, what is missing; an exit code for scripts."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.long_runs import fills

from polytraders_pfh.cli import main
from polytraders_pfh.core.gates import HOUR_MS

CASES = "".join(f'<testcase name="test_{what}_{n}"/>' for n in range(500) for what in ("dust", "thin_book"))
JUNIT = f"<testsuites><testsuite>{CASES}</testsuite></testsuites>"


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of 48 hours in shadow that end now, one chase an hour."""
    path: Path = tmp_path_factory.mktemp("shadow")
    now_ms = int(datetime.now(UTC).timestamp()) * 1000
    fills(path, "shadow_only", [now_ms - (48 - n) * HOUR_MS for n in range(49)])
    return path


def test_gate_that_is_open_is_exit_code_0_with_its_evidence(journal: Path) -> None:
    done = CliRunner().invoke(main, ["gates", str(journal), "--gate", "to_limited_live"])

    assert done.exit_code == 0, done.output
    assert done.output.startswith("to_limited_live: passed\n  figure     0 violations in 49 chase orders\n")
    assert "  evidence   49 reports over 48 h, records " in done.output


def test_one_gate_that_is_shut_is_exit_code_1_and_says_what_is_missing(journal: Path) -> None:
    done = CliRunner().invoke(main, ["gates", str(journal)])

    assert done.exit_code == 1
    assert "to_shadow: REFUSED" in done.output
    assert "  missing    a JUnit report of the tests" in done.output
    assert "to_general_live: REFUSED" in done.output


def test_test_run_alone_needs_no_journal(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text(JUNIT)

    done = CliRunner().invoke(main, ["gates", "--gate", "to_shadow", "--junit", str(tmp_path / "junit.xml")])

    assert (done.exit_code, done.output.splitlines()[:2]) == (
        0,
        ["to_shadow: passed", "  figure     1000 of 1000 tests passed"],
    )


def test_verdicts_are_json_for_a_program(journal: Path) -> None:
    done = CliRunner().invoke(main, ["gates", str(journal), "--json"])

    told = json.loads(done.output)
    assert told["passed"] is False
    assert [(one["gate"], one["passed"]) for one in told["gates"]] == [
        ("to_shadow", False),
        ("to_limited_live", True),
        ("to_general_live", False),
    ]


def test_help_says_how_to_go_down() -> None:
    done = CliRunner().invoke(main, ["gates", "--help"])

    assert "Going down needs no gate" in done.output
