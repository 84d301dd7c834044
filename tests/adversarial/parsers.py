"""Every parser of foreign bytes, with the one error that may come out of it.

`PARSERS` is what the test command and the long run go through: each takes bytes, and whatever they are it
returns, or it raises what is named beside it. What is read is also held to what it must mean.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from polytraders_hookspecs import (
    CancelReplace,
    DecisionReport,
    ExchangeReply,
    ExecutionReport,
    KillSwitchSignal,
    OrderClosed,
    OrderFacts,
    PartialFill,
    SignedEvent,
    WireError,
    read_json,
    sign_event,
)
from polytraders_hookspecs.nesting import MAX_DEPTH, nests_too_deep
from polytraders_hookspecs.wire import MAX_BODY_BYTES, WireModel, print_json

from polytraders_pfh.core.outcomes import judge_cancel, judge_post, judge_record
from polytraders_pfh.engine import replies
from polytraders_pfh.engine.intake import Rejected, read_fill
from polytraders_pfh.engine.journal.records import canonical, decode, encode
from polytraders_pfh.host import clob_bodies, hints, market_messages, payloads
from polytraders_pfh.host import replies as host_replies
from polytraders_pfh.host.errors import PayloadError

KEY = b"0123456789abcdef0123456789abcdef"
ORDER = "0x" + "c3" * 32
TOKEN = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
MESSAGES: tuple[type[WireModel], ...] = (
    PartialFill,
    OrderClosed,
    DecisionReport,
    KillSwitchSignal,
    ExecutionReport,
    CancelReplace,
    OrderFacts,
)


class Parser(NamedTuple):
    """A way in. `read` does all that the product does with such bytes before it acts on them."""

    name: str
    read: Callable[[bytes], None]
    declared: type[Exception]


def _message(model: type[WireModel]) -> Callable[[bytes], None]:
    def read(body: bytes) -> None:
        message = model.from_json(body)
        assert model.from_json(message.to_json()) == message

    return read


def _exact(body: bytes) -> None:
    """Two readers that see two values in one signed body would be a way in."""
    value = read_json(body)
    assert len(body) <= MAX_BODY_BYTES
    if b"NaN" not in body and b"Infinity" not in body:
        assert print_json(value) == print_json(json.loads(body, parse_float=Decimal))


def _signed(body: bytes) -> None:
    """An authentic event whose signer was careless: what is taken from it is bounded and exact."""
    envelope = (
        sign_event(key_id="k1", key=KEY, event_ts_ms=1_746_770_100_000, trace_id="trc_1", body=body)
        if len(body) <= MAX_BODY_BYTES
        else SignedEvent(key_id="k1", event_ts_ms=1, trace_id="trc_1", body=body, signature="0" * 64)
    )
    fill = read_fill(envelope, {"k1": KEY})
    assert 0 < fill.price_micro < 1_000_000
    assert 0 <= fill.filled_usd_micro < 10**18
    assert 0 <= fill.remaining_usd_micro < 10**18


def _forged(body: bytes) -> None:
    """Bytes as every part of an envelope at once."""
    text = body.decode("latin-1")
    read_fill(
        SignedEvent.model_construct(
            key_id=text[:64], event_ts_ms=len(body), trace_id=text[:64], body=body, signature=text[-64:]
        ),
        {"k1": KEY, text[:64]: KEY},
    )
    raise AssertionError("bytes that nobody signed were taken")


def _answer(body: bytes) -> None:
    """The exchange's answers: every verdict is reached without an error, whatever stands in the body."""
    for status in (200, 400, 429):
        reply = ExchangeReply(status=status, body=body)
        judge_cancel(ORDER, replies.read_cancel(reply))
        judge_post(ORDER, replies.read_post(reply), attempted_before=False)
        record = replies.read_record(reply, ORDER)
        judge_record(record)
        for amount in (record.size_micro, record.matched_micro, record.price_micro):
            assert amount is None or 0 <= amount < 10**18
        traded = replies.read_traded(reply, ORDER)
        assert traded is None or traded >= 0
        assert len(replies.refusal(reply)) <= 220


def _host_answer(body: bytes) -> None:
    """The reference host's own reading of answers."""
    for status in (200, 400, 429):
        reply = ExchangeReply(status=status, body=body)
        host_replies.post_outcome(reply)
        host_replies.post_status(reply)
        host_replies.cancelled_ids(reply)
        assert len(host_replies.reply_text(reply)) <= 300
        hints.retry_after_s(reply)
        hints.body_text(reply, "mode")
        clob_bodies.page_in(reply)


def _members(body: bytes) -> dict[str, Any]:
    return dict(payloads.members_of(payloads.decode(body), "a message"))


def _market_message(body: bytes) -> None:
    list(market_messages.book_updates(_members(body), {TOKEN}, 1))


def _book(body: bytes) -> None:
    payloads.book_snapshot(_members(body), now_ms=1)


def _order(body: bytes) -> None:
    payloads.order_news(_members(body))


def _trade(body: bytes) -> None:
    payloads.trade_news(_members(body), "key")


def _market(body: bytes) -> None:
    clob_bodies.market_facts("0x" + "a1" * 32, _members(body))


def _record(body: bytes) -> None:
    """A line of the journal: what is read has one form only."""
    record = decode(body, b"")
    assert encode(record) == body
    assert canonical(json.loads(body)) == body


def _depth(body: bytes) -> None:
    """The guard before parsers that recurse agrees with a count by hand, and between bytes and text."""
    text = body.decode("latin-1")
    assert nests_too_deep(body) == nests_too_deep(text) == (_deepest(text) > MAX_DEPTH)


def _deepest(text: str) -> int:
    level = deepest = 0
    quoted = escaped = False
    for character in text:
        if quoted:
            quoted = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            quoted = True
        elif character in "[{":
            level += 1
            deepest = max(deepest, level)
        elif character in "]}":
            level -= 1
    return deepest


FROM_A_HOST: tuple[Parser, ...] = (
    *(Parser(f"message {model.__name__}", _message(model), WireError) for model in MESSAGES),
    Parser("json", _exact, WireError),
    Parser("signed event", _signed, Rejected),
    Parser("forged event", _forged, Rejected),
    Parser("journal record", _record, ValueError),
    Parser("depth", _depth, WireError),
)
FROM_THE_EXCHANGE: tuple[Parser, ...] = (
    Parser("exchange's answer", _answer, WireError),
    Parser("host: exchange's answer", _host_answer, PayloadError),
    Parser("host: market message", _market_message, PayloadError),
    Parser("host: book", _book, PayloadError),
    Parser("host: order", _order, PayloadError),
    Parser("host: trade", _trade, PayloadError),
    Parser("host: market", _market, PayloadError),
)
PARSERS = FROM_A_HOST + FROM_THE_EXCHANGE


def read_by_all(body: bytes) -> None:
    """Give bytes to every parser. Any other error than the declared one escapes."""
    read_by(PARSERS, body)


def read_by(parsers: tuple[Parser, ...], body: bytes) -> None:
    """Give bytes to these parsers. Any other error than the declared one escapes."""
    for parser in parsers:
        try:
            parser.read(body)
        except parser.declared:
            continue
        except Exception as e:
            e.add_note(f"parser: {parser.name}")
            raise
