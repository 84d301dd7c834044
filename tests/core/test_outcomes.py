"""What an answer of the exchange proves: every row of the three tables, and whatever else may come."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytraders_pfh.core.outcomes import (
    CancelAnswer,
    CancelVerdict,
    OrderRecord,
    PostAnswer,
    PostVerdict,
    RecordVerdict,
    judge_cancel,
    judge_post,
    judge_record,
)

ID, OTHER = "0x" + "c" * 64, "0x" + "d" * 64


def rows(judge: Any) -> list[str]:
    """The first cells of a judge's table."""
    cells = re.findall(r"^ *\| (.+?) *\| .*\|$", judge.__doc__, re.MULTILINE)
    return [cell for cell in cells if cell != "answer"]


def cancelled(
    *canceled: str, status: int | None = 200, from_matching: bool = True, **not_canceled: str
) -> CancelAnswer:
    """An answer to a cancel; ours in `not_canceled` is spelled `ours="reason"`."""
    refused = {ID if name == "ours" else name: why for name, why in not_canceled.items()}
    return CancelAnswer(status, frozenset(canceled), refused, from_matching)


def unread(status: int | None, *, from_matching: bool = True) -> CancelAnswer:
    return CancelAnswer(status, from_matching=from_matching)


NOT_ANSWERED = "none, 5xx, 425, a body that cannot be read"
CANCELS = [
    ("the host held the request back", CancelAnswer(503, sent=False), "alive"),
    ("the host held the request back", CancelAnswer(None, sent=False), "alive"),
    (NOT_ANSWERED, unread(None), "unknown"),
    (NOT_ANSWERED, unread(500), "unknown"),
    (NOT_ANSWERED, unread(503), "unknown"),
    (NOT_ANSWERED, unread(599), "unknown"),
    (NOT_ANSWERED, unread(425), "unknown"),
    (NOT_ANSWERED, unread(200), "unknown"),
    (NOT_ANSWERED, CancelAnswer(200, frozenset({ID}), None), "unknown"),
    (NOT_ANSWERED, CancelAnswer(200, None, {}), "unknown"),
    (NOT_ANSWERED, cancelled(ID, status=500), "unknown"),
    (NOT_ANSWERED, cancelled(ID, status=None), "unknown"),
    (NOT_ANSWERED, cancelled(ID, status=204), "unknown"),
    (NOT_ANSWERED, cancelled(ID, status=302), "unknown"),
    ("429 with the venue's own headers", unread(429, from_matching=False), "alive"),
    ("429 without them", unread(429), "unknown"),
    ("any other 4xx", unread(400), "alive"),
    ("any other 4xx", unread(401), "alive"),
    ("any other 4xx", unread(404), "alive"),
    ("any other 4xx", cancelled(ID, status=403), "alive"),
    ("id in both lists, or in neither", cancelled(ID, ours="already canceled"), "unknown"),
    ("id in both lists, or in neither", cancelled(), "unknown"),
    ("id in both lists, or in neither", cancelled(OTHER, x="not found"), "unknown"),
    ("id in `canceled`", cancelled(ID), "dead"),
    ("id in `canceled`", cancelled(OTHER, ID, x="not found"), "dead"),
    ("id in `not_canceled`, already cancelled or matched", cancelled(ours="already matched"), "ask"),
    (
        "id in `not_canceled`, already cancelled or matched",
        cancelled(ours="the order can't be found - already Canceled or matched"),
        "ask",
    ),
    ("id in `not_canceled`, already cancelled or matched", cancelled(ours="Order not found"), "ask"),
    ("id in `not_canceled`, already cancelled or matched", cancelled(OTHER, ours="ALREADY CANCELLED"), "ask"),
    ("id in `not_canceled`, any other reason (a delay)", cancelled(ours="order is delayed"), "alive"),
    ("id in `not_canceled`, any other reason (a delay)", cancelled(ours=""), "alive"),
]


@pytest.mark.parametrize(("row", "answer", "verdict"), CANCELS)
def test_what_an_answer_to_a_cancel_proves(row: str, answer: CancelAnswer, verdict: str) -> None:
    assert row in rows(judge_cancel)
    assert judge_cancel(ID, answer) is CancelVerdict(verdict)


def accepted(**changes: Any) -> PostAnswer:
    return PostAnswer(**({"status": 200, "success": True, "order_id": ID, "order_status": "live"} | changes))


