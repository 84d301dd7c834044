"""The report bus on JetStream: each report once in the stream, however often and late it is offered."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from nats.errors import Error as NatsError
from nats.js.api import Header, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError
from opentelemetry.trace import get_current_span
from polytraders_hookspecs import Clock, WireError, read_json

from polytraders_pfh.host.cluster.link import BusLink
from polytraders_pfh.host.cluster.partitions import partition_of
from polytraders_pfh.host.cluster.scan import last_sequence, read_past
from polytraders_pfh.host.cluster.streams import ensure_stream
from polytraders_pfh.host.cluster.whole import whole
from polytraders_pfh.host.config_nats import ReportsNatsSection
from polytraders_pfh.host.errors import BusError
from polytraders_pfh.telemetry.traceparent import traceparent

SEVEN_YEARS_S: Final = 2_557 * 86_400
"""Two leap days included."""
KEY_HEADER: Final = "Polytraders-Key"
TRACE_HEADER: Final = "traceparent"
"""Which span sent it (W3C), so that whoever reads the stream goes on in the order's own trace."""
_WRONG_LAST: Final = frozenset({10071, 10164})
_SKEW_MS: Final = 60_000
_MAX_KNOWN: Final = 1_000_000


@dataclass(slots=True)
class _Past:
    """What is known of one subject: ids stored since a moment, up to a sequence."""

    since_ms: int = 0
    upto: int = 0
    ids: set[str] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class NatsReportBus:
    """The contract's `ReportBus` on a stream of 7 years.

    Args:
        link: The connection, shared with whatever else of this host uses it; opened and closed elsewhere.
        section: Stream, topic, partitions.
        replicas: On how many servers the stream is kept.
        clock: For the age of reports.
    """

    def __init__(self, link: BusLink, section: ReportsNatsSection, replicas: int, clock: Clock) -> None:
        self._link = link
        self._section = section
        self._replicas = replicas
        self._clock = clock
        self._fresh_ms = round(section.dedup_window_s * 500)
        self._past: dict[str, _Past] = {}

    async def open(self) -> None:
        """Make the stream, or hold it against what it has to be.

        Raises:
            BusError: It is another one, or the bus does not answer.
        """
        await ensure_stream(self._link.jetstream, report_stream(self._section, self._replicas))

    async def publish(self, topic: str, key: str, payload: bytes, message_id: str) -> None:
        """Return when the stream has the report, once.

        Raises:
            BusError: It does not, or nobody knows.
        """
        if topic != self._section.topic:
            raise BusError(
                f"the topic was {topic}; stream {self._section.stream} is for {self._section.topic}"
            )
        subject = f"{topic}.{partition_of(key, self._section.partitions)}"
        headers = {Header.MSG_ID.value: message_id, KEY_HEADER: key}
        if sender := traceparent(get_current_span()):
            headers[TRACE_HEADER] = sender
        made_ms = _made_ms(payload)
        if made_ms is not None and self._clock.now_ms() - made_ms < self._fresh_ms:
            await self._send(subject, payload, headers)
        else:
            await self._send_once(subject, payload, headers, made_ms or 0)

    async def close(self) -> None:
        """Nothing of its own to close."""

    async def _send_once(self, subject: str, payload: bytes, headers: dict[str, str], made_ms: int) -> None:
        """Send a report that the server's memory of ids may have forgotten: look for it first.

        Whoever writes to the subject between the look and the send makes the send fail; then look again.
        """
        past = self._past.setdefault(subject, _Past())
        async with past.lock:
            while True:
                await self._look(subject, past, max(made_ms - _SKEW_MS, 0))
                if headers[Header.MSG_ID.value] in past.ids:
                    return
                expected = headers | {Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(past.upto)}
                if await self._send(subject, payload, expected):
                    return

    async def _look(self, subject: str, past: _Past, since_ms: int) -> None:
        """Learn the ids on a subject since a moment; what was learnt before is not read again."""
        js, stream = self._link.jetstream, self._section.stream
        if not past.upto or since_ms < past.since_ms or len(past.ids) > _MAX_KNOWN:
            past.ids, past.upto, past.since_ms = set(), 0, since_ms
        upto = await last_sequence(js, stream, subject)
        when = past.since_ms if not past.upto else None
        async for _, msg in read_past(
            js, stream, subject, upto, after=past.upto, since_ms=when, headers_only=True
        ):
            past.ids.add((msg.headers or {}).get(Header.MSG_ID.value, ""))
        past.upto = upto

    async def _send(self, subject: str, payload: bytes, headers: dict[str, str]) -> bool:
        """Return True when the stream has it, False when the subject no longer ends where it was expected."""
        try:
            await whole(
                self._link.jetstream.publish(subject, payload, stream=self._section.stream, headers=headers)
            )
        except APIError as e:
            if e.err_code in _WRONG_LAST:
                return False
            raise BusError(f"the bus refused a report ({e.description}); see its log and its disk") from None
        except (TimeoutError, NatsError) as e:
            raise BusError(f"the bus did not take a report ({e or 'no answer'}); offer it again") from None
        return True


def report_stream(section: ReportsNatsSection, replicas: int) -> StreamConfig:
    """Return the stream that reports are kept in."""
    return StreamConfig(
        name=section.stream,
        description="Execution reports: evidence of trading, kept for 7 years",
        subjects=[f"{section.topic}.{n}" for n in range(section.partitions)],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        max_age=SEVEN_YEARS_S,
        duplicate_window=section.dedup_window_s,
        num_replicas=replicas,
        deny_delete=True,
        deny_purge=True,
    )


def _made_ms(payload: bytes) -> int | None:
    """Return when a report was written, in Unix ms, or None when it does not say."""
    try:
        made = read_json(payload)["evaluated_at_ms"]
    except (WireError, KeyError, TypeError):
        return None
    return made if isinstance(made, int) else None
