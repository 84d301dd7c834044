"""Commands that run the main job: on recorded books, against the paper exchange, or as a host."""

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from polytraders_pfh.cli.exits import sentences
from polytraders_pfh.cli.options import (
    DEFAULT_FAULTS,
    DEFAULT_SEED,
    json_option,
    policies_of,
    policy_option,
    ratio,
    seed_option,
)


@click.command()
@policy_option
@seed_option
@click.option(
    "--seconds",
    metavar="NUMBER",
    callback=ratio,
    default="20",
    show_default=True,
    help="About how long it takes; a slow machine takes longer.",
)
@click.option(
    "--speed",
    metavar="NUMBER",
    callback=ratio,
    default=None,
    help="Recorded time over real time, in place of --seconds.",
)
@click.option(
    "--markets",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="How many markets; the seed draws which.",
)
@click.option("--synthetic", is_flag=True, help="Play made-up markets instead of recorded ones.")
@click.option(
    "--faults",
    metavar="SEED",
    type=click.IntRange(0),
    is_flag=False,
    flag_value=DEFAULT_FAULTS,
    default=None,
    help="Have the exchange misbehave, and the host killed and started again; which way, the seed draws.",
)
@click.option(
    "--otlp",
    metavar="URL",
    default=None,
    help="Send every span there over OTLP/HTTP, to be looked at in Jaeger: http://127.0.0.1:4318",
)
@json_option
def demo(
    policy: str,
    seed: int,
    seconds: Fraction,
    speed: Fraction | None,
    markets: int,
    synthetic: bool,
    faults: int | None,
    otlp: str | None,
    as_json: bool,
) -> None:
    """Watch partial fills being handled on real recorded Polymarket books.

    Paper exchange, host and plugin run on this machine alone: no keys, no network, no money. Every fill is
    SIMULATED. The exit code is 1 when an invariant was violated. --faults alone takes a seed of its own.
    """
    with sentences("demo"):
        from polytraders_pfh.demo import DemoOptions, run_demo  # noqa: PLC0415

        options = DemoOptions(
            seed=seed,
            policies=policies_of(policy),
            markets=markets,
            seconds=seconds,
            speed=speed,
            synthetic=synthetic,
            faults=faults,
            otlp=otlp,
            as_json=as_json,
        )
        sys.exit(run_demo(options))


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@policy_option
@seed_option
@click.option(
    "--on-error",
    type=click.Choice(["refuse", "skip"]),
    default="refuse",
    show_default=True,
    help="What to do about broken files and rows; what is skipped is named.",
)
@json_option
def replay(paths: tuple[Path, ...], policy: str, seed: int, on_error: Any, as_json: bool) -> None:
    """Do the same over recordings: files or folders of one shape.

    Known shapes are parquet of raw market-channel messages, parquet of books as lists (resolvedkit), and
    JSON lines of raw WebSocket frames, plain or gzip.
    """
    with sentences("paper"):
        from polytraders_pfh.demo import ReplayOptions, run_replay  # noqa: PLC0415

        options = ReplayOptions(paths, seed, policies_of(policy), on_error, as_json)
        sys.exit(run_replay(options))


@click.command()
@click.option("--config", required=True, type=click.Path(path_type=Path), help="The host's TOML file.")
def host(config: Path) -> None:
    """Run the reference host until SIGTERM or Ctrl-C."""
    with sentences("host"):
        from polytraders_pfh.host import run_host  # noqa: PLC0415

        sys.exit(run_host(config))


@click.command()
@click.option("--config", required=True, type=click.Path(path_type=Path), help="The signer's TOML file.")
def signer(config: Path) -> None:
    """Hold the key in a process of its own, behind a Unix socket, until SIGTERM or Ctrl-C.

    It signs what its own limits allow and refuses the rest; a host names its socket as signer.socket.
    """
    with sentences("host"):
        from polytraders_pfh.host.signing.process import run_signer  # noqa: PLC0415

        sys.exit(run_signer(config))


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0, the default, takes a free one.")
@click.option("--synthetic", "seed", type=click.IntRange(0), default=None, help="Seed of made-up markets.")
@click.option(
    "--recording", type=click.Path(path_type=Path), default=None, help="A recording to play instead."
)
@click.option(
    "--starting-usd",
    type=click.IntRange(0),
    default=10_000,
    show_default=True,
    help="Paper pUSD that a wallet is given when it is first seen.",
)
@click.option(
    "--speed",
    metavar="NUMBER",
    callback=ratio,
    default="1",
    show_default=True,
    help="Recorded time over real time.",
)
def paper(port: int, seed: int | None, recording: Path | None, starting_usd: int, speed: Fraction) -> None:
    """Start the paper exchange alone: the CLOB V2 protocol on loopback, until SIGTERM or Ctrl-C."""
    if seed is not None and recording is not None:
        raise click.UsageError("--synthetic and --recording exclude each other; give one of them")
    with sentences("paper"):
        from polytraders_pfh.demo import PaperOptions, run_paper  # noqa: PLC0415

        chosen = DEFAULT_SEED if seed is None else seed
        options = PaperOptions(port, chosen, recording, starting_usd, speed)
        sys.exit(run_paper(options, click.echo))
