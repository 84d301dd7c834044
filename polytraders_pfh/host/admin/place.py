"""Where a host's door is: `admin/` in its state directory, which nobody else may enter.

admin/token     the secret, one line
admin/socket    the door, where it is a Unix socket
admin/url       its address, where it is on loopback
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from polytraders_pfh.errors import ConfigError

_OTHERS: Final = 0o077
_MAX_SOCKET_PATH: Final = 107
"""Bytes that fit into a Unix socket's address on Linux."""


class AdminPlace:
    """The directory of one host's door.

    Attributes:
        token: The token's file.
        socket: The Unix socket.
        url: The file that holds the loopback address.
    """

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "admin"
        self.token = self.path / "token"
        self.socket = self.path / "socket"
        self.url = self.path / "url"

    def make(self) -> None:
        """Create the directory, mode 0700, and draw it in when it was wider.

        Raises:
            ConfigError: It cannot be, or belongs to another user.
        """
        try:
            self.path.mkdir(mode=0o700, exist_ok=True)
            found = self.path.stat(follow_symlinks=False)
            if found.st_mode & _OTHERS:
                self.path.chmod(0o700)
        except OSError as e:
            raise ConfigError(
                f"the door's directory {self.path} was unusable ({e.strerror}); "
                "give it to this user, mode 0700"
            ) from None
        if found.st_uid != os.geteuid():
            raise ConfigError(
                f"the door's directory {self.path} belonged to user {found.st_uid}; give it to user "
                f"{os.geteuid()}, who runs this host"
            )

    def bind(self) -> socket.socket:
        """Return a listening Unix socket of mode 0600. The state directory's lock makes a left one stale.

        Raises:
            OSError: It cannot be made.
        """
        self.socket.unlink(missing_ok=True)
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with socket_address(self.socket) as address:
                door.bind(address)
            self.socket.chmod(0o600)
            door.setblocking(False)
        except BaseException:
            door.close()
            raise
        return door

    def clear(self) -> None:
        """Leave no address behind that nobody answers at."""
        self.socket.unlink(missing_ok=True)
        self.url.unlink(missing_ok=True)


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """The address of a Unix socket, however deep its directory lies.

    Raises:
        OSError: The directory cannot be opened.
    """
    if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
