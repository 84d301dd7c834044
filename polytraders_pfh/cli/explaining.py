"""What was decided and why: an order's story, and every decision made again."""

import json
import sys
from pathlib import Path
from typing import Final

import click

from polytraders_pfh.cli.exits import EXIT_FAILED, leave, sentences
from polytraders_pfh.cli.options import config_option, journal_argument, journal_of, json_option

_STYLES: Final = {
    "title": "bold",
    "plain": "default",
    "event": "cyan",
    "fired": "bold green",
    "passed": "default",
    "faint": "bright_black",
}


@click.command()
@journal_argument
@config_option
@click.option(
    "--order", "any_id", metavar="ID", required=True, help="A root order, any chase order, or a trace id."
)
@json_option
def explain(journal: Path | None, config: Path, any_id: str, as_json: bool) -> None:
    """Tell what happened to an order, from the journal, in plain words.

    What filled, which book was seen, each rule tried and why it fired or did not, what was sent and what
    came back. JOURNAL is a journal's directory, live, closed or exported, one file of it, or a directory
    above the only one; without it, the state directory of the host's config, or this directory. The exit code
    is 1 when the order is not there. The JSON is described in entry_points.md.
    """
    with sentences("host"):
        from polytraders_pfh.ops.explain import story  # noqa: PLC0415

        place = journal_of(journal, config) or Path()
        found = story(place, any_id)
        if found is None:
            leave(
                f"order {any_id} is in no record of the journal in {place}; check the id, "
                "or name the journal of the host that traded it",
                EXIT_FAILED,
            )
        if as_json:
            click.echo(found.model_dump_json(indent=1))
        elif sys.stdout.isatty():
            _show(found)
        else:
            from polytraders_pfh.ops.telling import plain_text  # noqa: PLC0415

            click.echo(plain_text(found), nl=False)


@click.command("replay-decisions")
@journal_argument
@config_option
@json_option
def replay_decisions(journal: Path | None, config: Path, as_json: bool) -> None:
    """Make every recorded decision again from its recorded inputs; it must come out byte for byte.

    JOURNAL is as for `explain`. The exit code is 1 when a decision differs or its inputs are not there, so
    run it with a new version over the journals of the old one before it goes live.
    """
    with sentences("host"):
        from polytraders_pfh.ops.replaying import replay_decisions as replay  # noqa: PLC0415

        found = replay(journal_of(journal, config) or Path())
        if as_json:
            click.echo(json.dumps(found.as_json(), indent=1))
        else:
            for sentence in found.sentences:
                click.echo(sentence)
        sys.exit(0 if found.ok else EXIT_FAILED)


def _show(found: object) -> None:
    """Print the story in colours, wrapped inside its indent."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from polytraders_pfh.ops.story import Story  # noqa: PLC0415
    from polytraders_pfh.ops.telling import lines  # noqa: PLC0415

    assert isinstance(found, Story)
    console = Console()
    for tone, indent, text, head in lines(found):
        style = _STYLES[tone.value]
        if not head and not indent:
            console.print(Text(text, style))
            continue
        row = Table.grid()
        row.add_column(no_wrap=True)
        row.add_row(Text(" " * indent + head, style), Text(text, style))
        console.print(row)
