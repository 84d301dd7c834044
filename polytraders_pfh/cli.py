"""The command line: arguments in, exit codes out, and nothing else.

    0    done                            2    the arguments, a config or a recording were wrong
    1    an invariant was violated,      130  interrupted; the summary so far was printed
         or the run could not go on

Whatever a command needs is imported when it runs (hence PLC0415), so that `--help` is quick and a missing
extra is one sentence.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from polytraders_pfh import __version__
from polytraders_pfh.errors import ConfigError, PfhError, RecordingError

try:
    import click
except ModuleNotFoundError:
    sys.exit("the command line needs click, which is not installed; run: pip install 'polytraders-pfh[host]'")

EXIT_WRONG: Final = 2
EXIT_FAILED: Final = 1
EXIT_INTERRUPTED: Final = 130
DEFAULT_SEED: Final = 6
DEFAULT_FAULTS: Final = 212
"""One that meets many kinds."""
_POLICIES: Final = ("hold", "cancel", "chase")


def _ratio(ctx: click.Context, param: click.Parameter, value: str | None) -> Fraction | None:
    """Read a number above 0, exactly."""
    if value is None:
        return None
    try:
        ratio = Fraction(value)
    except (ValueError, ZeroDivisionError):
        ratio = Fraction(0)
    if ratio <= 0:
        raise click.BadParameter(f"{value!r} is not a number above 0; write 20 or 0.5", ctx, param)
    return ratio


@contextmanager
def _sentences(extra: str) -> Iterator[None]:
    """Turn what can go wrong into one sentence on standard error and an exit code."""
    try:
        yield
    except ModuleNotFoundError as e:
        if (e.name or "").startswith("polytraders"):
            raise
        _leave(
            f"this command needs {e.name}, which is not installed; "
            f"run: pip install 'polytraders-pfh[{extra}]'",
            EXIT_WRONG,
        )
    except KeyboardInterrupt:
        _leave("interrupted before there was anything to sum up", EXIT_INTERRUPTED)
    except (ConfigError, RecordingError) as e:
        _leave(str(e), EXIT_WRONG)
    except PfhError as e:
        _leave(str(e), EXIT_FAILED)
    except OSError as e:
        where = f"{e.filename}: " if e.filename else ""
        _leave(f"{where}{e.strerror or e}; free it, or name another", EXIT_FAILED)


def _leave(sentence: str, code: int) -> None:
    click.echo(sentence, err=True)
    sys.exit(code)


def _policies(policy: str) -> tuple[Any, ...]:
    return _POLICIES if policy == "all" else (policy,)


_policy_option = click.option(
    "--policy",
    type=click.Choice([*_POLICIES, "all"]),
    default="all",
    show_default=True,
    help="What becomes of remainders; all runs the three side by side, each with the market to itself.",
)
_seed_option = click.option(
    "--seed",
    type=click.IntRange(0),
    default=DEFAULT_SEED,
    show_default=True,
    help="One seed, one story: markets, orders, ids, fills and verdicts.",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="polytraders-pfh")
def main() -> None:
    """What happens to the rest of a Polymarket order after it fills in part."""


@main.command()
@_policy_option
@_seed_option
@click.option(
    "--seconds",
    metavar="NUMBER",
    callback=_ratio,
    default="20",
    show_default=True,
    help="About how long it takes; a slow machine takes longer.",
)
@click.option(
    "--speed",
    metavar="NUMBER",
    callback=_ratio,
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
@_json_option
def demo(
    policy: str,
    seed: int,
    seconds: Fraction,
    speed: Fraction | None,
    markets: int,
    synthetic: bool,
    faults: int | None,
    as_json: bool,
) -> None:
    """Watch partial fills being handled on real recorded Polymarket books.

    Paper exchange, host and plugin run on this machine alone: no keys, no network, no money. Every fill is
    SIMULATED. The exit code is 1 when an invariant was violated. --faults alone takes a seed of its own.
    """
    with _sentences("demo"):
        from polytraders_pfh.demo import DemoOptions, run_demo  # noqa: PLC0415

        options = DemoOptions(
            seed=seed,
            policies=_policies(policy),
            markets=markets,
            seconds=seconds,
            speed=speed,
            synthetic=synthetic,
            faults=faults,
            as_json=as_json,
        )
        sys.exit(run_demo(options))


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@_policy_option
@_seed_option
@click.option(
    "--on-error",
    type=click.Choice(["refuse", "skip"]),
    default="refuse",
    show_default=True,
    help="What to do about broken files and rows; what is skipped is named.",
)
@_json_option
def replay(paths: tuple[Path, ...], policy: str, seed: int, on_error: Any, as_json: bool) -> None:
    """Do the same over recordings: files or folders of one shape.

    Known shapes are parquet of raw market-channel messages, parquet of books as lists (resolvedkit), and
    JSON lines of raw WebSocket frames, plain or gzip.
    """
    with _sentences("paper"):
        from polytraders_pfh.demo import ReplayOptions, run_replay  # noqa: PLC0415

        options = ReplayOptions(paths, seed, _policies(policy), on_error, as_json)
        sys.exit(run_replay(options))


@main.command()
@click.option("--config", required=True, type=click.Path(path_type=Path), help="The host's TOML file.")
def host(config: Path) -> None:
    """Run the reference host until SIGTERM or Ctrl-C."""
    with _sentences("host"):
        from polytraders_pfh.host import run_host  # noqa: PLC0415

        sys.exit(run_host(config))


@main.command()
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
    callback=_ratio,
    default="1",
    show_default=True,
    help="Recorded time over real time.",
)
def paper(port: int, seed: int | None, recording: Path | None, starting_usd: int, speed: Fraction) -> None:
    """Start the paper exchange alone: the CLOB V2 protocol on loopback, until SIGTERM or Ctrl-C."""
    if seed is not None and recording is not None:
        raise click.UsageError("--synthetic and --recording exclude each other; give one of them")
    with _sentences("paper"):
        from polytraders_pfh.demo import PaperOptions, run_paper  # noqa: PLC0415

        chosen = DEFAULT_SEED if seed is None else seed
        options = PaperOptions(port, chosen, recording, starting_usd, speed)
        sys.exit(run_paper(options, click.echo))


@main.command()
@click.argument("journal", type=click.Path(exists=True, path_type=Path))
@click.option("--anchor", metavar="NUMBER:HASH", default=None, help="A head written down elsewhere earlier.")
def verify(journal: Path, anchor: str | None) -> None:
    """Find any altered, missing or reordered record of a journal, live, closed or exported."""
    from polytraders_pfh.engine.journal import Head, JournalFailed  # noqa: PLC0415
    from polytraders_pfh.ops.verify import verify as walk  # noqa: PLC0415

    try:
        found = walk(journal, None if anchor is None else Head.of(anchor))
    except (ValueError, JournalFailed) as e:
        _leave(str(e), EXIT_WRONG)
        return
    for sentence in found.sentences:
        click.echo(sentence)
    sys.exit(0 if found.ok else EXIT_FAILED)
