"""The exchange's dead-man switch: beats that keep this key's orders alive, and no posts without them.

Opt-in (`[exchange] heartbeat = true`). After the first accepted beat the exchange cancels every open order of
the API key once more than ten seconds pass without one (exchange docs, /v1/heartbeats), after a clean stop of
the host as after a crash. Each beat carries the id that the one before was answered with. The chain belongs
to the key: two senders break each other's ids, and the one that lives keeps the dead one's orders alive, so a
key has one owner: while somebody else moves the chain nothing is posted.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

from polytraders_hookspecs import Clock, ExchangeReply

from polytraders_pfh.errors import PfhError
from polytraders_pfh.host.errors import PayloadError
from polytraders_pfh.host.metrics import HostMetrics
from polytraders_pfh.host.payloads import decode
from polytraders_pfh.host.replies import reply_text
from polytraders_pfh.host.tasks import Tasks

_log: Final = logging.getLogger(__name__)
_EVERY_NS: Final = 5_000_000_000
_AGAIN_NS: Final = 500_000_000
_SILENCE_NS: Final = 10_000_000_000
_NS: Final = 1_000_000_000
_CONTESTED_AFTER: Final = 3
_MAX_ID: Final = 200
_OK: Final = 200
_WRONG_ID: Final = 400

CONTESTED: Final = (
    "another sender moves this key's heartbeat ids, so the exchange would not notice the end of this host; "
    "give each sender a key of its own"
)
Pulse = Literal["steady", "contested", "silent"]


class Heartbeat:
    """Sends the beats of one API key, in a task of its own.

    Args:
        send: Sends one beat with the given id, under a deadline of its own.
        clock: For the cadence, and for how long it has been silent.
        metrics: Counts beats and shows whether it is healthy.
    """

    def __init__(
        self, send: Callable[[str], Awaitable[ExchangeReply]], clock: Clock, metrics: HostMetrics
    ) -> None:
        self._send = send
        self._clock = clock
        self._metrics = metrics
        self._id = ""
        self._accepted_ns: int | None = None
        self._moved_in_a_row = 0
        self._fault = "none was sent yet"
        self._tasks = Tasks(limit=1)
        metrics.show_heartbeat(lambda: self.healthy)

    @property
    def healthy(self) -> bool:
        """Whether a beat that was sent within the last ten seconds was accepted."""
        return self._accepted_ns is not None and self._silent_ns() <= _SILENCE_NS

    @property
    def pulse(self) -> Pulse:
        """How it stands: steady, contested (beats are taken, and another sender moves the chain), silent."""
        if not self.healthy:
            return "silent"
        return "contested" if self._moved_in_a_row >= _CONTESTED_AFTER else "steady"

    def obstacle(self) -> str:
        """Return why no order may be posted now, or an empty text."""
        if self.pulse == "contested":
            return CONTESTED
        if self.healthy:
            return ""
        if self._accepted_ns is None:
            return f"the exchange has accepted no heartbeat yet ({self._fault}); wait for the first one"
        return (
            f"the exchange has accepted no heartbeat for {self._silent_ns() // _NS} s ({self._fault}) and "
            "may have cancelled every order of this key; wait for the next accepted one"
        )

    async def open(self) -> None:
        """Send the first beat, whatever comes of it, and go on in the background."""
        pause_ns = await self._beat()
        self._tasks.spawn(self._run(pause_ns), "heartbeat")

    async def close(self) -> None:
        """Send no more. The exchange cancels this key's orders ten to fifteen seconds later."""
        await self._tasks.close()

    async def _run(self, pause_ns: int) -> None:
        while True:
            await self._clock.sleep(pause_ns / _NS)
            pause_ns = await self._beat()

    async def _beat(self) -> int:
        """Send one beat, and once more when the exchange names the id it expects; return the next pause."""
        started_ns = self._clock.monotonic_ns()
        for corrected in (False, True):
            sent_ns = self._clock.monotonic_ns()
            reply = await self._reply()
            named = _id_in(reply)
            if reply.status == _OK and named is not None:
                self._accepted(named, sent_ns, corrected=corrected)
                return max(_AGAIN_NS, started_ns + _EVERY_NS - self._clock.monotonic_ns())
            if reply.status != _WRONG_ID or named is None:
                break
            self._id = named
            if not corrected:
                self._moved()
        self._failed(reply)
        return _AGAIN_NS

    async def _reply(self) -> ExchangeReply:
        try:
            return await self._send(self._id)
        except PfhError as e:
            return ExchangeReply(status=None, detail=str(e))

    def _accepted(self, next_id: str, sent_ns: int, *, corrected: bool) -> None:
        # Counted from the send: the exchange counts from when it came in, which is later.
        self._id, self._accepted_ns, self._fault = next_id, sent_ns, ""
        if not corrected:
            self._moved_in_a_row = 0
        self._metrics.heartbeats["corrected" if corrected else "accepted"].inc()

    def _moved(self) -> None:
        """Count a beat whose id was not the expected one: a lost answer, or somebody else's beat between."""
        self._moved_in_a_row += 1
        if self._moved_in_a_row == _CONTESTED_AFTER:
            _log.error(
                "heartbeat ids were moved by another sender %d times in a row; this API key needs one owner: "
                "stop the other sender, or give it a key of its own",
                _CONTESTED_AFTER,
            )

    def _failed(self, reply: ExchangeReply) -> None:
        self._fault = f"status {reply.status}, {reply_text(reply)}" if reply.status else reply.detail
        self._metrics.heartbeats["failed"].inc()
        _log.warning("heartbeat was not accepted: %s", self._fault)

    def _silent_ns(self) -> int:
        return self._clock.monotonic_ns() - (self._accepted_ns or 0)


def _id_in(reply: ExchangeReply) -> str | None:
    """Return the id that an answer names: the next one in a 200, the expected one in a 400."""
    try:
        members: Any = decode(reply.body)
    except PayloadError:
        return None
    named = members.get("heartbeat_id") if isinstance(members, dict) else None
    return named if isinstance(named, str) and len(named) <= _MAX_ID else None
