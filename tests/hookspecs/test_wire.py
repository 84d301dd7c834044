"""Exact JSON in and out: what the card shows is read and printed as it stands, all doubt is refused."""

import json
import re
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polytraders_hookspecs import (
    BotHealth,
    BotManifest,
    CancelReplace,
    DecisionReport,
    ExecutionReport,
    KillSwitchSignal,
    PartialFill,
    Strategy,
    WireError,
    from_micro,
    read_json,
    to_micro,
)
from polytraders_hookspecs.wire import print_json, read_amount, read_figure, read_integer, read_price, shown
from support.card import card, card_bytes, seed

AMOUNT_RULE = (
    "write a plain decimal number, not negative, with at most 12 digits before the point and 6 behind it"
)
PRICE_RULE = "write a decimal number above 0 and below 1 with at most 6 digits behind the point"


def event(**members: str) -> bytes:
    """The card's event with these members' JSON texts in place of its own, or beside them."""
    texts = {name: json.dumps(value) for name, value in card("partial_input").items()} | members
    return ("{" + ",".join(f'"{name}":{text}' for name, text in texts.items()) + "}").encode()


def refusal(body: bytes, model: Any = PartialFill) -> str:
    with pytest.raises(WireError) as caught:
        model.from_json(body)
    return str(caught.value)


# The card's examples


def test_the_example_files_are_the_cards_own() -> None:
    whole = seed()

    assert card("partial_input") == whole["wire_examples"]["input"][0]["payload"]
    assert card("execution_report_output") == whole["wire_examples"]["output"][0]["payload"]
    assert card("execution_report_decision") == whole["decision_output_example"]
    assert card("default_config") == whole["default_config"]
    assert card("reason_codes") == whole["reason_codes"]


def test_the_cards_partial_event_is_read_as_it_stands() -> None:
    assert PartialFill.from_json(card_bytes("partial_input")) == PartialFill(
        order_id="0xcccc3333dddd4444eeee5555ffff6666aaaa7777bbbb8888cccc9999dddd0000",
        status="PARTIAL",
        filled_usd=Decimal(200),
        remaining_usd=Decimal(250),
        original_price=Decimal("0.62"),
        side="BUY",
        collateral="pUSD",
        builder_code="0x706f6c7974726164657273000000000000000000000000000000000000000000",
    )


def test_the_cards_partial_event_prints_the_cards_members_with_their_own_numbers() -> None:
    printed = PartialFill.from_json(card_bytes("partial_input")).to_json()

    assert json.loads(printed, parse_float=str, parse_int=str) == json.loads(
        card_bytes("partial_input"), parse_float=str, parse_int=str
    )


@pytest.mark.parametrize("name", ["execution_report_output", "execution_report_decision"])
def test_the_cards_execution_reports_are_read_and_printed_as_they_stand(name: str) -> None:
    report = ExecutionReport.from_json(card_bytes(name))

    assert json.loads(report.to_json(), parse_float=str, parse_int=str) == json.loads(
        card_bytes(name), parse_float=str, parse_int=str
    )


def test_the_cards_decision_example_prints_in_the_cards_own_order() -> None:
    report = ExecutionReport.from_json(card_bytes("execution_report_decision"))

    assert report.to_json() == json.dumps(card("execution_report_decision"), separators=(",", ":")).encode()


# Exactness


@pytest.mark.parametrize("text", ["0.62", '"0.62"', "0.620", "6.2e-1"])
def test_a_price_is_read_exactly_from_a_number_or_a_text(text: str) -> None:
    assert PartialFill.from_json(event(original_price=text)).original_price == Decimal("0.62")


@pytest.mark.parametrize("text", ["999999999999.999999", '"999999999999.999999"'])
def test_eighteen_digits_survive_where_a_double_would_not(text: str) -> None:
    read = PartialFill.from_json(event(remaining_usd=text)).remaining_usd

    assert read == Decimal("999999999999.999999")
    assert float(read) != read
    assert to_micro(read) == 999_999_999_999_999_999


@given(st.integers(0, 10**18 - 1))
def test_every_amount_round_trips_as_a_number_and_as_a_text(micro: int) -> None:
    amount = from_micro(micro)
    for text in (print_json(amount), json.dumps(print_json(amount))):
        read = PartialFill.from_json(event(filled_usd=text))

        assert to_micro(read.filled_usd) == micro
        assert f'"filled_usd":{print_json(amount)},' in read.print()


