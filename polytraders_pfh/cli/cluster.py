"""Commands about hosts that share their orders."""

import json
import sys
from pathlib import Path

import click

from polytraders_pfh.cli.exits import EXIT_FAILED, sentences
from polytraders_pfh.cli.options import json_option


@click.group()
def cluster() -> None:
    """Hosts that share one wallet's orders over NATS JetStream."""


@cluster.command()
@click.option(
    "--config",
    required=True,
    type=click.Path(path_type=Path),
    help="The TOML file of any of its hosts.",
)
@json_option
def status(config: Path, as_json: bool) -> None:
    """Show members, and of every partition its owner, token, lag and backlog.

    The exit code is 1 while a partition has no living owner.
    """
    with sentences("nats"):
        from polytraders_pfh.host.cluster.showing import show_status  # noqa: PLC0415
        from polytraders_pfh.host.config import load_config  # noqa: PLC0415

        shown, whole = show_status(load_config(config))
        click.echo(json.dumps(shown.members()) if as_json else shown.text())
        sys.exit(0 if whole else EXIT_FAILED)
