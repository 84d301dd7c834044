"""What an answer of the exchange hints at beside its status: how long to wait, what is left, a code.

Nothing here raises: a hint that cannot be read is no hint. Times are bounded, whoever sent them.
"""

import json
from typing import Any, Final

from polytraders_hookspecs import ExchangeReply
from polytraders_hookspecs.nesting import nests_too_deep

LONGEST_S: Final = 600
"""No hint holds anything back for longer: the exchange's longest window is ten minutes (rate limits page)."""

_MAX_DIGITS: Final = 12
_MAX_BODY: Final = 64 * 1024
_MAX_TEXT: Final = 64


def longest(seconds: int) -> int:
    """Return `seconds`, or the longest time that is believed."""
    return min(seconds, LONGEST_S)


def retry_after_s(reply: ExchangeReply) -> int | None:
    """Return the seconds in Retry-After, or else in the body's `retry_after_seconds`; None without either."""
    seconds = _whole(reply.headers.get("retry-after", ""))
    return seconds if seconds is not None else _whole(str(_member(reply, "retry_after_seconds")))


def header_int(reply: ExchangeReply, name: str) -> int | None:
    """Return a whole number, negative ones included, or None when the header is absent or something else."""
    text = reply.headers.get(name, "")
    number = _whole(text.removeprefix("-"))
    return -number if number is not None and text.startswith("-") else number


def body_text(reply: ExchangeReply, name: str) -> str:
    """Return a short text of the body's object, or an empty one."""
    value = _member(reply, name)
    return value if isinstance(value, str) and len(value) <= _MAX_TEXT else ""


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None


def _member(reply: ExchangeReply, name: str) -> Any:
    if len(reply.body) > _MAX_BODY or nests_too_deep(reply.body):
        return None
    try:
        members = json.loads(reply.body)
    except ValueError:
        return None
    return members.get(name) if isinstance(members, dict) else None
