"""The design card's own examples, kept as files: `tests/payloads/card_<what>.json`."""

import json
from pathlib import Path
from typing import Any

import pytest

_TESTS = Path(__file__).parent.parent
_SEED = _TESTS.parent.parent / "shared" / "spec" / "partialfillhandler.seed.json"


def card_bytes(name: str) -> bytes:
    """One example as the bytes a host would send."""
    return (_TESTS / "payloads" / f"card_{name}.json").read_bytes()


def card(name: str) -> Any:
    """One example, decoded."""
    return json.loads(card_bytes(name))


def seed() -> Any:
    """The whole card; the test is skipped where it does not lie beside the repository."""
    if not _SEED.exists():
        pytest.skip("the design card does not lie beside this checkout")
    return json.loads(_SEED.read_text(encoding="utf-8"))
