"""Where reports go: a bus in memory, and one in a JSON-lines file that is fsynced before it answers.

Both know a message id again and take it once; a sender may therefore offer a report as often as it likes.
"""

import asyncio
import json
import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from polytraders_pfh.host.errors import BusError

_MAX_WAITING: Final = 10_000
_MAX_IDS: Final = 100_000
_TAIL_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """One report as it was published."""

    topic: str
    key: str
    payload: bytes
    message_id: str


class SeenIds:
    """The newest ids, up to a bound; the oldest are forgotten first."""

    def __init__(self, limit: int = _MAX_IDS) -> None:
        self._limit = limit
        self._ids: dict[str, None] = {}

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._ids

    def add(self, message_id: str) -> None:
        self._ids[message_id] = None
        if len(self._ids) > self._limit:
            del self._ids[next(iter(self._ids))]


class MemoryReportBus:
    """Keeps the newest messages in this process, for tests and demonstrations.

    Attributes:
        messages: What was published, oldest first, each message id once.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self.messages: deque[Message] = deque(maxlen=limit)
        self._seen = SeenIds()

    async def open(self) -> None:
        """Nothing to open."""

    async def publish(self, topic: str, key: str, payload: bytes, message_id: str) -> None:
        if message_id not in self._seen:
            self._seen.add(message_id)
            self.messages.append(Message(topic, key, payload, message_id))

    async def close(self) -> None:
        """Nothing to close."""


class FileReportBus:
    """Appends reports to a JSON-lines file; reports that arrive together share one fsync.

    A line is `{"message_id", "topic", "key", "payload"}`, the payload as the JSON it is. After the first
    failed write nothing is accepted any more: what an fsync lost cannot be known, so a restart reads the
    file again and the senders offer again what was not acknowledged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._seen = SeenIds()
        self._waiting: dict[str, tuple[bytes, asyncio.Future[None]]] = {}
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._broken: OSError | None = None

    async def open(self) -> None:
        """Open the file, drop a torn last line, and learn which messages it holds.

        Raises:
            BusError: The file cannot be opened or read.
        """
        try:
            self._fd = await asyncio.to_thread(self._open_file)
        except OSError as e:
            raise BusError(
                f"report file {self._path} was unusable ({e.strerror}); make it writable"
            ) from None
        self._writer = asyncio.create_task(self._write_batches(), name=f"report bus {self._path.name}")

    async def publish(self, topic: str, key: str, payload: bytes, message_id: str) -> None:
        """Return when the report is on disk, or was already.

        Raises:
            BusError: The bus is closed, broken or full, or the payload is not one line of JSON.
        """
        if message_id in self._seen:
            return
        if self._writer is None or self._broken is not None:
            raise BusError(
                f"report file {self._path} was {self._broken or 'closed'}; offer the report again later"
            )
        waiting = self._waiting.get(message_id)
        if waiting is None:
            if len(self._waiting) >= _MAX_WAITING:
                raise BusError(
                    f"{_MAX_WAITING} reports were waiting for the disk; offer the report again later"
                )
            waiting = (_line(topic, key, payload, message_id), asyncio.get_running_loop().create_future())
            waiting[1].add_done_callback(_take_note)
            self._waiting[message_id] = waiting
            self._wake.set()
        await asyncio.shield(waiting[1])

    async def close(self) -> None:
        """Write what is waiting, then close the file."""
        writer, self._writer = self._writer, None
        if writer is not None:
            self._wake.set()
            await writer
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    async def _write_batches(self) -> None:
        while self._writer is not None or self._waiting:
            await self._wake.wait()
            self._wake.clear()
            batch = dict(self._waiting)
            if batch:
                await self._write(batch)

    async def _write(self, batch: dict[str, tuple[bytes, asyncio.Future[None]]]) -> None:
        error: BusError | None = None
        if self._broken is None:
            try:
                await asyncio.to_thread(self._append, b"".join(line for line, _ in batch.values()))
            except OSError as e:
                self._broken = e
        if self._broken is not None:
            error = BusError(
                f"report file {self._path} was {self._broken}; restart the host when it is mended"
            )
        for message_id, (_, done) in batch.items():
            del self._waiting[message_id]
            if error is None:
                self._seen.add(message_id)
                done.set_result(None)
            else:
                done.set_exception(error)

    def _append(self, data: bytes) -> None:
        assert self._fd is not None
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        os.fsync(self._fd)

    def _open_file(self) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            size = os.fstat(fd).st_size
            start = max(0, size - _TAIL_BYTES)
            tail = os.pread(fd, size - start, start)
            whole = tail[: tail.rfind(b"\n") + 1]
            if len(whole) < len(tail):
                os.ftruncate(fd, start + len(whole))
                os.fsync(fd)
            for line in whole.splitlines()[1 if start else 0 :]:
                self._seen.add(_id_in(line))
        except BaseException:
            os.close(fd)
            raise
        return fd


def _line(topic: str, key: str, payload: bytes, message_id: str) -> bytes:
    try:
        json.loads(payload)
    except ValueError:
        payload = b"\n"
    if b"\n" in payload or b"\r" in payload:
        raise BusError(f"the payload of message {message_id!r} was not one line of JSON; send compact JSON")
    head = json.dumps({"message_id": message_id, "topic": topic, "key": key}, separators=(",", ":"))
    return head[:-1].encode("ascii") + b',"payload":' + payload + b"}\n"


def _id_in(line: bytes) -> str:
    try:
        return str(json.loads(line)["message_id"])
    except (ValueError, KeyError, TypeError):
        return ""


def _take_note(done: asyncio.Future[None]) -> None:
    if not done.cancelled():
        done.exception()  # a sender that gave up must not leave an unread error behind
