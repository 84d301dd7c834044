"""A body that nests without end crashes nothing, even where the process's recursion limit was raised."""

import subprocess
import sys
from decimal import Decimal
from textwrap import dedent

import pytest
from polytraders_hookspecs import ExecutionReport, WireError, read_json
from polytraders_hookspecs.wire import flat_json, print_members


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"a":' * 12_000, b"[" * 300 + b"]" * 300])
def test_deep_body_is_refused(body: bytes) -> None:
    with pytest.raises(WireError, match="the body was nested too deeply; send a flat object"):
        read_json(body)


def test_wide_body_of_moderate_depth_is_read() -> None:
    assert read_json(b"[" + b",".join([b"[1]"] * 500) + b"]") == [[1]] * 500


def test_brackets_in_texts_are_no_depth() -> None:
    body = b'["' + b"[" * 100 + b'","\\"[[' + b"{" * 100 + b'"]'

    assert read_json(body) == ["[" * 100, '"[[' + "{" * 100]


def test_raised_recursion_limit_does_not_let_a_deep_body_crash_the_process() -> None:
    program = dedent(
        """
        import sys
        from polytraders_hookspecs import WireError, read_json
        sys.setrecursionlimit(10**6)
        try:
            read_json(b"[" * 60_000)
        except WireError:
            print("refused")
        """
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "refused\n")


def test_flat_json_says_what_print_says_with_its_decimals_last() -> None:
    members = {"a": 'é"', "i": 5, "t": True, "w": ("X", "Y")}
    numbers = {"n": Decimal("0.620"), "d": Decimal(250)}

    printed = flat_json(members, numbers)

    assert read_json(printed) == read_json(print_members(members | numbers).encode())
    assert printed.endswith(b',"n":0.62,"d":250}')
    assert flat_json({}, numbers) == b'{"n":0.62,"d":250}'
    assert flat_json({"i": 5}, {}) == b'{"i":5}'


def test_message_from_checked_members_equals_the_validated_one() -> None:
    members = {"report_id": "rep_1", "bot_id": "b", "verdict": "V", "evaluated_at_ms": 1, "final": True}

    checked, validated = ExecutionReport.from_checked(dict(members)), ExecutionReport(**members)

    assert checked == validated
    assert checked.to_json() == validated.to_json()
    assert checked.model_fields_set == validated.model_fields_set
