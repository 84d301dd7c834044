"""Secrets: where they are kept, and a wrapper that does not show them.

A config file names the place of a secret, an environment variable or a file, and never holds one.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from polytraders_pfh.host.errors import SecretMissing

_MAX_SECRET_BYTES: Final = 4096


class Secret:
    """A text that shows in no repr, no log line and no pickle. Only `reveal` hands it out."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not serialised; pass its SecretSource instead")


class SecretSource(BaseModel):
    """The place of a secret: `{ env = "NAME" }` or `{ file = "/path" }`, exactly one of the two."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    env: str | None = Field(default=None, min_length=1, max_length=256)
    file: Path | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError('name one place: { env = "NAME" } or { file = "/path" }')
        return self

    def __str__(self) -> str:
        return f"environment variable {self.env}" if self.env else f"file {self.file}"

    def read(self, environ: Mapping[str, str]) -> Secret:
        """Return the secret, without surrounding white space.

        Raises:
            SecretMissing: Nothing there, or it cannot be read, others may read it too, or it is longer than
                4096 bytes.
        """
        text = (environ.get(self.env, "") if self.env else self._file_text()).strip()
        if not text:
            raise SecretMissing(f"{self} was empty or absent; put the secret there")
        return Secret(text)

    def rooted(self, base_dir: Path) -> Self:
        """Return the place with a relative file taken from `base_dir`."""
        return self if self.file is None else self.model_copy(update={"file": base_dir / self.file})

    def _file_text(self) -> str:
        assert self.file is not None
        try:
            with self.file.open("rb") as f:
                _check_owner(os.fstat(f.fileno()), self)
                data = f.read(_MAX_SECRET_BYTES + 1)
        except OSError as e:
            raise SecretMissing(
                f"{self} was unreadable ({e.strerror}); create it, readable by this user"
            ) from None
        if len(data) > _MAX_SECRET_BYTES:
            raise SecretMissing(f"{self} was over {_MAX_SECRET_BYTES} bytes; a secret is one short line")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise SecretMissing(f"{self} was not UTF-8 text; write the secret as one line") from None


def _check_owner(facts: os.stat_result, place: SecretSource) -> None:
    """Return when a file is this user's, or root's, and nobody else's to read.

    The group of root may read: that is how systemd shows the access list of a credential it hands out.
    """
    mode = stat.S_IMODE(facts.st_mode)
    open_to_others = 0o037 if facts.st_uid == facts.st_gid == 0 else 0o077
    if mode & open_to_others:
        raise SecretMissing(f"{place} was mode {mode:04o}, open to others; run: chmod 600 {place.file}")
    if facts.st_uid not in {os.getuid(), 0}:
        raise SecretMissing(
            f"{place} belonged to user {facts.st_uid}, who can change it; make it this user's ({os.getuid()})"
        )


def rooted_secrets(section: Any, base_dir: Path) -> Any:
    """Return a part of a config with its secrets' relative files taken from `base_dir`."""
    if isinstance(section, SecretSource):
        return section.rooted(base_dir)
    if isinstance(section, BaseModel):
        parts = {
            name: rooted_secrets(getattr(section, name), base_dir) for name in type(section).model_fields
        }
        return section.model_copy(update=parts)
    if isinstance(section, dict):
        return {name: rooted_secrets(part, base_dir) for name, part in section.items()}
    return section
