"""What somebody without a key can make of signed events: every kind of change, drawn from a seed."""

import hmac
import json
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from random import Random
from typing import Any

from polytraders_hookspecs import SignedEvent

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-"
GUESSES = (b"", b"k1", b"\0" * 32, b"secret", b"polytraders-event-v1\n")
DIGITS = "0123456789abcdefABCDEF \n\u0661\uff11é"

Change = Callable[[Random, SignedEvent, SignedEvent], dict[str, Any]]
"""What becomes of the fields of one event, when another one is at hand too."""


def _bit_of_the_body(draw: Random, one: SignedEvent, _: SignedEvent) -> dict[str, Any]:
    at, body = draw.randrange(len(one.body)), bytearray(one.body)
    body[at] ^= 1 << draw.randrange(8)
    return {"body": bytes(body)}


def _bit_of_the_signature(draw: Random, one: SignedEvent, _: SignedEvent) -> dict[str, Any]:
    at = draw.randrange(64)
    digit = f"{int(one.signature[at], 16) ^ 1 << draw.randrange(4):x}"
    return {"signature": one.signature[:at] + digit + one.signature[at + 1 :]}


def _text_of_the_signature(draw: Random, one: SignedEvent, _: SignedEvent) -> dict[str, Any]:
    text = one.signature
    return {
        "signature": draw.choice(
            (
                text.upper(),
                text[: draw.randrange(64)],
                text + draw.choice(DIGITS),
                draw.choice(DIGITS) + text[1:],
                " " + text,
                "0x" + text[2:],
                "".join(draw.choices(DIGITS, k=64)),
                "".join(draw.choices("0123456789abcdef", k=64)),
            )
        )
    }


def _header(draw: Random, one: SignedEvent, _: SignedEvent) -> dict[str, Any]:
    name = draw.choice(("key_id", "trace_id"))
    text, at = getattr(one, name), draw.randrange(len(getattr(one, name)))
    put = draw.choice(("", *ALPHABET, "\n", "\0", " ", "é", "\u0661"))
    return {name: text[:at] + put + text[at + draw.randrange(2) :]}


def _moment(draw: Random, one: SignedEvent, _: SignedEvent) -> dict[str, Any]:
    moved = draw.choice((1, 1_000, 60_000, 10**17)) * draw.choice((-1, 1))
    return {"event_ts_ms": one.event_ts_ms + moved}


def _cut_or_doubled(draw: Random, one: SignedEvent, _: SignedEvent) -> dict[str, Any]:
    first, second = sorted(draw.randrange(len(one.body) + 1) for _ in range(2))
    return {"body": one.body[:second] + one.body[first:]} if draw.random() < 0.5 else _cut(one, first, second)


def _cut(one: SignedEvent, first: int, second: int) -> dict[str, Any]:
    return {"body": one.body[:first] + one.body[second:]}


def _same_meaning(draw: Random, one: SignedEvent, _: SignedEvent) -> dict[str, Any]:
    members = list(json.loads(one.body, parse_float=str).items())
    draw.shuffle(members)
    return {"body": draw.choice((json.dumps(dict(members)).encode(), one.body + b" ", b" " + one.body))}


def _more_money(draw: Random, one: SignedEvent, _: SignedEvent) -> dict[str, Any]:
    members = json.loads(one.body)
    name = draw.choice(sorted(members))
    members[name] = draw.choice((0, 1, 999_999, "0.99", None, "SELL", "chase", "0x" + "f" * 64))
    return {"body": json.dumps(members, separators=(",", ":")).encode()}


def _part_of_another(draw: Random, _: SignedEvent, other: SignedEvent) -> dict[str, Any]:
    names = draw.sample(["key_id", "event_ts_ms", "trace_id", "body", "signature"], draw.randrange(1, 5))
    return {name: getattr(other, name) for name in names}


def _moved_across(draw: Random, one: SignedEvent, _: SignedEvent) -> dict[str, Any]:
    lines = f"{one.key_id}\n{one.event_ts_ms}\n{one.trace_id}\n".encode() + one.body
    cuts = sorted(draw.sample(range(len(lines)), 3))
    key_id, moment, trace_id, body = (lines[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True))
    if not (moment.strip().isdigit() and len(moment) < 19):
        moment = str(one.event_ts_ms).encode()
    return {
        "key_id": key_id.decode("latin-1").strip("\n"),
        "event_ts_ms": int(moment),
        "trace_id": trace_id.decode("latin-1").strip("\n"),
        "body": body,
    }


def _signed_without_the_key(draw: Random, one: SignedEvent, _: SignedEvent) -> dict[str, Any]:
    guess = draw.choice((*GUESSES, draw.randbytes(32)))
    lines = f"{one.key_id}\n{one.event_ts_ms}\n{one.trace_id}\n".encode()
    said = draw.choice((b"", b"polytraders-event-v1\n", b"polytraders-event-v2\n")) + lines + one.body
    digest = draw.choice(
        (
            hmac.new(guess, said, sha256).hexdigest(),
            hmac.new(guess, one.body, sha256).hexdigest(),
            sha256(guess + said).hexdigest(),
            sha256(said).hexdigest(),
        )
    )
    return {"signature": digest}


CHANGES: tuple[Change, ...] = (
    _bit_of_the_body,
    _bit_of_the_signature,
    _text_of_the_signature,
    _header,
    _moment,
    _cut_or_doubled,
    _same_meaning,
    _more_money,
    _part_of_another,
    _moved_across,
    _signed_without_the_key,
)


def forged(events: Sequence[SignedEvent], draw: Random) -> Iterator[tuple[str, SignedEvent]]:
    """Yield the kind of a change and what it made of one of these events, without end; never one of them."""
    true = set(map(_content, events))
    while True:
        change = draw.choice(CHANGES)
        one, other = draw.choices(events, k=2)
        # Not validated: whatever sits between host and bot might hand over anything.
        made = SignedEvent.model_construct(**(dict(one) | change(draw, one, other)))
        if _content(made) not in true:
            yield change.__name__, made


def _content(event: SignedEvent) -> tuple[object, ...]:
    return (event.key_id, event.event_ts_ms, event.trace_id, event.body, event.signature)