@given(st.integers(1, 999_999))
def test_every_price_round_trips(micro: int) -> None:
    price = from_micro(micro)
    read = PartialFill.from_json(event(original_price=print_json(price)))

    assert to_micro(read.original_price) == micro
    assert f'"original_price":{print_json(price)},' in read.print()


@pytest.mark.parametrize(
    ("amount", "micro"),
    [("0", 0), ("0.000001", 1), ("1E+2", 100_000_000), ("1.50", 1_500_000), ("-0.5", -500_000)],
)
def test_an_amount_is_counted_in_millionths(amount: str, micro: int) -> None:
    assert to_micro(Decimal(amount)) == micro


@pytest.mark.parametrize("amount", ["0.0000001", "1." + "0" * 40 + "1", "NaN", "Infinity"])
def test_an_amount_finer_than_millionths_is_not_counted(amount: str) -> None:
    """Forty zeros are beyond the default precision of decimal arithmetic, which would round them away."""
    with pytest.raises(ValueError, match=AMOUNT_RULE):
        to_micro(Decimal(amount))


@pytest.mark.parametrize(
    ("micro", "text"),
    [(250_000_000, "250"), (620_000, "0.62"), (1, "0.000001"), (0, "0"), (-1_500_000, "-1.5")],
)
def test_a_count_of_millionths_is_the_shortest_decimal(micro: int, text: str) -> None:
    assert print_json(from_micro(micro)) == text


def test_a_zero_with_a_sign_or_an_endless_tail_is_just_zero() -> None:
    """`0e-999999999` would print as a gigabyte of zeros."""
    for text in ("-0.0", "0.000000", "0e-999999999", "-0"):
        assert PartialFill.from_json(event(filled_usd=text)).filled_usd.as_tuple() == (0, (0,), 0)


# Refusals


@pytest.mark.parametrize("field", ["filled_usd", "remaining_usd", "original_size_usd"])
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-1", "-1"),
        ("-0.000001", "'-0.000001'"),
        ('"-1"', "'-1' (str)"),
        ('"-0"', "'-0' (str)"),
        ("1e999", "'1E+999'"),
        ("1e12", "'1E+12'"),
        ("1000000000000", "1000000000000"),
        ('"1000000000000"', "'1000000000000' (str)"),
        ("0.1234567", "'0.1234567'"),
        ("1e-7", "'1E-7'"),
        ('"0.1234567"', "'0.1234567' (str)"),
        ('"1.0000000"', "'1.0000000' (str)"),
        ('"NaN"', "'NaN' (str)"),
        ('"Infinity"', "'Infinity' (str)"),
        ('"\u0661"', "'\u0661' (str)"),
        ('"\uff11"', "'\uff11' (str)"),
        ('"1_000"', "'1_000' (str)"),
        ('"1,000"', "'1,000' (str)"),
        ('"1e3"', "'1e3' (str)"),
        ('"+1"', "'+1' (str)"),
        ('"01"', "'01' (str)"),
        ('"1."', "'1.' (str)"),
        ('".5"', "'.5' (str)"),
        ('"0x1"', "'0x1' (str)"),
        ('""', "'' (str)"),
        ('" 1"', "' 1' (str)"),
        ('"1\\n"', "'1\\n' (str)"),
        ("true", "True (bool)"),
        ("false", "False (bool)"),
        ("[1]", "[1] (list)"),
        ("{}", "{} (dict)"),
    ],
)
def test_an_amount_that_breaks_the_rule_is_refused_by_field_value_and_rule(
    field: str, text: str, value: str
) -> None:
    assert refusal(event(**{field: text})) == f"PartialFill.{field} was {value}; {AMOUNT_RULE}"


@pytest.mark.parametrize(
    "text", ["0", "1", "0.0", "1.0", "-0.5", "0.0000001", '"1"', "true", "null", '"0,5"']
)
def test_a_price_outside_0_and_1_is_refused(text: str) -> None:
    message = refusal(event(original_price=text))

    assert message.startswith("PartialFill.original_price was ")
    assert message.endswith(f"; {PRICE_RULE}")


@pytest.mark.parametrize("text", ["1.0", '"1"', "true", "-1", "9223372036854775808", "1e3", "[]"])
def test_a_time_that_is_not_a_whole_number_is_refused(text: str) -> None:
    message = refusal(event(event_ts_ms=text))

    assert message.startswith("PartialFill.event_ts_ms was ")
    assert message.endswith("; write a whole number from 0 to 2^63 - 1")


