"""Whatever the bytes, a parser answers with a message or a WireError."""

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polytraders_hookspecs import (
    BotHealth,
    CancelReplace,
    CommandResult,
    DecisionReport,
    DustRemainder,
    ExecutionReport,
    KillSwitchSignal,
    OrderClosed,
    OrderFacts,
    PartialFill,
    WireError,
    events,
    read_json,
)
from polytraders_hookspecs.wire import WireModel, print_json
from support.card import card, card_bytes

MODELS: tuple[type[WireModel], ...] = (
    PartialFill,
    OrderClosed,
    DecisionReport,
    KillSwitchSignal,
    ExecutionReport,
    CancelReplace,
    DustRemainder,
    OrderFacts,
    BotHealth,
    CommandResult,
    events.BookSnapshot,
)
VALID = (
    card_bytes("partial_input"),
    card_bytes("execution_report_decision"),
    b'{"active":true,"ts_ms":1,"reason":"r"}',
    b'{"trace_id":"t","side":"BUY","intended_size_usd":450,"limit_price":0.63,"strategy":{"id":"s"}}',
)
BITS = (
    b'"',
    b"\\ud800",
    b"\\",
    b"{",
    b"[",
    b"}",
    b",",
    b":",
    b"e",
    b"-",
    b"NaN",
    b"\xff",
    b"0" * 50,
    b"\0",
    b"1e99",
)
FIELDS = sorted({name for model in MODELS for name in model.model_fields})

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["BUY", "PARTIAL", "0x" + "c" * 64, "0.5", "pUSD", "hold"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner, max_size=6)
    ),
    max_leaves=20,
)


def only_wire_errors(body: bytes) -> None:
    for model in MODELS:
        with contextlib.suppress(WireError):
            message = model.from_json(body)
            assert model.from_json(message.to_json()) == message


@given(st.binary(max_size=400))
def test_arbitrary_bytes_raise_nothing_but_wire_errors(body: bytes) -> None:
    only_wire_errors(body)


@given(st.text(max_size=200))
def test_arbitrary_text_raises_nothing_but_wire_errors(text: str) -> None:
    only_wire_errors(text.encode("utf-8", "surrogatepass"))


@given(json_values)
def test_arbitrary_json_raises_nothing_but_wire_errors(value: Any) -> None:
    only_wire_errors(json.dumps(value).encode())


@given(
    st.sampled_from(VALID),
    st.lists(
        st.tuples(st.integers(0, 500), st.integers(0, 3), st.sampled_from(BITS) | st.binary(max_size=3))
    ),
)
def test_mutated_messages_raise_nothing_but_wire_errors(
    body: bytes, cuts: list[tuple[int, int, bytes]]
) -> None:
    for at, drop, put in cuts:
        body = body[:at] + put + body[at + drop :]
    only_wire_errors(body)


def told_by_the_standard_library(body: bytes) -> Any:
    """What Python's own parser reads, fractions as Decimal; it takes NaN where we take it or refuse it."""
    return json.loads(body.decode("utf-8"), parse_float=Decimal, parse_constant=str)


@given(
    st.sampled_from(VALID) | json_values.map(lambda value: json.dumps(value).encode()),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 2), st.sampled_from(BITS)), max_size=3),
)
def test_what_is_read_is_what_any_other_parser_reads(body: bytes, cuts: list[tuple[int, int, bytes]]) -> None:
    """Two readers that see two amounts in one signed body would be a way in."""
    for at, drop, put in cuts:
        body = body[:at] + put + body[at + drop :]
    try:
        value = read_json(body)
    except WireError:
        return
    if b"NaN" not in body and b"Infinity" not in body:
        assert print_json(value) == print_json(told_by_the_standard_library(body))


printable = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(printable)
def test_every_exact_value_that_is_printed_is_read_back(value: Any) -> None:
    assert read_json(print_json(value).encode("ascii")) == value


@given(st.sampled_from(sorted(card("partial_input"))), json_values)
def test_an_event_with_one_arbitrary_value_raises_nothing_but_wire_errors(field: str, value: Any) -> None:
    only_wire_errors(json.dumps(card("partial_input") | {field: value}).encode())


@given(st.dictionaries(st.sampled_from(FIELDS), st.from_type(object) | st.floats(), max_size=6))
def test_arbitrary_python_members_raise_nothing_but_wire_errors(members: dict[str, Any]) -> None:
    for model in MODELS:
        with contextlib.suppress(WireError):
            model.from_members(members)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 65_536,
        b'{"a":' * 13_000,
        b"1" * 65_536,
        b"[" + b"1," * 32_700 + b"1]",
        b"0." + b"0" * 65_000 + b"1",
        b'{"filled_usd":1e-65000}',
        b'{"filled_usd":0e-999999999999}',
        b'{"filled_usd":' + b"9" * 4_200 + b"}",
        b"[" + b",".join([b"1" * 4_200] * 15) + b"]",
        b'"' + b"\\u0000" * 10_000 + b'"',
        b'"' + b"\\ud83d\\ude00" * 5_000 + b'"',
        b'{"order_id":"0x' + b"c" * 65_000 + b'"}',
        b"{" + b",".join(b'"k%d":1' % n for n in range(6_000)) + b"}",
        b"{" + b",".join(b'"k%d":1' % n for n in range(6_000)) + b',"k0":1}',
        b" " * 65_536,
        b'"' + b"\\" * 65_000,
        b"[]" * 33 + b'"' + b'\\"' * 32_000,
        b"{}" * 33 + b'"' * 65_001,
        b"[]" * 33 + b'"x' * 32_000,
    ],
    ids=range(19),
)
def test_the_worst_bodies_are_refused(body: bytes) -> None:
    """That this costs no square of their size is held in tests/adversarial."""
    with pytest.raises(WireError):
        PartialFill.from_json(body)
