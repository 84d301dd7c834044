"""The README's words are run, or held to what they speak of."""

import re
import tomllib
from pathlib import Path

import click
import pytest

from polytraders_pfh.cli import main
from polytraders_pfh.config import load_settings
from polytraders_pfh.host.config import SERVICE_NAME, TelemetrySection
from polytraders_pfh.telemetry.names import ATTR_TRACE_ID

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_readme_is_short() -> None:
    assert len(README.splitlines()) < 100


def test_first_command_installs_and_runs_the_demo() -> None:
    first = blocks("console")[0].strip()

    assert first.endswith(".venv/bin/polytraders-pfh demo")
    assert ".venv/bin/pip install '.[demo" in first


def test_second_command_is_what_continuous_integration_runs() -> None:
    second = blocks("console")[1].strip()

    assert second == "bash tests/run"
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == f"exec {second}"


@pytest.mark.parametrize("command", sorted(set(re.findall(r"polytraders-pfh ([a-z]+)", README))))
def test_every_command_it_names_is_one(command: str) -> None:
    assert isinstance(main, click.Group)
    assert command in main.commands


def test_config_it_shows_is_accepted() -> None:
    (shown,) = blocks("toml")

    settings = load_settings(tomllib.loads(shown)["bots"]["exec.partialfillhandler"])

    assert settings.mode == "shadow_only"


def test_search_it_tells_is_the_one_that_the_spans_answer_to() -> None:
    (search,) = re.findall(r"search Service `([^`]+)`, Tags\s+`([^`=]+)=trc_…`", README)

    assert search == (SERVICE_NAME, ATTR_TRACE_ID)


def test_address_it_tells_is_one_that_the_demo_and_a_host_take() -> None:
    (address,) = re.findall(r"demo --otlp (\S+)", README)
    demo = main.commands["demo"]  # type: ignore[attr-defined]

    assert "--otlp" in {name for option in demo.params for name in option.opts}
    assert TelemetrySection(otlp_endpoint=address).otlp_endpoint == address


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https?:)([^)]+)\)", README))
def test_every_file_it_points_to_is_there(link: str) -> None:
    assert (ROOT / link).is_file()


@pytest.mark.parametrize("room", re.findall(r"^\| `([a-z_/]+/)` \|", README, re.MULTILINE))
def test_every_room_it_names_is_there(room: str) -> None:
    assert (ROOT / room).is_dir()