def test_the_largest_time_is_read() -> None:
    assert PartialFill.from_json(event(event_ts_ms="9223372036854775807")).event_ts_ms == 2**63 - 1


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_have_is_refused(text: str) -> None:
    assert refusal(event(filled_usd=text)) == f"PartialFill.filled_usd was {text!r}; {AMOUNT_RULE}"


@pytest.mark.parametrize("text", ["1e99999999999999999999", "-1e99999999999999999999", "1" * 5000])
def test_a_number_beyond_all_bounds_is_refused_while_it_is_read(text: str) -> None:
    message = refusal(event(filled_usd=text))

    assert message.startswith("a JSON number was ")
    assert message.endswith(AMOUNT_RULE)


@pytest.mark.parametrize("text", ["1" * 4000, "0." + "1" * 50_000, "1e-99999"])
def test_a_number_of_many_digits_is_refused_and_shown_short(text: str) -> None:
    message = refusal(event(filled_usd=text))

    assert message.startswith("PartialFill.filled_usd was ")
    assert message.endswith(AMOUNT_RULE)
    assert len(message) < 250


@pytest.mark.parametrize("text", ["01", "1.", ".5", "+1", "1_000", "\u0661", "0x1", "1e", "--1", "'1'", ""])
def test_a_number_that_json_cannot_spell_is_not_json(text: str) -> None:
    assert refusal(event(filled_usd=text)).startswith("the body was not JSON (")


@pytest.mark.parametrize(
    "body",
    [b'{"a":1,"a":1}', b'{"a":1,"b":{"c":1,"c":2}}', b'{"a":1,"\\u0061":2}', b'[{"x":{"a":1,"b":2,"a":3}}]'],
)
def test_a_field_that_stands_twice_is_refused(body: bytes) -> None:
    with pytest.raises(WireError, match=r"^field '[ac]' stands twice in one object; write each field once$"):
        read_json(body)


def test_a_second_remaining_usd_cannot_hide_behind_the_first() -> None:
    body = event().replace(b'"side"', b'"remaining_usd":99999,"side"')

    assert refusal(body) == "field 'remaining_usd' stands twice in one object; write each field once"


@pytest.mark.parametrize("body", [b"\xff{}", b'{"a":"\xed\xa0\x80"}', b"\xfe\xff\x00{", b'"\xc0\xaf"'])
def test_bytes_that_are_not_utf_8_are_refused(body: bytes) -> None:
    assert re.fullmatch(r"the body was not JSON \(.*\); send one JSON object in UTF-8", refusal(body))


@pytest.mark.parametrize(
    "body",
    [
        b'{"active":true,"ts_ms":1,"reason":"\\ud800"}',
        b'{"active":true,"ts_ms":1,"reason":"a\\uDFFFb"}',
        b'{"active":true,"ts_ms":1,"other":[{"deep":["\\udc00\\ud800"]}]}',
        b'{"active":true,"ts_ms":1,"\\uD9aB":1}',
    ],
)
def test_half_of_a_surrogate_pair_is_refused_wherever_it_stands(body: bytes) -> None:
    """It would pass every check and then fail whoever writes it to a journal or a log as UTF-8."""
    assert refusal(body, KillSwitchSignal).startswith("the body was not JSON (")


def test_a_whole_surrogate_pair_is_one_character() -> None:
    body = b'{"active":true,"ts_ms":1,"reason":"\\ud83d\\ude00","actor":"\\\\ud800"}'

    signal = KillSwitchSignal.from_json(body)

    assert (signal.reason, signal.actor) == ("\U0001f600", "\\ud800")
    assert KillSwitchSignal.from_json(signal.to_json()) == signal


def test_a_body_of_64_kib_is_read_and_one_byte_more_is_refused() -> None:
    body = event()
    full = body + b" " * (65_536 - len(body))

    assert PartialFill.from_json(full) == PartialFill.from_json(body)
    assert refusal(full + b" ") == "the body was 65537 bytes; send at most 65536"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 65_536,
        b'{"a":' * 13_000,
        b"[" * 30_000 + b"]" * 30_000,
        b'{"order_id":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    ],
)
def test_a_body_nested_without_end_is_refused(body: bytes) -> None:
    assert refusal(body).startswith(("the body was nested too deeply", "the body was not JSON"))


