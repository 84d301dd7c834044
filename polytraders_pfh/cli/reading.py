"""Commands that read what a bot has left behind."""

import sys
from pathlib import Path

import click

from polytraders_pfh.cli.exits import EXIT_FAILED, EXIT_WRONG, leave


@click.command()
@click.argument("journal", type=click.Path(exists=True, path_type=Path))
@click.option("--anchor", metavar="NUMBER:HASH", default=None, help="A head written down elsewhere earlier.")
def verify(journal: Path, anchor: str | None) -> None:
    """Find any altered, missing or reordered record of a journal, live, closed or exported."""
    from polytraders_pfh.engine.journal import Head, JournalFailed  # noqa: PLC0415
    from polytraders_pfh.ops.verify import verify as walk  # noqa: PLC0415

    try:
        found = walk(journal, None if anchor is None else Head.of(anchor))
    except (ValueError, JournalFailed) as e:
        leave(str(e), EXIT_WRONG)
    for sentence in found.sentences:
        click.echo(sentence)
    sys.exit(0 if found.ok else EXIT_FAILED)
