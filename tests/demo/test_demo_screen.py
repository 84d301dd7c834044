"""What a person sees, as text: the live table, plain lines, the summary, the JSON object."""

import io
import json
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from typing import Any

from rich.console import Console
from support.demo_stage import CHASE_ONE, T0, intent, order_event, short_run

from polytraders_pfh.demo.board import Board
from polytraders_pfh.demo.flow import SyntheticMarkets
from polytraders_pfh.demo.lanes import POLICIES
from polytraders_pfh.demo.oracle import Violation
from polytraders_pfh.demo.result import Plan, Progress, Result
from polytraders_pfh.demo.screen import Lines, LiveTable
from polytraders_pfh.demo.summary import json_text, print_summary
from polytraders_pfh.demo.tally import Figures, price_text
from polytraders_pfh.demo.truth import KillMark
from polytraders_pfh.demo.words import bar
from polytraders_pfh.paper.core.events import OrderEventKind
from polytraders_pfh.paper.core.model import MICRO, OrderStatus
from polytraders_pfh.paper.markets.frames import Skipped

PLAN = Plan(SyntheticMarkets(3, 1, 60_000), 3, POLICIES)
FIGURES = Figures(
    policy="chase",
    side="BUY",
    orders=2,
    wanted_micro=200 * MICRO,
    filled_micro=150 * MICRO,
    fully_filled=1,
    intent_price=Fraction(400_000),
    blended_price=Fraction(1_230_000, 3),
    cost_pico=1_500_000 * MICRO,
    partial_fills=3,
    chases=1,
    max_adverse_ticks=Fraction(2),
)
RESULT = Result(
    plan=PLAN,
    mode="general_live",
    orders=2,
    chase_orders=1,
    partial_fills=3,
    verdicts=Counter({"HOLD_REMAINDER": 2, "CHASE_ORDER_SUBMITTED": 1}),
    warnings=Counter({"ALREADY_MARKETABLE": 1}),
    figures=(FIGURES,),
    violations=(),
    moves=1_000,
    elapsed_s=2.0,
    complete=True,
    killed=None,
)


def board_with_a_chase() -> Board:
    board = Board()
    board.placed([intent()])
    board.happened(
        [
            order_event(OrderEventKind.PLACEMENT),
            order_event(OrderEventKind.CANCELLATION, matched=25, status=OrderStatus.CANCELED),
            order_event(OrderEventKind.PLACEMENT, CHASE_ONE, price=420_000, shares=71),
        ]
    )
    board.reported(
        [
            {"final": False, "verdict": "PARTIAL_FILL_PENDING"},
            {
                "final": True,
                "verdict": "CHASE_ORDER_SUBMITTED",
                "root_order_id": intent().order_id,
                "new_order_id": CHASE_ONE,
                "chase_price": "0.42",
            },
        ]
    )
    return board


