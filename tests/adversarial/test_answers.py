"""Hostile bytes that the exchange answers with: each reader returns or raises its one declared error."""

import os

import pytest
from hypothesis import given, settings
from polytraders_hookspecs import ExchangeReply

from adversarial.drawn import hostile_bytes
from adversarial.parsers import FROM_THE_EXCHANGE, ORDER, read_by
from polytraders_pfh.engine.replies import read_record
from polytraders_pfh.host.payloads import millis

EXAMPLES = int(os.environ.get("PFH_PARSER_EXAMPLES", "10000"))


@pytest.mark.parametrize("part", range(4))  # so that none takes long on a busy machine
@settings(max_examples=EXAMPLES // 4, database=None)
@given(body=hostile_bytes)
def test_drawn_answers_raise_nothing_but_the_declared_error(part: int, body: bytes) -> None:
    read_by(FROM_THE_EXCHANGE, body)


def test_time_that_nobody_can_mean_is_no_time() -> None:
    assert [millis(text) for text in ("9" * 19, "1969-12-31", "0" * 5_000, None, True)] == [None] * 5
    assert millis("9" * 18) == 999_999_999_999_999_999


def test_size_that_is_no_plain_number_is_no_size() -> None:
    for size in (
        "\u0661",
        " 1",
        "1_0",
        "1e2",
        "+1",
        "1.",
        ".5",
        "0x1",
        "1.0000001",
        "5." + "0" * 30 + "1",
    ):
        body = f'{{"id":"{ORDER}","status":"LIVE","original_size":"{size}","size_matched":0}}'.encode()
        record = read_record(ExchangeReply(status=200, body=body), ORDER)
        assert (record.size_micro, record.matched_micro) == (None, 0)