FIRST, AGAIN = False, True
POST_NOT_ANSWERED = "none, 5xx, 425, a body that cannot be read"
REFUSALS = "any other 4xx, or 200 with success false: first attempt"
NO_ID = "200, success, error text, no id (2.1): first attempt"
SAME_AGAIN = "the same after an attempt in doubt"
ANYTHING_ELSE = "200, success, anything else (no id, another id)"
POSTS = [
    ("the host held it back, first attempt", PostAnswer(503, sent=False), FIRST, "refused"),
    ("the host held it back, first attempt", PostAnswer(None, sent=False), FIRST, "refused"),
    (SAME_AGAIN, PostAnswer(503, sent=False), AGAIN, "unknown"),
    (POST_NOT_ANSWERED, PostAnswer(None), FIRST, "unknown"),
    (POST_NOT_ANSWERED, PostAnswer(None, error="Duplicated."), FIRST, "unknown"),
    (POST_NOT_ANSWERED, PostAnswer(500), FIRST, "unknown"),
    (POST_NOT_ANSWERED, PostAnswer(502), AGAIN, "unknown"),
    (POST_NOT_ANSWERED, PostAnswer(425), FIRST, "unknown"),
    (POST_NOT_ANSWERED, PostAnswer(200), FIRST, "unknown"),
    (POST_NOT_ANSWERED, accepted(status=500), FIRST, "unknown"),
    (POST_NOT_ANSWERED, accepted(status=None), FIRST, "unknown"),
    (POST_NOT_ANSWERED, accepted(status=201), FIRST, "unknown"),
    (
        "429 with the venue's own headers, first attempt",
        PostAnswer(429, from_matching=False),
        FIRST,
        "refused",
    ),
    ("429 without them", PostAnswer(429), FIRST, "unknown"),
    ("429 without them", PostAnswer(429), AGAIN, "unknown"),
    (
        '400 "Duplicated."',
        PostAnswer(400, error=f"order {ID} is invalid. Duplicated."),
        FIRST,
        "arrived_before",
    ),
    ('400 "Duplicated."', PostAnswer(400, error="DUPLICATED"), AGAIN, "arrived_before"),
    ('400 "Duplicated."', PostAnswer(200, success=False, error="Duplicated."), AGAIN, "arrived_before"),
    (REFUSALS, PostAnswer(400, error="not enough balance"), FIRST, "refused"),
    (REFUSALS, PostAnswer(401), FIRST, "refused"),
    (REFUSALS, PostAnswer(404), FIRST, "refused"),
    (REFUSALS, PostAnswer(200, success=False, error="Insufficient balance"), FIRST, "refused"),
    (REFUSALS, PostAnswer(200, success=False), FIRST, "refused"),
    (REFUSALS, accepted(success=False, order_status=""), FIRST, "refused"),
    (REFUSALS, accepted(success=False, error="order crosses the book"), FIRST, "refused"),
    (NO_ID, PostAnswer(200, success=True, error="post-only mode"), FIRST, "refused"),
    (SAME_AGAIN, PostAnswer(400, error="not enough balance"), AGAIN, "unknown"),
    (SAME_AGAIN, PostAnswer(429, from_matching=False), AGAIN, "unknown"),
    (SAME_AGAIN, PostAnswer(200, success=False, error="Insufficient balance"), AGAIN, "unknown"),
    (SAME_AGAIN, PostAnswer(200, success=True, error="post-only mode"), AGAIN, "unknown"),
    ("200, success, our id, no error, a status of acceptance", accepted(), FIRST, "accepted"),
    ("200, success, our id, no error, a status of acceptance", accepted(), AGAIN, "accepted"),
    (
        "200, success, our id, no error, a status of acceptance",
        accepted(order_status="matched"),
        FIRST,
        "accepted",
    ),
    (
        "200, success, our id, no error, a status of acceptance",
        accepted(order_status="delayed"),
        FIRST,
        "accepted",
    ),
    (
        "200, success, our id, no error, a status of acceptance",
        accepted(order_status="unmatched"),
        FIRST,
        "accepted",
    ),
    ("200, the same but with success false: it contradicts", accepted(success=False), FIRST, "unknown"),
    ("200, the same but with success false: it contradicts", accepted(success=False), AGAIN, "unknown"),
    (ANYTHING_ELSE, accepted(order_id=""), FIRST, "unknown"),
    (ANYTHING_ELSE, accepted(order_id=OTHER), FIRST, "unknown"),
    (ANYTHING_ELSE, accepted(order_id=OTHER, error="?"), FIRST, "unknown"),
    (ANYTHING_ELSE, accepted(error="something"), FIRST, "unknown"),
    (ANYTHING_ELSE, accepted(order_status=""), FIRST, "unknown"),
    (ANYTHING_ELSE, accepted(order_status="LIVE"), FIRST, "unknown"),
    (ANYTHING_ELSE, accepted(order_status="killed"), FIRST, "unknown"),
]


@pytest.mark.parametrize(("row", "answer", "again", "verdict"), POSTS)
def test_what_an_answer_to_a_post_proves(row: str, answer: PostAnswer, again: bool, verdict: str) -> None:
    assert row in rows(judge_post)
    assert judge_post(ID, answer, attempted_before=again) is PostVerdict(verdict)


