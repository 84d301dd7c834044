"""The comparison with how the job is done otherwise: the same worlds, counted by the exchange's truth."""

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