def test_no_depth_of_nesting_escapes_as_a_recursion_error() -> None:
    for depth in range(1, 1_200, 3):
        nest = b"[" * depth + b"]" * depth
        for body in (
            nest,
            b'{"order_id":' + nest + b"}",
            b'{"strategy":{"id":' + nest + b"}}",
            event() + nest,
        ):
            assert refusal(body)


@pytest.mark.parametrize(
    "body", [b"", b" ", b"{", b"{}{}", b"\xef\xbb\xbf{}", b"{'a':1}", b"nul", b'{"a":1,}']
)
def test_what_is_not_one_json_value_is_refused(body: bytes) -> None:
    assert refusal(body).startswith("the body was not JSON (")


@pytest.mark.parametrize(
    ("body", "shown_as"), [(b"[]", "[]"), (b"null", "None"), (b'"x"', "'x'"), (b"1", "1")]
)
def test_what_is_not_an_object_is_refused(body: bytes, shown_as: str) -> None:
    assert refusal(body) == f"PartialFill was {shown_as}; send one JSON object"


@pytest.mark.parametrize(
    "field", ["order_id", "status", "filled_usd", "remaining_usd", "original_price", "side"]
)
def test_a_missing_field_is_named(field: str) -> None:
    members = {name: value for name, value in card("partial_input").items() if name != field}

    assert refusal(json.dumps(members).encode()) == f"PartialFill.{field} was missing; it is required"


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("status", '"FILLED"', "status was 'FILLED'; input should be 'PARTIAL'"),
        ("side", '"buy"', "side was 'buy'; input should be 'BUY' or 'SELL'"),
        ("side", "null", "side was None; input should be 'BUY' or 'SELL'"),
        ("collateral", '"USDC"', "collateral was 'USDC'; input should be 'pUSD'"),
        ("order_id", '"0x12"', "order_id was '0x12'; string should match pattern '^0x[0-9a-f]{64}$'"),
        ("token_id", "7", "token_id was 7; input should be a valid string"),
        ("token_id", '"007"', "token_id was '007'; string should match pattern '^(0|[1-9][0-9]{0,77})$'"),
        (
            "trace_id",
            '"a\\nb"',
            "trace_id was 'a\\nb'; string should match pattern '^[A-Za-z0-9_.:-]{1,64}$'",
        ),
        (
            "strategy",
            '{"partial_fill_policy":"yolo"}',
            "strategy.partial_fill_policy was 'yolo'; input should be 'hold', 'cancel' or 'chase'",
        ),
        (
            "strategy",
            '{"allow_wide_chase":1}',
            "strategy.allow_wide_chase was 1; input should be a valid boolean",
        ),
        ("strategy", '{"id":""}', "strategy.id was ''; string should have at least 1 character"),
    ],
)
def test_a_word_outside_its_set_is_refused_by_field_value_and_rule(
    field: str, text: str, message: str
) -> None:
    assert refusal(event(**{field: text})) == f"PartialFill.{message}"


@pytest.mark.parametrize("tail", ["\n", " ", "\0"])
def test_an_id_with_a_tail_is_refused(tail: str) -> None:
    assert refusal(event(order_id=json.dumps("0x" + "c" * 64 + tail))).startswith("PartialFill.order_id was ")


def test_sizes_that_do_not_add_up_are_refused() -> None:
    message = refusal(event(original_size_usd="451"))

    assert "original_size_usd was '451'; it must equal filled_usd + remaining_usd = 450" in message
    assert PartialFill.from_json(event(original_size_usd="450")).original_size_usd == 450
    assert PartialFill.from_json(event(original_size_usd='"450.000000"')).original_size_usd == 450


def test_unknown_fields_are_ignored_so_that_hosts_may_say_more() -> None:
    assert PartialFill.from_json(event(**{"x-extra": '{"a":[1]}'})) == PartialFill.from_json(event())


@pytest.mark.parametrize(
    "value", [0.1, 1.0, float("nan"), None, b"1", (1,), object(), 10**5000], ids=range(8)
)
def test_a_python_value_without_exact_meaning_is_refused(value: object) -> None:
    with pytest.raises(WireError, match=r"^PartialFill.filled_usd was .*; write a plain decimal number"):
        PartialFill.from_members(card("partial_input") | {"filled_usd": value, "original_price": "0.62"})