def record(
    status: str, size: int | None = 10, matched: int | None = 0, http: int | None = 200
) -> OrderRecord:
    return OrderRecord(http, status, size, matched)


ALIVE_WORDS = "LIVE, DELAYED, UNMATCHED"
CLOSED_WORDS = "MATCHED, CANCELED…, INVALID"
UNREADABLE = "not 200, a body or a size that cannot be read"
RECORDS = [
    ("404", record("", None, None, 404), "absent"),
    ("404", record("LIVE", http=404), "absent"),
    (UNREADABLE, record("LIVE", http=None), "unknown"),
    (UNREADABLE, record("LIVE", http=500), "unknown"),
    (UNREADABLE, record("CANCELED", http=401), "unknown"),
    (UNREADABLE, record("CANCELED", http=429), "unknown"),
    (UNREADABLE, record("LIVE", size=None), "unknown"),
    (UNREADABLE, record("MATCHED", matched=None), "unknown"),
    (ALIVE_WORDS, record("LIVE"), "alive"),
    (ALIVE_WORDS, record("ORDER_STATUS_LIVE", matched=4), "alive"),
    (ALIVE_WORDS, record("live"), "alive"),
    (ALIVE_WORDS, record("DELAYED"), "alive"),
    (ALIVE_WORDS, record("order_status_unmatched"), "alive"),
    ("MATCHED with less matched than its size", record("MATCHED", matched=9), "closed"),
    (CLOSED_WORDS, record("MATCHED", matched=10), "closed"),
    (CLOSED_WORDS, record("ORDER_STATUS_MATCHED", matched=10), "closed"),
    (CLOSED_WORDS, record("CANCELED"), "closed"),
    (CLOSED_WORDS, record("CANCELLED"), "closed"),
    (CLOSED_WORDS, record("ORDER_STATUS_CANCELED_MARKET_RESOLVED"), "closed"),
    (CLOSED_WORDS, record("INVALID"), "closed"),
    ("any other word", record(""), "unknown"),
    ("any other word", record("PENDING"), "unknown"),
    ("any other word", record("ORDER_STATUS_"), "unknown"),
    ("any other word", record("NOT_LIVE"), "unknown"),
]


@pytest.mark.parametrize(("row", "answer", "verdict"), RECORDS)
def test_what_an_orders_record_proves(row: str, answer: OrderRecord, verdict: str) -> None:
    assert row in rows(judge_record)
    assert judge_record(answer) is RecordVerdict(verdict)


@pytest.mark.parametrize(
    ("judge", "cases"), [(judge_cancel, CANCELS), (judge_post, POSTS), (judge_record, RECORDS)]
)
def test_every_row_of_the_table_is_tested(judge: Any, cases: list[Any]) -> None:
    assert set(rows(judge)) == {case[0] for case in cases}


# Whatever else may come

statuses = st.none() | st.integers(100, 599) | st.sampled_from([200, 400, 404, 425, 429, 500])
texts = st.text(max_size=10) | st.sampled_from(["live", "matched", "Duplicated.", "already matched", ID])


@given(
    st.builds(
        CancelAnswer,
        statuses,
        st.none() | st.frozensets(st.sampled_from([ID, OTHER])),
        st.none() | st.dictionaries(st.sampled_from([ID, OTHER]), texts),
        st.booleans(),
    )
)
def test_nothing_but_the_name_in_the_list_of_a_200_proves_a_cancel(answer: CancelAnswer) -> None:
    if judge_cancel(ID, answer) is CancelVerdict.DEAD:
        assert answer.status == 200
        assert answer.canceled is not None
        assert ID in answer.canceled
        assert ID not in (answer.not_canceled or {})


@given(
    st.builds(PostAnswer, statuses, st.none() | st.booleans(), texts, texts, texts, st.booleans()),
    st.booleans(),
)
def test_nothing_but_our_own_id_in_a_clean_200_proves_a_post_and_doubt_is_never_refusal(
    answer: PostAnswer, again: bool
) -> None:
    verdict = judge_post(ID, answer, attempted_before=again)
    if verdict is PostVerdict.ACCEPTED:
        assert (answer.status, answer.success, answer.error, answer.order_id) == (200, True, "", ID)
    if verdict is PostVerdict.REFUSED:
        assert not again
        assert answer.status is not None
        assert answer.status < 500


@given(
    st.builds(OrderRecord, statuses, texts, st.none() | st.integers(), st.none() | st.integers(), st.none())
)
def test_a_record_proves_life_or_death_only_in_a_whole_200(answer: OrderRecord) -> None:
    if judge_record(answer) in (RecordVerdict.ALIVE, RecordVerdict.CLOSED):
        assert answer.http_status == 200
        assert answer.size_micro is not None
        assert answer.matched_micro is not None