def seen(width: int, board: Board) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    table = LiveTable(console, PLAN, board, "general_live", "Partial fills")
    console.print(table.drawn(Progress(500, 1_000, 500, T0, 5.0)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def printed(result: Result, *skipped: Skipped) -> str:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    print_summary(console, result, skipped)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_live_table_shows_order_policy_fill_rest_verdict_and_chase() -> None:
    text = seen(100, board_with_a_chase())

    (row,) = (line for line in text.splitlines() if "#1" in line)
    for word in ("BUY 100 Yes at 0.4", "chase", "25", "75", "chased", "0.42"):
        assert word in row
    assert "SIMULATED" in text
    assert "general_live" in text
    assert "100 frames/s" in text


def test_the_live_table_draws_ten_times_a_second_and_leaves_the_terminal_as_it_was() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    with LiveTable(console, PLAN, board_with_a_chase(), "general_live", "Partial fills") as table:
        for tenths in range(5):
            table.show(Progress(tenths, 10, tenths, T0, tenths / 20))

    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    # At 0, 0.1 and 0.2 s, and once more when it stops.
    assert shown.count("#1 BUY 100 Yes at 0.4") == 4
    assert shown.endswith("\x1b[2K")
    assert "\x1b[?25h" in shown


def test_the_live_table_fits_eighty_columns() -> None:
    assert max(len(line) for line in seen(80, board_with_a_chase()).splitlines()) <= 80


def test_the_kill_switch_is_seen_and_a_quiet_start_says_what_is_waited_for() -> None:
    killed = board_with_a_chase()
    killed.happened([KillMark(T0)])

    assert "KILL SWITCH ON" in seen(100, killed)
    assert "waiting for the first partial fill" in seen(100, Board())


def test_a_bar_is_empty_full_or_as_far_as_the_fill() -> None:
    board = board_with_a_chase()
    (card,) = board.cards.values()

    assert bar(card, 8) == "██······"
    assert bar(card, 10) == "██▌·······"
    assert bar(replace(card, orders={}), 4) == "····"


def test_plain_lines_tell_each_verdict_once() -> None:
    board = board_with_a_chase()
    console = Console(file=io.StringIO(), width=60, color_system=None)
    lines = Lines(console, board)
    for _ in range(2):
        lines.show(Progress(1, 2, 1, T0, 1.0))

    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "07:15:05  #1 BUY 100 Yes at 0.4  chase: 25 filled, 75 left  CHASE_ORDER_SUBMITTED"
    ]


def test_the_summary_says_simulated_and_compares_blended_with_intended_price() -> None:
    text = printed(RESULT)

    assert "SIMULATED" in text
    (row,) = (line.split() for line in text.splitlines() if line.strip().startswith("chase "))
    assert row == ["chase", "BUY", "2", "150", "50", "0.4000", "0.4100", "0.0100", "1", "2"]
    assert "0 invariant violations" in text
    assert "2 HOLD_REMAINDER" in text
    assert "ALREADY_MARKETABLE (warning)" in text
    assert "nobody ever traded it" in text
    assert "stopped early" not in text


def test_the_summary_names_each_violation_with_its_figures_and_what_was_skipped() -> None:
    broken = replace(RESULT, violations=(Violation("overfill", "intent 1", "101 of 100"),), complete=False)

    text = printed(broken, Skipped("a.parquet", 7, "not JSON"), Skipped("b.parquet", 0, "cut off"))

    assert "1 invariant violation\n" in text
    assert "overfill: intent 1: 101 of 100" in text
    assert "skipped a.parquet, row 7: not JSON" in text
    assert "skipped b.parquet: cut off" in text
    assert "stopped early" in text


def test_the_summary_and_the_json_object_name_the_faults_met_and_only_when_there_were_to_be_some() -> None:
    plan = replace(PLAN, faults=7)
    wrong = replace(RESULT, plan=plan, faults={"read_lost": 2, "cancel_answer_lost": 3}, restarts=1)

    text, told = printed(wrong), json.loads(json_text(wrong))

    assert "What went wrong meanwhile (5 times, 2 kinds; 1 restart of the host)" in text
    assert text.index("3 cancel_answer_lost") < text.index("2 read_lost")
    assert told["faults"] == {"cancel_answer_lost": 3, "read_lost": 2}
    assert (told["faults_seed"], told["restarts"]) == (7, 1)
    assert "went wrong" not in printed(RESULT)
    assert not {"faults", "restarts"} & json.loads(json_text(RESULT)).keys()


def test_the_json_object_has_every_promised_member() -> None:
    broken = replace(RESULT, violations=(Violation("overfill", "intent 1", "101 of 100"),))

    told = json.loads(json_text(broken, [Skipped("a", 7, "why")]))

    expected: dict[str, Any] = {
        "orders": 2,
        "partial_fills": 3,
        "verdicts": {"CHASE_ORDER_SUBMITTED": 1, "HOLD_REMAINDER": 2},
        "violations": 1,
        "simulated_fills": True,
        "seed": 3,
        "mode": "general_live",
        "complete": True,
        "frames_per_second": 500.0,
        "skipped": [{"file": "a", "row": 7, "reason": "why"}],
        "violation_list": [{"rule": "overfill", "where": "intent 1", "text": "101 of 100"}],
    }
    assert {name: told[name] for name in expected} == expected
    (row,) = told["policies"]
    assert (row["policy"], row["blended_price"], row["intent_price"]) == ("chase", "0.410000", "0.400000")
    assert (row["shares_left"], row["cost_per_share"], row["max_adverse_ticks"]) == ("50", "0.010000", 2.0)
    assert told["markets"][0]["title"] == PLAN.flow.markets[0].title
    assert "nobody ever traded it" in told["attribution"]


async def test_a_run_without_any_fill_has_no_blended_price_and_says_so() -> None:
    result = await short_run(policies=("cancel",), duration_ms=2_000)

    assert json.loads(json_text(result))["partial_fills"] == 0
    assert printed(result)


def test_prices_are_rounded_to_the_places_asked_for() -> None:
    assert price_text(Fraction(1_234_567, 2)) == "0.6173"
    assert price_text(Fraction(-12_500), 3) == "-0.012"
    assert price_text(None) == "-"
