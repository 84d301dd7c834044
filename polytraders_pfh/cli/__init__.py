"""The command line: arguments in, exit codes out, and nothing else.

    0    done                            2    the arguments, a config or a recording were wrong
    1    an invariant was violated,      130  interrupted; the summary so far was printed
         or the run could not go on

Whatever a command needs is imported when it runs (hence PLC0415), so that `--help` is quick and a missing
extra is one sentence.
"""

import sys

try:
    import click
except ModuleNotFoundError:
    sys.exit("the command line needs click, which is not installed; run: pip install 'polytraders-pfh[host]'")

from polytraders_pfh import __version__
from polytraders_pfh.cli.checking import config
from polytraders_pfh.cli.cluster import cluster
from polytraders_pfh.cli.doctor import doctor
from polytraders_pfh.cli.explaining import explain, replay_decisions
from polytraders_pfh.cli.handing_over import assets
from polytraders_pfh.cli.promoting import gates
from polytraders_pfh.cli.reading import verify
from polytraders_pfh.cli.running import demo, host, paper, replay, signer
from polytraders_pfh.cli.steering import kill, mode, reset_kill, status, tell_bot

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="polytraders-pfh")
def main() -> None:
    """What happens to the rest of a Polymarket order after it fills in part."""


_RUNNING = (demo, replay, paper, host, signer)
_STEERING = (status, mode, kill, reset_kill, tell_bot, doctor)
for command in (*_RUNNING, *_STEERING, config, verify, explain, replay_decisions, gates, assets, cluster):
    main.add_command(command)
