"""The life of a remainder as a table: closed, connected, and without a road from doubt to a new order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytraders_pfh.core.lifecycle import MAY_FILL, TRANSITIONS, IllegalStep, State, Step, advance, diagram

EDGES = [(state, step, target) for state, edges in TRANSITIONS.items() for step, target in edges.items()]
NOT_EDGES = [(state, step) for state in State for step in Step if step not in TRANSITIONS[state]]
PROOF = {
    Step.CANCEL_PROVEN,
    Step.CANCEL_REFUSED,
    Step.FOUND_ALIVE,
    Step.FOUND_CLOSED,
    Step.FOUND_ABSENT,
}
DOUBT = (State.CANCEL_SENT, State.CANCEL_UNKNOWN)


def reachable(start: State, without: set[Step] | None = None) -> set[State]:
    """The states that can be reached from `start`, itself included, without these steps."""
    seen, todo = {start}, [start]
    while todo:
        for step, target in TRANSITIONS[todo.pop()].items():
            if target not in seen and step not in (without or set()):
                seen.add(target)
                todo.append(target)
    return seen


def test_the_table_has_a_row_for_every_state_and_leads_only_to_states() -> None:
    assert list(TRANSITIONS) == list(State)
    assert {target for _, _, target in EDGES} <= set(State)


def test_every_state_can_be_reached_from_a_resting_order() -> None:
    assert reachable(State.RESTING) == set(State)


def test_the_end_can_be_reached_from_every_state() -> None:
    assert [state for state in State if State.CLOSED not in reachable(state)] == []


def test_only_closed_is_final() -> None:
    assert [state for state, edges in TRANSITIONS.items() if not edges] == [State.CLOSED]


def test_every_step_stands_somewhere_in_the_table() -> None:
    assert {step for _, step, _ in EDGES} == set(Step)


@pytest.mark.parametrize(("state", "step", "target"), EDGES)
def test_every_edge_of_the_table_can_be_taken(state: State, step: Step, target: State) -> None:
    assert advance(state, step) is target


@pytest.mark.parametrize(("state", "step"), NOT_EDGES)
def test_every_other_step_is_illegal_and_changes_nothing(state: State, step: Step) -> None:
    before = repr(TRANSITIONS)

    with pytest.raises(IllegalStep) as caught:
        advance(state, step)

    possible = ", ".join(TRANSITIONS[state]) or "none, since the state is final"
    assert str(caught.value) == f"step {step.value} came in state {state.value}; possible are {possible}"
    assert repr(TRANSITIONS) == before


# Rule 1: from a sent cancel the only way on is proof


@pytest.mark.parametrize("state", DOUBT)
def test_from_a_cancel_that_was_sent_nothing_is_posted_without_proof(state: State) -> None:
    unproven = reachable(state, without=PROOF)

    assert unproven == set(DOUBT)
    assert not {State.PROVEN_DEAD, State.RECONCILED, State.POST_RECORDED, State.POST_SENT} & unproven


@pytest.mark.parametrize("state", [*DOUBT, State.RESTING])
def test_no_edge_leads_from_a_live_order_or_a_sent_cancel_straight_to_a_post(state: State) -> None:
    posting = {State.RECONCILED, State.POST_RECORDED, State.POST_SENT, State.POST_UNKNOWN}

    assert not posting & set(TRANSITIONS[state].values())


def test_an_order_is_proven_dead_only_by_proof() -> None:
    assert {(state, step) for state, step, target in EDGES if target is State.PROVEN_DEAD} == {
        (State.CANCEL_SENT, Step.CANCEL_PROVEN),
        (State.CANCEL_UNKNOWN, Step.CANCEL_PROVEN),
        (State.CANCEL_UNKNOWN, Step.FOUND_CLOSED),
    }


# Rule 2: doubt ends by asking


def test_a_cancel_in_doubt_ends_only_by_proof_or_by_asking_again() -> None:
    assert set(TRANSITIONS[State.CANCEL_UNKNOWN]) == {
        Step.CANCEL_STARTED,
        Step.CANCEL_PROVEN,
        Step.FOUND_ALIVE,
        Step.FOUND_CLOSED,
    }


def test_a_post_in_doubt_ends_only_by_asking_or_by_the_same_bytes_again() -> None:
    """SPEC 5.5: "re-post the same signed bytes at most"; nothing newly recorded comes from here."""
    assert TRANSITIONS[State.POST_UNKNOWN] == {
        Step.POST_STARTED: State.POST_SENT,
        Step.FOUND_ALIVE: State.RESTING,
        Step.FOUND_CLOSED: State.CLOSED,
        Step.FOUND_ABSENT: State.CLOSED,
    }


@pytest.mark.parametrize("state", [State.POST_SENT, State.POST_UNKNOWN])
def test_from_a_post_that_was_sent_no_second_order_is_recorded_before_the_first_is_proven_dead(
    state: State,
) -> None:
    dead = {Step.CANCEL_PROVEN, Step.FOUND_CLOSED}

    assert State.POST_RECORDED not in reachable(state, without=dead)


# Rule 3: write before acting


def test_a_post_is_sent_only_after_it_was_recorded() -> None:
    assert {state for state, _, target in EDGES if target is State.POST_SENT} == {
        State.POST_RECORDED,
        State.POST_UNKNOWN,
    }
    assert {(state, step) for state, step, target in EDGES if target is State.POST_RECORDED} == {
        (State.RECONCILED, Step.POST_RECORDED)
    }
    assert {(state, step) for state, step, target in EDGES if target is State.RECONCILED} == {
        (State.PROVEN_DEAD, Step.SIZE_READ)
    }


def test_the_kill_switch_holds_back_every_post_that_was_not_sent_yet() -> None:
    held = {state for state, step, target in EDGES if step is Step.HELD_BACK and target is State.CLOSED}

    assert held == {State.PROVEN_DEAD, State.RECONCILED, State.POST_RECORDED}


# Where a live order may be


def test_the_states_with_a_live_order_are_those_between_resting_or_sent_and_proof() -> None:
    assert {
        State.RESTING,
        State.CANCEL_SENT,
        State.CANCEL_UNKNOWN,
        State.POST_SENT,
        State.POST_UNKNOWN,
    } == MAY_FILL


def test_an_order_stops_being_live_only_by_proof_or_by_its_own_end_or_by_refusal() -> None:
    steps = {step for state, step, target in EDGES if state in MAY_FILL and target not in MAY_FILL}

    assert steps == {
        Step.CANCEL_PROVEN,
        Step.FOUND_CLOSED,
        Step.FOUND_ABSENT,
        Step.ORDER_CLOSED,
        Step.POST_REFUSED,
    }


def test_an_order_begins_to_be_live_only_by_being_sent() -> None:
    assert {step for state, step, target in EDGES if state not in MAY_FILL and target in MAY_FILL} == {
        Step.POST_STARTED
    }


@given(st.lists(st.sampled_from(Step), max_size=40))
def test_along_every_walk_two_posts_are_parted_by_a_proof_that_the_first_is_dead(steps: list[Step]) -> None:
    state, alive = State.RESTING, True
    for step in steps:
        if step not in TRANSITIONS[state]:
            continue
        if step is Step.POST_RECORDED:
            assert not alive
        if step is Step.POST_STARTED:
            alive = True
        state = advance(state, step)
        if step in (
            Step.CANCEL_PROVEN,
            Step.FOUND_CLOSED,
            Step.FOUND_ABSENT,
            Step.ORDER_CLOSED,
            Step.POST_REFUSED,
        ):
            alive = False
        assert alive == (state in MAY_FILL)


# The drawing


def test_the_diagram_has_every_edge_and_no_other() -> None:
    lines = diagram().splitlines()
    drawn = set()
    for line in lines[2:]:
        if line.endswith("--> [*]"):
            continue
        source, _, rest = line.strip().partition(" --> ")
        target, _, steps = rest.partition(": ")
        drawn |= {(State(source), Step(step.strip().upper()), State(target)) for step in steps.split(",")}

    assert drawn == set(EDGES)


def test_the_diagram_begins_at_resting_and_ends_at_closed() -> None:
    lines = diagram().splitlines()

    assert lines[:2] == ["stateDiagram-v2", "    [*] --> RESTING"]
    assert [line for line in lines if line.endswith("[*]")] == ["    CLOSED --> [*]"]
    assert "    POST_UNKNOWN --> CLOSED: found_closed, found_absent" in lines
