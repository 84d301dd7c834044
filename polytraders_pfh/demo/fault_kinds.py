"""What can go wrong with one request, by name: what is sent in place of the truth, before or after the fact.

*_not_landed and *_request_lost: nothing happened. *_landed and *_answer_lost: it did, and nobody is told.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from polytraders_pfh.paper.core.cancelling import DELAYED
from polytraders_pfh.paper.protocol.faults import Answer, Call, Cut
from polytraders_pfh.paper.protocol.shapes import compact

OK: Final = 200
_GARBAGE: Final = b"<html><body>upstream connect error</body></html>"
_FAILED: Final = Answer(500, compact({"error": "Internal server error"}))
_EDGE_LIMIT: Final = Answer(429, compact({"error": "Too Many Requests"}))


class Kind(NamedTuple):
    """One way to go wrong. `lands` says whether the request takes effect, `waits` that the answer is slow.

    `answer` names what comes back in place of the truth; empty means that the connection breaks.
    """

    name: str
    lands: bool
    answer: str = ""
    waits: bool = False


def _request(verb: str) -> tuple[Kind, ...]:
    return (
        Kind(f"{verb}_request_lost", lands=False),
        Kind(f"{verb}_answer_lost", lands=True),
        Kind(f"{verb}_500_not_landed", lands=False, answer="500"),
        Kind(f"{verb}_500_landed", lands=True, answer="500"),
        Kind(f"{verb}_timeout_not_landed", lands=False, waits=True),
        Kind(f"{verb}_timeout_landed", lands=True, waits=True),
        Kind(f"{verb}_lands_late", lands=True),
        Kind(f"{verb}_garbage", lands=True, answer="garbage"),
        Kind(f"{verb}_truncated", lands=True, answer="truncated"),
        Kind(f"{verb}_429_venue", lands=False, answer="429 venue"),
        Kind(f"{verb}_429_edge", lands=False, answer="429 edge"),
        Kind(f"{verb}_429_edge_landed", lands=True, answer="429 edge"),
    )


CANCEL: Final = (
    *_request("cancel"),
    Kind("cancel_in_neither_list", lands=True, answer="neither list"),
    Kind("cancel_in_both_lists", lands=True, answer="both lists"),
    Kind("cancel_not_canceled", lands=False, answer="not canceled"),
    Kind("fill_races_cancel", lands=True, answer="truth"),
)
POST: Final = (*_request("post"), Kind("post_without_id", lands=True, answer="without id"))
READ: Final = (
    Kind("read_stale", lands=True, answer="stale"),
    Kind("read_lost", lands=False),
    Kind("read_500", lands=False, answer="500"),
    Kind("read_garbage", lands=True, answer="garbage"),
)
BOOK: Final = (Kind("book_lost", lands=False), Kind("book_500", lands=False, answer="500"))
LIST: Final = (
    Kind("list_500", lands=False, answer="500"),
    Kind("list_truncated", lands=True, answer="truncated"),
)

KINDS: Final[Mapping[str, tuple[Kind, ...]]] = {
    "cancel": CANCEL,
    "post": POST,
    "read": READ,
    "book": BOOK,
    "list": LIST,
}
"""By what is asked for."""


def subject(call: Call) -> str:
    """Return which table a request belongs to, or empty for what never goes wrong here."""
    match call.method, call.path:
        case "DELETE", _:
            return "cancel"
        case "POST", "/order":
            return "post"
        case "GET", "/book":
            return "book"
        case "GET", "/data/orders" | "/data/trades":
            return "list"
    return "read" if call.path.startswith("/data/order/") else ""


def ids_in(call: Call) -> tuple[str, ...]:
    """Return the orders that a request names; a post names none."""
    if call.path.startswith("/data/order/"):
        return (call.path.rpartition("/")[2],)
    body = _json(call.body)
    if isinstance(body, dict):
        return (str(body["orderID"]),) if "orderID" in body else ()
    return tuple(map(str, body)) if isinstance(body, list) else ()


def builder_in(call: Call) -> str:
    """Return the builder code that a post carries, or empty."""
    body = _json(call.body)
    order = body.get("order") if isinstance(body, dict) else None
    return str(order.get("builder", "")) if isinstance(order, dict) else ""


def false_answer(kind: Kind, call: Call, truth: Answer | None) -> Answer | Cut:
    """Return what is sent; `truth` is what would have been, or None when nothing happened."""
    body = b"" if truth is None else truth.body
    make = _ANSWERS.get(kind.answer)
    return Cut() if make is None else make(call, body)


def _both_lists(call: Call, _: bytes) -> Answer:
    ids = ids_in(call)
    return _told({"canceled": list(ids), "not_canceled": dict.fromkeys(ids, DELAYED)})


def _without_id(_: Call, body: bytes) -> Answer:
    truth = _json(body)
    return _told({**(truth if isinstance(truth, dict) else {}), "orderID": ""})


def _told(body: Mapping[str, Any]) -> Answer:
    return Answer(OK, compact(body))


_VENUE_HEADERS: Final = {
    "Poly-RateLimit-Remaining": "0",
    "Poly-RateLimit-Tier": "Elite",
    "Retry-After": "1",
}
_ANSWERS: Final[Mapping[str, Callable[[Call, bytes], Answer]]] = {
    "500": lambda _, __: _FAILED,
    "429 edge": lambda _, __: _EDGE_LIMIT,
    "429 venue": lambda _, __: Answer(429, _EDGE_LIMIT.body, _VENUE_HEADERS),
    "garbage": lambda _, __: Answer(OK, _GARBAGE),
    "truncated": lambda _, body: Answer(OK, body[: len(body) // 2]),
    "not canceled": lambda call, _: _told(
        {"canceled": [], "not_canceled": dict.fromkeys(ids_in(call), DELAYED)}
    ),
    "neither list": lambda _, __: _told({"canceled": [], "not_canceled": {}}),
    "both lists": _both_lists,
    "without id": _without_id,
}


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
