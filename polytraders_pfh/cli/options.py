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
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
