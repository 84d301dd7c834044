"""Whatever comes in at the door is an order or is refused with a sentence; nothing else happens."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytraders_pfh.host.admin import Order, OrderRefused
from polytraders_pfh.host.admin.orders import COMMANDS
from polytraders_pfh.host.page.forms import order_in
from polytraders_pfh.host.page.guard import _hostname

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ALMOST = st.fixed_dictionaries(
    {},
    optional={
        "command": st.sampled_from(COMMANDS) | JSON,
        "options": st.dictionaries(st.sampled_from(["to", "bot", "A", ""]) | st.text(max_size=5), JSON)
        | JSON,
        "by": JSON,
        "reason": st.text(max_size=300) | JSON,
        "more": JSON,
    },
)


@given(members=JSON | ALMOST)
def test_any_json_is_an_order_of_checked_words_or_refused(members: Any) -> None:
    try:
        order = Order.read(members, "uid 1")
    except OrderRefused:
        return
    assert order.command in COMMANDS
    texts = [*order.arguments().values(), *order.options]
    assert all(type(text) is str and len(text) <= 200 and (text.isprintable() or not text) for text in texts)
    assert json.loads(json.dumps(order.arguments())) == order.arguments()


WHAT = ("kill", "reset-kill", "mode", "cancel-remainder", "status", "bot")


@given(
    form=st.dictionaries(
        st.sampled_from(["what", "to", "promote", "bot", "order", "by", "reason", "command", "x"]),
        st.sampled_from(WHAT) | st.text(max_size=20),
    )
)
def test_any_form_asks_for_one_of_the_page_s_own_orders_or_is_refused(form: dict[str, str]) -> None:
    try:
        order = order_in(form)
    except OrderRefused:
        return
    assert form["what"] in {"kill", "reset-kill", "mode", "cancel-remainder"}
    assert order.options.get("command") in {None, "cancel-remainder"}
    assert set(order.options) <= {"to", "promote", "bot", "order", "command"}


@given(host=st.text(max_size=40))
def test_no_host_header_breaks_the_guard(host: str) -> None:
    assert isinstance(_hostname(host), str)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1@evil.example", "evil.example#127.0.0.1", "127.0.0.1.", "127.1", "0x7f000001", "localhost."],
)
def test_a_name_that_only_resembles_this_machine_s_is_not_one(host: str) -> None:
    assert _hostname(host) not in {"127.0.0.1", "localhost", "::1"}
