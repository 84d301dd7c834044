"""Reading a stream's past: one subject, from a place or a moment on, up to what stands there now."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy, RawStreamMsg
from nats.js.errors import NotFoundError

from polytraders_pfh.host.cluster.whole import whole
from polytraders_pfh.host.errors import BusError

_SILENCE_S: Final = 5.0
_NO_STREAM: Final = 10059


async def newest_message(js: JetStreamContext, stream: str, subject: str) -> RawStreamMsg | None:
    """Return the last message on a subject, or None without any.

    Raises:
        BusError: The bus did not say, or has no such stream.
    """
    try:
        return await whole(js.get_last_msg(stream, subject))
    except NotFoundError as e:
        if e.err_code == _NO_STREAM:
            raise BusError(f"{stream} is no stream there; start a host first, or mend the name") from None
        return None
    except (TimeoutError, NatsError) as e:
        raise BusError(f"the end of {subject} could not be read ({e or 'no answer'})") from None


async def last_sequence(js: JetStreamContext, stream: str, subject: str) -> int:
    """Return the sequence of the last message on a subject, 0 without any. Raises BusError."""
    newest = await newest_message(js, stream, subject)
    return 0 if newest is None else newest.seq or 0


async def read_past(
    js: JetStreamContext,
    stream: str,
    subject: str,
    upto: int,
    *,
    after: int = 0,
    since_ms: int | None = None,
    headers_only: bool = False,
) -> AsyncIterator[tuple[int, Msg]]:
    """Yield the messages of a subject with their sequences, in order, up to the sequence `upto`.

    Args:
        js: The bus's streams.
        stream: The stream.
        subject: The subject.
        upto: The last sequence on the subject, as `last_sequence` told.
        after: Only those beyond this sequence.
        since_ms: Only those stored since this moment (Unix ms); in place of `after`.
        headers_only: Leave the bodies on the server.

    Raises:
        BusError: The bus fell silent.
    """
    if upto <= after:
        return
    config = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=after + 1)
    if since_ms is not None:
        moment = datetime.fromtimestamp(since_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
        config = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=moment)  # type: ignore[arg-type]  # RFC 3339
    try:
        sub = await whole(
            js.subscribe(
                subject, stream=stream, ordered_consumer=True, config=config, headers_only=headers_only
            )
        )
        try:
            if not (await whole(sub.consumer_info())).num_pending and not sub.delivered:
                return
            while True:
                msg = await whole(sub.next_msg(timeout=_SILENCE_S))
                seq = msg.metadata.sequence.stream
                yield seq, msg
                if seq >= upto:
                    return
        finally:
            await whole(sub.unsubscribe())
    except (TimeoutError, NatsError) as e:
        raise BusError(f"{subject} could not be read back ({e}); offer it again later") from None
