"""Bytes drawn for parsers: four in ten whole messages, four in ten changed ones, the rest anything."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

_HERE = Path(__file__).parent
WHOLE = tuple(
    path.read_bytes()
    for path in sorted([*(_HERE / "corpus" / "bytes").iterdir(), *(_HERE.parent / "payloads").iterdir()])
)
NAMES = tuple(
    sorted(
        {
            name
            for body in WHOLE
            if body.startswith(b"{")
            for name in json.loads(body, parse_float=str, strict=False)
        }
    )
)
VALUES = (
    *("null", "true", "false", "NaN", "-Infinity", "0", "-0", "-1", "1e999", "1e99999999999999999999"),
    *("0e-999999999", "1e-7", "0.1234567", "1.0", "999999999999.999999", "1000000000000"),
    *("9223372036854775808", "1" * 4_300, "1" * 5_000, '"' + "9" * 5_000 + '"', '""', '"0"', '"1"', '"0.5"'),
    *('"-1"', '"1e3"', '"1_000"', '" 1"', '"0x1"', '"NaN"', '"\\u0661"', '"\\uff11"', '"\\ud800"'),
    *('"\\u0000"', '"BUY"', '"buy"', '"PARTIAL"', '"MATCHED"', '"1969-12-31"', '"0001-01-01T00:00:00+23:59"'),
    *('"9999-12-31T23:59:59-23:59"', "[]", "{}", "[[]]", "[{}]", "[null]", '{"a":1,"a":2}', '[1,"1",{}]'),
    *("[" * 40 + "]" * 40, '{"a":' * 40 + "1" + "}" * 40),
)
BITS = (
    *(value.encode() for value in VALUES),
    *(bytes([byte]) for byte in b'"\\{}[],:-.eE0 \n\0\xff'),
    b"\xed\xa0\x80",
    b"\xc0\xaf",
)

_values = st.sampled_from(VALUES)


def _with_members(body: bytes, members: dict[str, str]) -> bytes:
    """Put JSON texts in the place of a message's members, or beside them."""
    known = json.loads(body, parse_float=str, strict=False) if body.startswith(b"{") else {}
    texts = {name: json.dumps(value) for name, value in known.items()} | members
    return ("{" + ",".join(f'"{name}":{text}' for name, text in texts.items()) + "}").encode()


def _spliced(body: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
    for at, drop, put in cuts:
        where = at % (len(body) + 1)
        body = body[:where] + put + body[where + drop :]
    return body


_whole = st.sampled_from(WHOLE)
_one_field = st.builds(
    _with_members, _whole, st.dictionaries(st.sampled_from(NAMES), _values, min_size=1, max_size=2)
)
_cut = st.tuples(st.integers(0, 70_000), st.integers(0, 9), st.sampled_from(BITS) | st.binary(max_size=3))
_changed = st.builds(_spliced, _whole, st.lists(_cut, min_size=1, max_size=2))
_json: st.SearchStrategy[Any] = st.recursive(
    _values,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda texts: "[" + ",".join(texts) + "]")
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6).map(
            lambda members: "{" + ",".join(f'"{name}":{text}' for name, text in members.items()) + "}"
        )
    ),
    max_leaves=12,
)

hostile_bytes: st.SearchStrategy[bytes] = st.one_of(
    _one_field,
    _one_field,
    _changed,
    _changed,
    st.binary(max_size=300) | _json.map(str.encode),
)
