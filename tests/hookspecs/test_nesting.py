"""How deep a text nests, against the depth that a parser sees."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polytraders_hookspecs.nesting import MAX_DEPTH, nests_too_deep

values = st.recursive(
    st.none() | st.integers() | st.text('"\\[]{}a', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('"\\[]{}a', max_size=4), inner, max_size=3)
    ),
    max_leaves=30,
)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((depth_of(member) for member in value.values()), default=0)
    return 1 + max((depth_of(member) for member in value), default=0) if isinstance(value, list) else 0


@pytest.mark.parametrize("opened", ["[", '{"a":'])
@pytest.mark.parametrize(("depth", "deep"), [(MAX_DEPTH, False), (MAX_DEPTH + 1, True), (10_000, True)])
def test_the_limit_is_the_deepest_that_passes(opened: str, depth: int, deep: bool) -> None:
    text = opened * depth + "1" + ("]" if opened == "[" else "}") * depth

    assert nests_too_deep(text) is deep
    assert nests_too_deep(text.encode()) is deep


@given(values, st.integers(0, 6))
def test_the_depth_is_the_parsers_whatever_stands_in_the_texts(value: Any, limit: int) -> None:
    for text in (json.dumps(value), json.dumps(value, indent=1, ensure_ascii=False)):
        assert nests_too_deep(text, limit) is (depth_of(value) > limit)
        assert nests_too_deep(text.encode(), limit) is (depth_of(value) > limit)


@pytest.mark.parametrize(
    "text",
    [
        "[]" * 40 + '"' + '\\"' * 100_000,
        "[]" * 40 + '"' * 100_001,
        '"' + "[" * 200_000,
        "[]" * 40 + "\\" * 200_000,
    ],
)
def test_a_text_that_never_ends_is_looked_at_once(text: str) -> None:
    """A pattern that tried again at every quote would take minutes here."""
    begun = time.perf_counter()

    assert nests_too_deep(text) is nests_too_deep(text.encode()) is False
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize("text", ["", "]" * 1_000 + "[" * 32, '"[[[', "}{" * 100])
def test_what_is_not_json_is_left_to_the_parser(text: str) -> None:
    assert nests_too_deep(text) is False
