"""Commands that hand over what ships with the package."""

from pathlib import Path

import click

from polytraders_pfh.cli.exits import sentences


@click.command()
@click.option(
    "--out",
    metavar="DIR",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to; made when missing.",
)
@click.option("--force", is_flag=True, help="Replace files that differ.")
def assets(out: Path, force: bool) -> None:
    """Write the Prometheus alert rules, the Grafana dashboard and the runbook into a directory."""
    with sentences("host"):
        from polytraders_pfh.ops.assets import ASSETS, write_assets  # noqa: PLC0415

        written = write_assets(out, force=force)
        for name, what in ASSETS.items():
            path = out / name
            click.echo(f"{path}  {what}" + ("" if path in written else " (was there already)"))
