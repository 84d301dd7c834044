"""A signed event says what its signer said, byte for byte, or it is refused before anything is parsed."""

import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polytraders_hookspecs import EventForged, SignedEvent, check_signature, sign_event, signing
from support.card import card_bytes

OLD, NEW = b"o" * 32, b"n" * 32
BODY = card_bytes("partial_input")
TRACE = "trc_2b3c4d5e6f7a8b9c"
HEADER_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-"

headers = st.text(HEADER_CHARACTERS, min_size=1, max_size=64)


def signed(
    key_id: str = "k1", key: bytes = OLD, ts: int = 1_746_770_100_000, trace: str = TRACE, body: bytes = BODY
) -> SignedEvent:
    return sign_event(key_id=key_id, key=key, event_ts_ms=ts, trace_id=trace, body=body)


class EveryKeyIs(dict[str, bytes]):
    """A mapping whose `get` knows every key id."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._key = key

    def get(self, _key_id: Any, _default: Any = None) -> bytes:
        return self._key


def changed(event: SignedEvent, **fields: Any) -> SignedEvent:
    return event.model_copy(update=fields)


def forged(event: SignedEvent, keys: Any = None) -> str:
    """The sentence with which an event is refused."""
    with pytest.raises(EventForged) as caught:
        check_signature(event, {"k1": OLD} if keys is None else keys)
    return str(caught.value)


def test_the_signature_is_hmac_sha256_over_the_five_parts_of_the_specification() -> None:
    message = b"polytraders-event-v1\nk1\n1746770100000\ntrc_2b3c4d5e6f7a8b9c\n" + BODY

    assert signed().signature == hmac.new(OLD, message, hashlib.sha256).hexdigest()


@given(headers, st.binary(min_size=32, max_size=64), st.integers(0, 10**18 - 1), headers, st.binary())
def test_what_was_signed_is_accepted(key_id: str, key: bytes, ts: int, trace: str, body: bytes) -> None:
    check_signature(signed(key_id, key, ts, trace, body), {key_id: key})


def test_two_keys_are_active_while_one_is_rotated_and_each_vouches_under_its_own_id() -> None:
    keys = {"k1": OLD, "k2": NEW}

    check_signature(signed("k1", OLD), keys)
    check_signature(signed("k2", NEW), keys)

    assert "does not match" in forged(signed("k2", OLD), keys)
    assert "does not match" in forged(signed("k1", NEW), keys)


def test_after_the_rotation_the_old_key_vouches_for_nothing() -> None:
    assert forged(signed("k1", OLD), {"k2": NEW}) == "key_id was 'k1', which is not an active event key"


def test_an_unknown_key_id_is_refused_without_trying_the_other_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    event = signed("k9")
    monkeypatch.setattr(signing.hmac, "digest", lambda *_: pytest.fail("hashed under a key it does not name"))

    assert "'k9'" in forged(event, {"k1": OLD})


def test_a_signature_made_for_another_domain_is_refused() -> None:
    message = b"polytraders-event-v2\nk1\n1\ntrc_1\n{}"
    event = signed(ts=1, trace="trc_1", body=b"{}")

    assert "does not match" in forged(
        changed(event, signature=hmac.new(OLD, message, hashlib.sha256).hexdigest())
    )
    assert "does not match" in forged(
        changed(event, signature=hmac.new(OLD, b"{}", hashlib.sha256).hexdigest())
    )


@pytest.mark.parametrize(
    "header", ["", "k" * 65, "k 1", "k\n1", "k1\n", "ключ", "k\0", "k/1", "k\u0661", "\ud800", "k\uff11"]
)
@pytest.mark.parametrize("field", ["key_id", "trace_id"])
def test_a_header_outside_its_alphabet_is_neither_signed_nor_accepted(field: str, header: str) -> None:
    with pytest.raises(ValueError, match=f"^{field} was "):
        signed(**{"key_id" if field == "key_id" else "trace": header})

    event = SignedEvent.model_construct(**(dict(signed()) | {field: header}))
    assert forged(event, EveryKeyIs(OLD)).startswith(f"{field} was ")


@pytest.mark.parametrize("ts", [-1, 10**18])
def test_a_time_outside_its_range_is_neither_signed_nor_accepted(ts: int) -> None:
    with pytest.raises(ValueError, match=rf"^event_ts_ms was {ts}; use Unix milliseconds$"):
        signed(ts=ts)

    assert forged(changed(signed(), event_ts_ms=ts)) == f"event_ts_ms was {ts}; use Unix milliseconds"


def test_a_body_of_64_kib_is_accepted_and_one_byte_more_is_refused_before_it_is_hashed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    largest = signed(body=b"x" * 65_536)
    check_signature(largest, {"k1": OLD})
    monkeypatch.setattr(signing.hmac, "digest", lambda *_: pytest.fail("an oversized body was hashed"))

    assert forged(changed(largest, body=b"x" * 65_537)) == "body was 65537 bytes; send at most 65536"
    with pytest.raises(ValueError, match="body was 65537 bytes"):
        signed(body=b"x" * 65_537)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "0" * 63,
        "0" * 65,
        "0" * 64 + "\n",
        "A" * 64,
        "é" * 64,
        "\u0661" * 64,
        "\uff10" * 64,
        "\ud800" * 64,
        "g" * 64,
        "0x" + "0" * 62,
    ],
)
def test_a_signature_that_is_not_64_lower_case_hex_digits_is_refused_in_words(signature: str) -> None:
    """`hmac.compare_digest` would raise a TypeError on text that is not ASCII."""
    event = SignedEvent.model_construct(**(dict(signed()) | {"signature": signature}))

    assert forged(event) == "signature was not 64 lower-case hex digits; sign with sign_event"


def test_the_right_signature_in_upper_case_is_refused() -> None:
    event = signed()

    assert "lower-case" in forged(changed(event, signature=event.signature.upper()))


@pytest.mark.parametrize("key", [b"", b"k" * 31])
def test_a_short_key_neither_signs_nor_vouches(key: bytes) -> None:
    """An empty key would let anybody sign."""
    with pytest.raises(ValueError, match=f"event key 'k1' was {len(key)} bytes; use at least 32"):
        signed(key=key)

    message = b"polytraders-event-v1\nk1\n1746770100000\n" + TRACE.encode() + b"\n" + BODY
    event = changed(signed(), signature=hmac.new(key, message, hashlib.sha256).hexdigest())
    assert forged(event, {"k1": key}) == "event key 'k1' has fewer than 32 bytes"


def test_neither_the_key_nor_the_signature_nor_the_body_shows_in_a_repr_or_a_refusal() -> None:
    key = b"very-secret-key-material-of-32-by"
    event = signed(key=key)
    refusal = forged(changed(event, body=b'{"hidden": 1}'), {"k1": key})

    for text in (repr(event), str(event), refusal):
        assert event.signature not in text
        assert "hidden" not in text
        assert "order_id" not in text
        assert "secret" not in text


@given(st.data())
def test_any_single_byte_changed_anywhere_is_refused(data: st.DataObject) -> None:
    event = signed()
    parts = {
        "key_id": event.key_id.encode(),
        "trace_id": event.trace_id.encode(),
        "event_ts_ms": str(event.event_ts_ms).encode(),
        "body": event.body,
        "signature": event.signature.encode(),
    }
    field = data.draw(st.sampled_from(sorted(parts)))
    old = parts[field]
    at = data.draw(st.integers(0, len(old) - 1))
    byte = data.draw(
        st.integers(48, 57) if field == "event_ts_ms" else st.integers(0, 255 if field == "body" else 127)
    )
    new = old[:at] + bytes([byte]) + old[at + 1 :]
    value: Any = new if field == "body" else new.decode()
    value = int(value) if field == "event_ts_ms" else value
    if value == getattr(event, field):
        check_signature(event, {"k1": OLD})
        return

    forged(changed(event, **{field: value}), EveryKeyIs(OLD))


@given(st.binary(max_size=80), st.integers(0, 80), st.integers(1, 80))
def test_a_body_with_bytes_taken_out_or_doubled_is_refused(body: bytes, at: int, count: int) -> None:
    event = signed(body=body)
    for other in (body[:at] + body[at + count :], body[:at] + body[max(at - count, 0) :]):
        if other != body:
            assert "does not match" in forged(changed(event, body=other))


@given(headers, headers, st.integers(0, 10**12), st.text(HEADER_CHARACTERS + "\n", max_size=40), st.data())
def test_no_byte_moves_across_a_separator(
    key_id: str, trace: str, ts: int, body: str, data: st.DataObject
) -> None:
    """Every way of cutting the same signed bytes into fields, but for the one that was signed, is refused."""
    event = signed(key_id, OLD, ts, trace, body.encode())
    text = f"{key_id}\n{ts}\n{trace}\n{body}"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), min_size=3, max_size=3)))
    first, middle, third, rest = (
        text[: cuts[0]],
        text[cuts[0] : cuts[1]].strip("\n"),
        text[cuts[1] : cuts[2]],
        text[cuts[2] :],
    )
    if not (middle.isascii() and middle.isdigit()):
        middle = str(ts)
    event_2 = changed(
        event,
        key_id=first.strip("\n"),
        event_ts_ms=int(middle),
        trace_id=third.strip("\n"),
        body=rest.encode(),
    )
    if event_2 == event:
        return

    forged(event_2, EveryKeyIs(OLD))


@pytest.mark.parametrize(
    ("fields", "moved"),
    [
        ({"key_id": "k12", "event_ts_ms": 34}, {"key_id": "k1", "event_ts_ms": 234}),
        ({"trace_id": "ab", "body": b"c"}, {"trace_id": "a", "body": b"bc"}),
        ({"trace_id": "ab", "body": b"c"}, {"trace_id": "ab\nc", "body": b""}),
        ({"event_ts_ms": 12, "trace_id": "3"}, {"event_ts_ms": 1, "trace_id": "23"}),
        ({"key_id": "k1", "trace_id": "t"}, {"key_id": "k1\n5", "trace_id": "t"}),
    ],
)
def test_bytes_moved_from_one_field_to_the_next_are_refused(
    fields: dict[str, Any], moved: dict[str, Any]
) -> None:
    base = {"key_id": "k1", "event_ts_ms": 5, "trace_id": "t", "body": b"{}"} | fields
    event = sign_event(key=OLD, **base)

    forged(SignedEvent.model_construct(**(dict(event) | moved)), EveryKeyIs(OLD))
