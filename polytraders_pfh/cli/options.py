"""Options that several commands share."""

from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import click

DEFAULT_SEED: Final = 6
DEFAULT_FAULTS: Final = 212
"""One that meets many kinds."""
_POLICIES: Final = ("hold", "cancel", "chase")


def ratio(ctx: click.Context, param: click.Parameter, value: str | None) -> Fraction | None:
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


def journal_of(journal: Path | None, config: Path) -> Path | None:
    """Return where a journal is read from: what was named, or where a host's config leads, if there is one.

    Raises:
        ConfigError: The config has faults.
    """
    if journal is not None or not config.exists():
        return journal
    from polytraders_pfh.host import load_config  # noqa: PLC0415

    return load_config(config).host.state_dir


def policies_of(policy: str) -> tuple[Any, ...]:
    return _POLICIES if policy == "all" else (policy,)


policy_option = click.option(
    "--policy",
    type=click.Choice([*_POLICIES, "all"]),
    default="all",
    show_default=True,
    help="What becomes of remainders; all runs the three side by side, each with the market to itself.",
)
seed_option = click.option(
    "--seed",
    type=click.IntRange(0),
    default=DEFAULT_SEED,
    show_default=True,
    help="One seed, one story: markets, orders, ids, fills and verdicts.",
)
config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    default="host.toml",
    envvar="POLYTRADERS_CONFIG",
    show_default=True,
    show_envvar=True,
    help="The host's TOML file.",
)
journal_argument = click.argument("journal", type=click.Path(exists=True, path_type=Path), required=False)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
