"""What every config file of the host's programs shares: TOML with exact numbers, sections without extras."""

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from polytraders_pfh.errors import ConfigError


class Section(BaseModel):
    """A part of a config file: frozen, no unknown keys, no values in error messages."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def read_toml(path: Path) -> dict[str, Any]:
    """Return what a TOML file says, fractions as Decimal.

    Raises:
        ConfigError: The file cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"), parse_float=Decimal)
    except OSError as e:
        raise ConfigError(f"config file {path} was unreadable ({e.strerror}); give a readable path") from None
    except UnicodeDecodeError as e:
        raise ConfigError(f"config file {path} was not UTF-8 at byte {e.start}; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as e:
        raise ConfigError(f"config file {path} was not TOML ({e}); fix that line") from None
