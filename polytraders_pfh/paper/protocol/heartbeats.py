"""The dead-man switch: a key that has begun to send heartbeats and then misses them loses its open orders.

A beat carries the id of the one before; the first carries "". Silence of more than ten seconds is noticed by
a check that runs every five (exchange docs, /v1/heartbeats), so orders go ten to fifteen seconds after the
last beat.
"""

import hashlib
import hmac
import uuid
from dataclasses import dataclass
from typing import Final

from polytraders_pfh.paper.protocol.refusals import Refused

ALLOWED_SILENCE_MS: Final = 10_000
CHECK_EVERY_MS: Final = 5_000


@dataclass(slots=True)
class _Pulse:
    expected_id: str = ""
    beats: int = 0
    last_ms: int | None = None  # None: not armed


class Heartbeats:
    """The chain of ids and the last beat of every API key."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._pulses: dict[str, _Pulse] = {}
        self._checked_ms: int | None = None

    def beat(self, api_key: str, heartbeat_id: str, now_ms: int) -> str:
        """Accept a beat and return the id of the next; refused with 400 and the expected id otherwise."""
        pulse = self._pulses.setdefault(api_key, _Pulse())
        if heartbeat_id != pulse.expected_id:
            raise Refused(400, {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": pulse.expected_id})
        pulse.beats += 1
        pulse.last_ms = now_ms
        digest = hmac.digest(self._seed, f"heartbeat|{api_key}|{pulse.beats}".encode(), hashlib.sha256)
        pulse.expected_id = str(uuid.UUID(bytes=digest[:16], version=4))
        return pulse.expected_id

    def touch(self, api_key: str, now_ms: int) -> None:
        """Accept a beat of the older endpoint, which has no chain of ids."""
        self._pulses.setdefault(api_key, _Pulse()).last_ms = now_ms

    def overdue(self, now_ms: int) -> tuple[str, ...]:
        """Return the keys whose silence is too long; looks only every five seconds."""
        if self._checked_ms is None:
            self._checked_ms = now_ms
        if now_ms - self._checked_ms < CHECK_EVERY_MS:
            return ()
        self._checked_ms = now_ms
        return tuple(
            key
            for key, pulse in self._pulses.items()
            if pulse.last_ms is not None and now_ms - pulse.last_ms > ALLOWED_SILENCE_MS
        )

    def disarm(self, api_key: str) -> None:
        """The key's orders are cancelled; watch it again from its next beat.

        What the exchange does to orders posted in between is not documented; here they stay.
        """
        self._pulses[api_key].last_ms = None
