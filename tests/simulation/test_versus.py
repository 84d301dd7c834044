"""The comparison with how the job is done otherwise: the same worlds, counted by the exchange's truth."""

from simulation.versus import BOTS, EXCHANGES, KINDS, compare, table

SCHEDULES = 60


def test_this_plugin_does_none_of_what_both_others_do() -> None:
    counted = compare(SCHEDULES)

    for (exchange, bot), counter in counted.items():
        if BOTS[bot] is None:
            assert not counter, (exchange, bot, counter)
        else:
            assert counter["overfills"] > 0, (exchange, bot)
            assert counter["duplicate live orders"] > 0, (exchange, bot)


def test_table_has_a_row_for_each_bot_on_each_exchange() -> None:
    rows = table(compare(2), 2).splitlines()

    assert [row for row in rows if row.startswith("| per ")] == [
        f"| per 100,000 schedules, on {exchange} | {' | '.join(KINDS)} |" for exchange in EXCHANGES
    ]
    assert sum(row.startswith(f"| {bot} |") for row in rows for bot in BOTS) == len(BOTS) * len(EXCHANGES)
