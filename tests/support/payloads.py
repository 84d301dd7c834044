"""Wire payloads kept as files: `tests/payloads/<surface>_<message>_<case>.json`."""

import json
from pathlib import Path
from typing import Any

PAYLOADS = Path(__file__).parent.parent / "payloads"


def payload(name: str) -> Any:
    """The payload of this name, decoded."""
    return json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))