def test_a_python_float_price_is_refused() -> None:
    with pytest.raises(
        WireError, match=r"^PartialFill.original_price was 0.62; write a decimal number above 0"
    ):
        PartialFill.from_members(card("partial_input"))


class Shouting(str):
    """A text that is not plainly a text."""


@pytest.mark.parametrize("read", [read_amount, read_price, read_integer, read_figure])
@pytest.mark.parametrize("value", [0.5, True, Shouting("0.5"), None, Decimal("sNaN"), Decimal("-Infinity")])
def test_no_reader_takes_a_value_of_another_kind(read: Any, value: object) -> None:
    with pytest.raises(ValueError, match=r"^was "):
        read(value)


@pytest.mark.parametrize("value", [Decimal("1E+40"), Decimal("1E-41"), 10**12, -(10**12), "2"])
def test_a_figure_has_a_moderate_length(value: object) -> None:
    with pytest.raises(ValueError, match="write a finite decimal number of moderate length"):
        read_figure(value)


@pytest.mark.parametrize("value", [Decimal("-2.5"), Decimal(1) / 3, 7, -7, Decimal(0)])
def test_a_figure_may_be_negative_and_long(value: Decimal | int) -> None:
    assert read_figure(value) == value


def test_a_value_in_a_message_is_short_and_on_one_line() -> None:
    assert shown("a\nb") == "'a\\nb'"
    assert shown("x" * 1_000) == "'" + "x" * 59 + "\u2026"
    assert shown(10**5_000) == "a int too long to show"


# Printing


def report(**fields: Any) -> ExecutionReport:
    return ExecutionReport(
        **({"report_id": "rep_1", "bot_id": "b", "verdict": "V", "evaluated_at_ms": 7} | fields)
    )


def test_a_report_prints_no_absent_field() -> None:
    assert report().to_json() == (
        b'{"report_id":"rep_1","bot_id":"b","verdict":"V","collateral":"pUSD","evaluated_at_ms":7}'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("250", "250"),
        ("2.5E+2", "250"),
        ("1E+11", "100000000000"),
        ("0.620000", "0.62"),
        ("0.000001", "0.000001"),
        ("1E-6", "0.000001"),
        ("100.0", "100"),
        ("0.0", "0"),
        ("999999999999.999999", "999999999999.999999"),
    ],
)
def test_an_amount_is_printed_as_a_plain_json_number(value: str, text: str) -> None:
    assert f'"remaining_usd":{text},' in report(remaining_usd=Decimal(value)).print()


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**11), max_value=10**11, places=20))
def test_a_printed_decimal_has_no_exponent_and_is_exact(value: Decimal) -> None:
    text = print_json(value)

    assert set(text) <= set("-0123456789.")
    assert Decimal(text) == value


def test_a_report_reads_back_as_it_was_written() -> None:
    full = report(
        trace_id="trc_1",
        order_id="0x" + "c" * 64,
        filled_usd=Decimal("200.000001"),
        remaining_usd=Decimal(250),
        warnings=("BOOK_UNTRUSTED", "KILL_SWITCH_UNKNOWN"),
        executed=False,
        final=True,
        severity="WARN",
        mode="shadow_only",
        side="SELL",
        original_price=Decimal("0.62"),
        ticks_to_fill=Decimal(-2),
        expected_fill_seconds=Decimal("1.5"),
        user_message="\u201cquoted\u201d \\ \n",
        event_ts_ms=1,
    )

    assert ExecutionReport.from_json(full.to_json()) == full
    assert (
        ExecutionReport.from_json(report(ticks_to_fill=Decimal(1) / 3).to_json()).ticks_to_fill
        == Decimal(1) / 3
    )


def test_health_and_manifest_read_back_as_they_were_written() -> None:
    health = BotHealth(
        bot_id="b",
        status="amber",
        reasons=("slow",),
        mode="quarantine",
        kill_switch_active=True,
        figures={"in_flight": 3, "rate": Decimal("0.5"), "by": {"a": [1, None, True]}},
    )
    manifest = BotManifest(
        bot_id="b",
        name="Bot",
        version="1",
        hookspec_version="1.0",
        mode="shadow_only",
        modes=("shadow_only", "quarantine"),
        reads=("a",),
        emits=("b", "c"),
        topics=(),
    )

    assert BotHealth.from_json(health.to_json()) == health
    assert BotManifest.from_json(manifest.to_json()) == manifest


