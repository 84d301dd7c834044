"""The long run over every parser, steered by what the bytes reach in the code.

    pip install -e '.[test,long]'
    PYTHONPATH=tests python tests/adversarial/fuzz.py -max_total_time=600

It begins with tests/adversarial/corpus/bytes and tests/payloads; what it finds on the way it puts into the
first directory named on the command line, or into a temporary one. Any other error than the one a parser
declares ends it, with the bytes in a file crash-…: that file belongs into corpus/bytes, all of which the
test command reads. An input that takes over five seconds, or 2 GiB, ends it as well.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["polytraders_pfh", "polytraders_hookspecs", "json"]):
    from adversarial.parsers import read_by_all

CORPUS = Path(__file__).with_name("corpus") / "bytes"
PAYLOADS = Path(__file__).parents[1] / "payloads"
LIMITS = ["-max_len=70000", "-timeout=5", "-rss_limit_mb=2048"]


def main() -> None:
    """Fuzz until a limit of the command line is reached, or something is found."""
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    directories = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    with tempfile.TemporaryDirectory() as found:
        seeds = [*(directories or [found]), str(CORPUS), str(PAYLOADS)]
        atheris.Setup([sys.argv[0], *LIMITS, *options, *seeds], read_by_all)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
