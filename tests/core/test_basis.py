"""A decision's inputs as text: whole, exact, and enough to make the same decision again."""

import pytest
from core.test_policy_properties import cases, chasing_cases
from hypothesis import given
from hypothesis import strategies as st
from support.decisions import NOW_MS, book, changed, remainder

from polytraders_pfh.core.basis import Basis, decide_on, decode, encode
from polytraders_pfh.core.market import BookView
from polytraders_pfh.core.policy import Action, Kill, Limits, Policy, Remainder, decide
from polytraders_pfh.core.reasons import Reason

Case = tuple[Remainder, BookView, Limits]


@given(
    chasing_cases() | cases(), st.sampled_from(Kill), st.booleans(), st.sampled_from(["", "it is stopped"])
)
def test_what_is_read_back_is_what_was_written_and_decides_the_same(
    case: Case, kill: Kill, seen: bool, obstacle: str
) -> None:
    rest, view, limits = case
    basis = Basis(rest, view if seen else None, limits, kill, NOW_MS, obstacle)
    decision = decide_on(basis)

    text = encode(basis, decision)
    again, recorded = decode(text)

    assert (again, recorded) == (basis, decision)
    assert encode(again, decide_on(again)) == text
    for read, written in zip((*again[:3], recorded), (*basis[:3], decision), strict=True):
        assert [type(part) for part in read or ()] == [type(part) for part in written or ()]


def test_card_s_hold_is_one_line_of_exact_integers() -> None:
    basis = Basis(remainder(policy=Policy.HOLD), book(), Limits(), Kill.OFF, NOW_MS)

    assert encode(basis, decide_on(basis)) == (
        '[1,["BUY",620000,620000,200000000,250000000,403225806,250000000,"hold",false,null,0,0,0],'
        "[[[610000,2000000000]],[[630000,2000000000]],10000,5000000,1746770100000,null,true,"
        '"open",null],["hold",5000000,3,true,5,"contra",1500,5000,5,120,null],"off",1746770100000,"",'
        '["HOLD","HOLD_REMAINDER",7,"hold",[],1260000000000000,10000,10000,null,null,null,false,""]]'
    )


def test_obstacle_turns_a_chase_into_the_hold_of_row_10_and_nothing_else() -> None:
    chase = Basis(remainder(policy=Policy.CHASE), book(), Limits(), Kill.OFF, NOW_MS)
    hold = changed(chase, remainder=remainder(policy=Policy.HOLD), obstacle="it is stopped")

    held = decide_on(changed(chase, obstacle="it is stopped"))

    assert decide_on(chase).action is Action.CHASE
    assert (held.action, held.row, held.note) == (Action.HOLD, 10, "it is stopped")
    assert held.warnings == (Reason.NOT_REPOSTABLE,)
    assert (held.reason, held.price_micro, held.size_micro, held.cap_micro) == (
        Reason.HOLD_REMAINDER,
        None,
        None,
        None,
    )
    assert decide_on(hold) == decide(*hold[:5])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[2,[]]", "format 2; this version reads format 1"),
        ("[1,[]]", "no decision with its inputs"),
        ("nothing", "no decision with its inputs"),
        ('[1,["BUY"],null,[],"off",0,"",[]]', "no decision with its inputs"),
    ],
)
def test_text_that_is_none_says_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decode(text)
