"""The directory of one journal: its segments by first number, its lock, its reserve of disk.

journal-000000000001.db   a segment; the number is its first record's     lock      who writes
journal-000000000001.db-wal, -shm   SQLite's own, beside the live one     reserve   256 KiB, for a full disk
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from polytraders_pfh.engine.journal.commit import JournalFailed

RESERVE_BYTES: Final = 256 * 1024
_NAME: Final = re.compile(r"journal-([0-9]{12})\.db")
_TIGHT: Final = 64 * 1024


class Shelf:
    """Where the segments stand."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock: int | None = None

    def lay_out(self) -> None:
        """Create the directory when it is not there, for its owner alone.

        Raises:
            OSError: It cannot be.
        """
        if not self.directory.is_dir():
            self.directory.mkdir(mode=0o700, parents=True)
            sync_directory(self.directory.parent)

    def segments(self) -> list[Path]:
        """Return the segments there are, oldest first."""
        named = [path for path in self.directory.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(named, key=lambda path: path.name)

    def path_of(self, first_seq: int) -> Path:
        """Return where the segment that begins with this number stands."""
        return self.directory / f"journal-{first_seq:012d}.db"

    def lock(self) -> None:
        """Be the one who writes this journal, until `unlock` or the end of the process.

        Raises:
            JournalFailed: Somebody else is.
            OSError: The lock file cannot be opened.
        """
        held = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(held, 64).decode("ascii", "replace").strip() or "unknown"
            os.close(held)
            raise JournalFailed(
                f"process {owner} writes the journal in {self.directory} already; stop it, "
                "or give this host a state directory of its own"
            ) from None
        os.ftruncate(held, 0)
        os.pwrite(held, f"{os.getpid()}\n".encode(), 0)
        self._lock = held

    def unlock(self) -> None:
        """Let somebody else write."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def keep_reserve(self) -> None:
        """Hold disk space back for the day on which there is none.

        Raises:
            OSError: There is none already.
        """
        path = self.directory / "reserve"
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(held, 0, RESERVE_BYTES)
        except OSError:
            with suppress(OSError):
                path.unlink()
            raise
        finally:
            os.close(held)

    def spend_reserve(self) -> bool:
        """Give the reserve's room free; False when there is none left to give."""
        try:
            (self.directory / "reserve").unlink()
        except OSError:
            return False
        return True

    def crowded(self) -> bool:
        """Whether the file system has no room left to speak of."""
        try:
            found = os.statvfs(self.directory)
        except OSError:
            return False
        return found.f_bavail * found.f_frsize < _TIGHT


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable.

    Raises:
        OSError: They are not.
    """
    with _opened(directory) as held:
        os.fsync(held)


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield held
    finally:
        os.close(held)