def test_other_messages_read_back_as_they_were_written() -> None:
    chase = CancelReplace(
        instruction_id="i",
        order_id="0x" + "c" * 64,
        root_order_id="0x" + "c" * 64,
        trace_id="t",
        market_id="0x" + "a" * 64,
        token_id="7",
        side="SELL",
        price=Decimal("0.6"),
        cap_price=Decimal("0.59"),
        max_size_shares=Decimal("12.5"),
        max_cost_usd=Decimal("7.5"),
        builder_code="0x" + "b" * 64,
    )
    decision = DecisionReport(
        trace_id="t",
        side="BUY",
        intended_size_usd=Decimal(450),
        limit_price=Decimal("0.63"),
        strategy=Strategy(id="s", partial_fill_policy="chase", allow_wide_chase=True),
    )

    assert CancelReplace.from_json(chase.to_json()) == chase
    assert DecisionReport.from_json(decision.to_json()) == decision


class Colour(StrEnum):
    RED = "red"


def test_every_kind_of_json_value_is_printed() -> None:
    value = {
        "text": 'a"\u00e9\n',
        "enum": Colour.RED,
        "int": 10**20,
        "yes": True,
        "no": False,
        "none": None,
        "list": [1, (Decimal("1.50"), "x")],
        "model": Strategy(id="s"),
        Colour.RED: {},
    }

    assert print_json(value) == (
        '{"text":"a\\"\\u00e9\\n","enum":"red","int":100000000000000000000,"yes":true,"no":false,"none":null,'
        '"list":[1,[1.5,"x"]],"model":{"id":"s","allow_wide_chase":false},"red":{}}'
    )


@pytest.mark.parametrize("value", [0.1, b"x", {1}, object(), 1j, [0.5], {"a": 0.5}])
def test_a_value_without_an_exact_json_form_is_not_printed(value: object) -> None:
    with pytest.raises(WireError, match=r"it has no exact JSON form$"):
        print_json(value)


@pytest.mark.parametrize(
    "value",
    [Decimal("NaN"), Decimal("Infinity"), Decimal("sNaN"), Decimal("1E+999999"), Decimal("0E-999999999")],
)
def test_a_decimal_without_a_json_form_of_moderate_length_is_not_printed(value: Decimal) -> None:
    with pytest.raises(WireError, match=r"it has no exact JSON form of moderate length$"):
        print_json({"figure": value})


@pytest.mark.parametrize("key", [1, None, Decimal(1), ("a",)])
def test_a_field_name_that_is_not_text_is_not_printed(key: object) -> None:
    with pytest.raises(WireError, match=r"^a field name was .*; use text$"):
        print_json({key: 1})


def test_messages_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        report().verdict = "OTHER"


@pytest.mark.parametrize("words", [range(10), {"a"}, {"a": 1}, iter(["a"]), "ab", [1], (b"a",)])
def test_a_list_of_texts_is_a_list_or_a_tuple_of_texts_and_nothing_that_merely_iterates(
    words: object,
) -> None:
    """Lax reading would walk any iterable, however long, before looking at what it yields."""
    with pytest.raises(WireError, match=r"^ExecutionReport\.warnings"):
        ExecutionReport.from_members(
            {"report_id": "r", "bot_id": "b", "verdict": "V", "evaluated_at_ms": 1, "warnings": words}
        )


def test_a_name_that_is_not_text_deep_in_a_message_is_refused() -> None:
    with pytest.raises(
        WireError, match=r"^BotHealth\.figures\.1\.\[key\] was 2; input should be a valid string$"
    ):
        BotHealth.from_members(
            {
                "bot_id": "b",
                "status": "green",
                "mode": "shadow_only",
                "kill_switch_active": True,
                "figures": {1: 2},
            }
        )


def test_a_message_of_checked_members_is_the_message_of_the_same_members() -> None:
    members = {"report_id": "rep_1", "bot_id": "b", "verdict": "V", "evaluated_at_ms": 7, "warnings": ("W",)}

    unchecked = ExecutionReport.from_checked(members)

    assert unchecked == ExecutionReport(**members)
    assert unchecked.to_json() == ExecutionReport(**members).to_json()
    assert unchecked.model_fields_set == set(members)
    assert unchecked.model_copy(update={"verdict": "X"}).verdict == "X"
    assert repr(unchecked) == repr(ExecutionReport(**members))
