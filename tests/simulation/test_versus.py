"""The comparison with how the job is done otherwise: the same worlds, counted by the exchange's truth."""

import re
from pathlib import Path

from simulation.versus import BOTS, EXCHANGES, KINDS, compare, table

SCHEDULES = 60


def test_this_plugin_does_none_of_what_both_others_do() -> None:
    counted = compare(SCHEDULES)

    for bot, kind in BOTS.items():
        happened = {name: counter for (_, its), counter in counted.items() if its == bot for name in counter}
        assert bool(happened) is (kind is not None), (bot, happened)


def test_table_has_a_row_for_each_bot_on_each_exchange() -> None:
    rows = table(compare(2), 2).splitlines()

    assert [row for row in rows if row.startswith("| per ")] == [
        f"| per 100,000 schedules, on {exchange} | {' | '.join(KINDS)} |" for exchange in EXCHANGES
    ]
    assert sum(row.startswith(f"| {bot} |") for row in rows for bot in BOTS) == len(BOTS) * len(EXCHANGES)


def test_readme_shows_this_table_and_the_command_that_makes_it() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")

    assert "`python tests/simulation --versus 1000`" in readme
    assert f"| bot | {' | '.join(KINDS)} |" in readme
    assert re.findall(r"^\| (.+?) \| [\d,]+ \| [\d,]+ \| [\d,]+ \|$", readme, re.MULTILINE) == list(BOTS)
    assert "| this plugin | 0 | 0 | 0 |" in readme
