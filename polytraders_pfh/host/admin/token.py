"""The secret that opens the door: a file that its owner alone may read, looked at anew for every order.

A token is rotated by replacing the file. One that others could read is refused, by the host and by the
client alike, since it may be known by now.
"""

import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from polytraders_pfh.host.errors import HostError

MIN_TOKEN_BYTES: Final = 32
_MAX_TOKEN_BYTES: Final = 512
_OTHERS: Final = 0o077


class TokenRefused(HostError):
    """The token is missing, wrong, or could be read by others. The message says what to do."""


class AdminToken:
    """One host's token."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Write a random token when there is none.

        Raises:
            OSError: It cannot be written.
        """
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return
        with os.fdopen(fd, "w", encoding="ascii") as f:
            f.write(secrets.token_urlsafe(MIN_TOKEN_BYTES) + "\n")

    def read(self) -> bytes:
        """Return the token.

        Raises:
            TokenRefused: No file, not this user's alone, or too short to be one.
        """
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise TokenRefused(
                f"there was no token file {self.path}; the host writes one when it starts"
            ) from None
        except OSError as e:
            raise TokenRefused(
                f"token file {self.path} was unreadable ({e.strerror}); read it as its owner"
            ) from None
        with os.fdopen(fd, "rb") as f:
            self._check_owner(os.fstat(fd), self.path.parent.stat().st_uid)
            token = f.read(_MAX_TOKEN_BYTES + 1).strip()
        if not MIN_TOKEN_BYTES <= len(token) <= _MAX_TOKEN_BYTES:
            raise TokenRefused(
                f"token file {self.path} held {len(token)} characters; delete it and restart the host, or "
                f"write {MIN_TOKEN_BYTES} to {_MAX_TOKEN_BYTES} random ones"
            )
        return token

    def check(self, given: bytes) -> None:
        """Return when `given` is the token.

        Raises:
            TokenRefused: It is not, or nothing may be compared with.
        """
        expected = hashlib.sha256(self.read()).digest()
        if not given:
            raise TokenRefused(f"no token came with the order; it stands in {self.path}")
        # Hashes have one length, so that the time taken says nothing about the token's.
        if not hmac.compare_digest(hashlib.sha256(given).digest(), expected):
            raise TokenRefused(f"the token was wrong; the right one stands in {self.path}")

    def _check_owner(self, found: os.stat_result, owner: int) -> None:
        """Return when the file is its directory's owner's, or root's, and nobody else's to read or write."""
        mode = stat.S_IMODE(found.st_mode)
        if not stat.S_ISREG(found.st_mode):
            raise TokenRefused(f"token file {self.path} was no plain file; delete it and restart the host")
        if found.st_uid not in {owner, 0}:
            raise TokenRefused(
                f"token file {self.path} belonged to user {found.st_uid}, and its directory to user {owner}; "
                "delete it and restart the host"
            )
        if mode & _OTHERS:
            raise TokenRefused(
                f"token file {self.path} had mode {mode:04o}, so others may know it; delete it and restart "
                "the host, which writes a new one with mode 0600"
            )
