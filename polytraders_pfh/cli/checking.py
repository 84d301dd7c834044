"""Commands that look at a config, and at nothing else."""

from pathlib import Path
from typing import Literal

import click

from polytraders_pfh.cli.exits import EXIT_WRONG, leave, sentences


@click.group()
def config() -> None:
    """What a host's config means."""


@config.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--order",
    "orders",
    metavar="side=BUY,price=0.42,size=100,...",
    multiple=True,
    help="Which rule would take this order, and why no earlier one. Also: market, token, builder, expires.",
)
def check(file: Path, orders: tuple[str, ...]) -> None:
    """Read FILE as the host would, and say what it means; every fault of it is named at once.

    No secret is read and nothing is sent.
    """
    with sentences("host"):
        from polytraders_pfh.host.config import load_config  # noqa: PLC0415
        from polytraders_pfh.host.sidecar.check import config_words, order_words  # noqa: PLC0415

        found = load_config(file)
        lines = [f"{file}: no fault", *config_words(found)]
        if orders and found.sidecar is None:
            leave("--order asks for a rule, and the file has no [sidecar]; write its rules there", EXIT_WRONG)
        for order in orders:
            assert found.sidecar is not None
            lines += order_words(found.sidecar, order)
        for line in lines:
            click.echo(line)


@config.command()
@click.argument("name", type=click.Choice(["live", "signer"]), default="live")
def example(name: Literal["live", "signer"]) -> None:
    """Print a commented file to begin with: a host beside any bot, or a signer."""
    with sentences("host"):
        from polytraders_pfh.host.sidecar.example_files import example as text_of  # noqa: PLC0415

        click.echo(text_of(name), nl=False)
