"""`polytraders-pfh assets`: what ships is written where it is wanted, and replaces nothing unasked."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from polytraders_pfh.cli import main
from polytraders_pfh.ops.assets import ASSETS, asset


def assets(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["assets", *arguments])


def held(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_rules_dashboard_and_runbook_are_written_into_a_directory_that_is_made(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "ops"

    done = assets("--out", str(out))

    assert done.exit_code == 0, done.output
    assert held(out) == {name: asset(name) for name in ASSETS}
    assert [line.split("  ")[0] for line in done.output.splitlines()] == [str(out / name) for name in ASSETS]


def test_writing_them_again_changes_nothing_and_says_so(tmp_path: Path) -> None:
    assets("--out", str(tmp_path))

    done = assets("--out", str(tmp_path))

    assert done.exit_code == 0
    assert done.output.count("was there already") == len(ASSETS)


def test_a_file_that_differs_is_not_overwritten_and_nothing_else_is_written(tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text("my own rules")

    done = assets("--out", str(tmp_path))

    assert done.exit_code == 2
    assert done.output == (
        f"{tmp_path / 'alerts.yaml'} would be replaced by another version; move it away, write into another "
        "directory, or pass --force\n"
    )
    assert held(tmp_path) == {"alerts.yaml": b"my own rules"}


def test_with_force_it_is(tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text("my own rules")

    done = assets("--out", str(tmp_path), "--force")

    assert done.exit_code == 0
    assert held(tmp_path) == {name: asset(name) for name in ASSETS}


@pytest.mark.parametrize("inside", ["", "below"])
def test_a_file_in_place_of_the_directory_is_one_sentence(tmp_path: Path, inside: str) -> None:
    (tmp_path / "taken").write_text("")

    done = assets("--out", str(tmp_path / "taken" / inside))

    assert done.exit_code in {1, 2}
    assert "taken" in done.output
    assert "Traceback" not in done.output
