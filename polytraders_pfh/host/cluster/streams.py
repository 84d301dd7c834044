"""A stream as it has to be: made when it is missing, and refused when one of its name is another."""

from dataclasses import fields
from typing import Any, Final

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError

from polytraders_pfh.host.cluster.whole import whole
from polytraders_pfh.host.errors import BusError

_COMPARED: Final = (
    "subjects",
    "retention",
    "storage",
    "discard",
    "max_age",
    "max_msgs",
    "max_bytes",
    "max_msgs_per_subject",
    "duplicate_window",
    "num_replicas",
    "deny_delete",
    "deny_purge",
)
_UNLIMITED: Final = -1
_LIMITS: Final = frozenset({"max_msgs", "max_bytes", "max_msgs_per_subject"})


async def ensure_stream(js: JetStreamContext, wanted: StreamConfig) -> None:
    """Return when the stream exists with these settings.

    Raises:
        BusError: It has others, it could not be made, or the bus did not answer.
    """
    assert wanted.name is not None
    try:
        try:
            there = (await whole(js.stream_info(wanted.name))).config
        except NotFoundError:
            there = (await whole(js.add_stream(wanted))).config
    except (TimeoutError, NatsError) as e:
        raise BusError(
            f"stream {wanted.name} could not be read or made ({e}); see the bus's log and its disk"
        ) from None
    if faults := differences(there, wanted):
        raise BusError(
            f"stream {wanted.name} exists with other settings: {'; '.join(faults)}; nothing was sent: "
            "change the stream, or name another one"
        )


def differences(there: StreamConfig, wanted: StreamConfig) -> list[str]:
    """Return what differs, one phrase each."""
    known = {field.name for field in fields(StreamConfig)}
    found = []
    for name in _COMPARED:
        assert name in known
        has, needs = _plain(name, getattr(there, name)), _plain(name, getattr(wanted, name))
        if has != needs:
            found.append(f"{name} is {has}, and has to be {needs}")
    return found


def _plain(name: str, value: Any) -> Any:
    """Return a setting as it compares: absent is what the server takes it for."""
    if name == "subjects":
        return sorted(value or ())
    if name in _LIMITS:
        return value if value else _UNLIMITED
    if name in {"deny_delete", "deny_purge"}:
        return bool(value)
    if name in {"max_age", "duplicate_window"}:
        return float(value or 0)
    return getattr(value, "value", value)
