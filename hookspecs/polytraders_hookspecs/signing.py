"""Signing and checking events: HMAC-SHA256 over the bytes received, before anything is parsed (SPEC 2).

The signed bytes are five lines: a fixed domain, the key's id, the event's time, the trace, the body.
Header fields match `[A-Za-z0-9_.:-]{1,64}`, so nothing can move across a separator.
"""

import hmac
import re
from collections.abc import Mapping
from typing import Final

from polytraders_hookspecs.errors import EventForged
from polytraders_hookspecs.events import SignedEvent
from polytraders_hookspecs.wire import MAX_BODY_BYTES, shown

_DOMAIN: Final = b"polytraders-event-v1\n"
_HEADER: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)
_HEADER_LINES: Final = re.compile(
    r"[A-Za-z0-9_.:-]{1,64}\n(?:0|[1-9][0-9]{0,17})\n[A-Za-z0-9_.:-]{1,64}\n", re.ASCII
)
_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
MIN_KEY_BYTES: Final = 32
_MAX_EVENT_TS_MS: Final = 10**18


def sign_event(*, key_id: str, key: bytes, event_ts_ms: int, trace_id: str, body: bytes) -> SignedEvent:
    """Return `body` in a signed envelope.

    Args:
        key_id: Which of the host's event keys signs; it travels with the event, so keys can rotate.
        key: At least 32 bytes of randomness.
        event_ts_ms: When the event happened, in Unix milliseconds.
        trace_id: The order's trace.
        body: The JSON bytes, at most 64 KiB, signed as they are.

    Raises:
        ValueError: A header field, the key or the body broke its rule.
    """
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"event key {key_id!r} was {len(key)} bytes; use at least {MIN_KEY_BYTES}")
    fault = _header_fault(key_id, event_ts_ms, trace_id, body)
    if fault:
        raise ValueError(fault)
    digest = hmac.digest(key, _signed_bytes(key_id, event_ts_ms, trace_id, body), "sha256")
    return SignedEvent(
        key_id=key_id, event_ts_ms=event_ts_ms, trace_id=trace_id, body=body, signature=digest.hex()
    )


def check_signature(envelope: SignedEvent, keys: Mapping[str, bytes]) -> None:
    """Return when the envelope was signed by the key that it names; otherwise raise.

    The comparison takes constant time; an oversized body is refused before it is hashed; an unknown
    key id is refused without trying the other keys, and a key too short to protect anything vouches for
    nothing.

    Raises:
        EventForged: Which part of the envelope is wrong. Key material never shows.
    """
    header = f"{envelope.key_id}\n{envelope.event_ts_ms}\n{envelope.trace_id}\n"
    if not _HEADER_LINES.fullmatch(header) or len(envelope.body) > MAX_BODY_BYTES:
        raise EventForged(
            _header_fault(envelope.key_id, envelope.event_ts_ms, envelope.trace_id, envelope.body)
            or f"event_ts_ms was {envelope.event_ts_ms}; use Unix milliseconds"
        )
    key = keys.get(envelope.key_id)
    if key is None:
        raise EventForged(f"key_id was {shown(envelope.key_id)}, which is not an active event key")
    if len(key) < MIN_KEY_BYTES:
        raise EventForged(f"event key {shown(envelope.key_id)} has fewer than {MIN_KEY_BYTES} bytes")
    message = _DOMAIN + header.encode("ascii") + envelope.body
    expected = hmac.digest(key, message, "sha256").hex().encode("ascii")
    if not hmac.compare_digest(expected, envelope.signature.encode("utf-8", "replace")):
        raise EventForged(_signature_fault(envelope))


def _signature_fault(envelope: SignedEvent) -> str:
    if not _SIGNATURE.fullmatch(envelope.signature):
        return "signature was not 64 lower-case hex digits; sign with sign_event"
    return f"signature does not match the body under key {shown(envelope.key_id)}"


def _signed_bytes(key_id: str, event_ts_ms: int, trace_id: str, body: bytes) -> bytes:
    return _DOMAIN + f"{key_id}\n{event_ts_ms}\n{trace_id}\n".encode("ascii") + body


def _header_fault(key_id: str, event_ts_ms: int, trace_id: str, body: bytes) -> str | None:
    if not _HEADER.fullmatch(key_id):
        return f"key_id was {shown(key_id)}; use 1 to 64 characters of A-Z a-z 0-9 _ . : -"
    if not _HEADER.fullmatch(trace_id):
        return f"trace_id was {shown(trace_id)}; use 1 to 64 characters of A-Z a-z 0-9 _ . : -"
    if not 0 <= event_ts_ms < _MAX_EVENT_TS_MS:
        return f"event_ts_ms was {event_ts_ms}; use Unix milliseconds"
    if len(body) > MAX_BODY_BYTES:
        return f"body was {len(body)} bytes; send at most {MAX_BODY_BYTES}"
    return None
