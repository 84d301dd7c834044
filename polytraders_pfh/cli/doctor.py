"""`doctor`: an installation looked at from outside."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from polytraders_pfh.cli.exits import EXIT_FAILED, sentences
from polytraders_pfh.cli.options import config_option, json_option

if TYPE_CHECKING:
    from polytraders_pfh.host.doctor import Finding


@click.command()
@config_option
@json_option
def doctor(config: Path, as_json: bool) -> None:
    """Check an installation: one line each for what is right, what is wrong, and how to mend it.

    Entry points, contract, config, secrets' places, state directory, journal, door, exchange, clock, signer,
    credentials, traces, metrics, reports. Nothing is changed and no order is sent. The exit code is 1 when
    something is wrong; warnings and what could not be looked at leave it 0.
    """
    with sentences("host"):
        import asyncio  # noqa: PLC0415

        findings = asyncio.run(_examine(config, quiet=as_json))
        wrong = [finding for finding in findings if finding.verdict.value == "wrong"]
        if as_json:
            members = {"ok": not wrong, "findings": [finding.members() for finding in findings]}
            click.echo(json.dumps(members, indent=2))
        else:
            click.echo(f"{len(wrong)} wrong of {len(findings)}" if wrong else "nothing is wrong")
        sys.exit(EXIT_FAILED if wrong else 0)


async def _examine(config: Path, *, quiet: bool) -> list["Finding"]:
    from polytraders_pfh.host.clock import SystemClock  # noqa: PLC0415
    from polytraders_pfh.host.doctor import examine  # noqa: PLC0415

    findings = []
    async for finding in examine(config, os.environ, SystemClock()):
        findings.append(finding)
        if not quiet:
            click.echo(finding.line)
    return findings
