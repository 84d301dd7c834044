"""The host's directory: one host at a time, a room for each bot, and the address of the host's window."""

import fcntl
import os
import re
from pathlib import Path
from typing import Final

from polytraders_pfh.errors import ConfigError

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)


class StateDir:
    """The directory, held by this host until it is released."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def hold(self) -> None:
        """Create the directory and take it.

        Raises:
            ConfigError: It cannot be created or written, or another host holds it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(self.path / "host.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise ConfigError(
                f"host.state_dir was {self.path}, which another host holds; give each host its own"
            ) from None
        except OSError as e:
            raise ConfigError(
                f"host.state_dir was {self.path}, which is unusable ({e.strerror}); make it writable"
            ) from None

    def of_bot(self, plugin_name: str) -> Path:
        """Return a bot's own directory, created when needed.

        Raises:
            ConfigError: The name is no file name.
        """
        if not _NAME.fullmatch(plugin_name):
            raise ConfigError(
                f"bots.{plugin_name!r} is no usable name; use letters, digits, '.', '_' and '-'"
            )
        path = self.path / "bots" / plugin_name
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    def show_url(self, url: str) -> None:
        """Write the window's address to the file `http_url`, where tools look for it."""
        (self.path / "http_url").write_text(url + "\n", encoding="ascii")

    def release(self) -> None:
        if self._lock is not None:
            (self.path / "http_url").unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None
