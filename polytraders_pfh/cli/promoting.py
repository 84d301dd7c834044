"""`gates`: may the bot be promoted? The evidence computed, not argued."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from polytraders_pfh.cli.exits import EXIT_FAILED, sentences
from polytraders_pfh.cli.options import config_option, journal_argument, journal_of, json_option

_GATES = ("to_shadow", "to_limited_live", "to_general_live")


@click.command()
@journal_argument
@config_option
@click.option(
    "--gate", "wanted", type=click.Choice(_GATES), multiple=True, help="This one alone; may be repeated."
)
@click.option(
    "--junit",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A JUnit report of the test run, for to_shadow; may be repeated.",
)
@click.option(
    "--prometheus", metavar="URL", default=None, help="Count there too, for to_general_live; both must agree."
)
@json_option
def gates(
    journal: Path | None,
    config: Path,
    wanted: tuple[str, ...],
    junit: tuple[Path, ...],
    prometheus: str | None,
    as_json: bool,
) -> None:
    """Say whether the bot may be promoted: figure, threshold, evidence, and what is missing.

    to_shadow: every test passes. to_limited_live: over 48 h of shadow reports no chase is priced beyond
    original_price ± chase_max_ticks x tick_size. to_general_live: over 7 days in limited_live fewer than 5%
    of the partial fills were dust. JOURNAL is as for `explain`. Too little evidence refuses; the exit code is
    1 unless every gate that was asked for is passed.

    Going down needs no gate: `polytraders-pfh mode shadow_only` lowers it while the host runs, at once, and
    holds back what has not been sent; or lower `mode` in the config.
    """
    with sentences("host"):
        from polytraders_pfh.ops.gates import evaluate  # noqa: PLC0415
        from polytraders_pfh.ops.scraped import counted  # noqa: PLC0415

        now_ms = int(datetime.now(UTC).timestamp()) * 1000
        scrape = None if prometheus is None else lambda since, until: counted(prometheus, since, until)
        place = None if set(wanted) == {"to_shadow"} else journal_of(journal, config)
        verdicts = evaluate(place, junit, now_ms, scrape)
        found = [one for one in verdicts if one.gate in (wanted or _GATES)]
        if as_json:
            told = [{**one._asdict(), "passed": one.passed} for one in found]
            click.echo(json.dumps({"passed": all(one.passed for one in found), "gates": told}, indent=1))
        else:
            for one in found:
                click.echo(f"{one.gate}: {'passed' if one.passed else 'REFUSED'}")
                click.echo(f"  figure     {one.figure}\n  threshold  {one.threshold}")
                for name, texts in (("evidence", one.evidence), ("missing", one.missing)):
                    for text in texts:
                        click.echo(f"  {name:<9}  {text}")
        sys.exit(0 if all(one.passed for one in found) else EXIT_FAILED)
