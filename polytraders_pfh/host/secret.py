"""Secrets: where they are kept, and a wrapper that does not show them.

A config file names the place of a secret, an environment variable or a file, and never holds one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn, Self

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
            SecretMissing: Nothing there, or it cannot be read, or it is longer than 4096 bytes.
        """
        text = (environ.get(self.env, "") if self.env else self._file_text()).strip()
        if not text:
            raise SecretMissing(f"{self} was empty or absent; put the secret there")
        return Secret(text)

    def _file_text(self) -> str:
        assert self.file is not None
        try:
            with self.file.open("rb") as f:
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
