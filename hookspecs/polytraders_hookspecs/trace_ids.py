"""From a Polytraders trace id to an OpenTelemetry one: a fixed function, part of the contract (SPEC 8)."""

import hashlib
import re
from typing import Final

_DOMAIN: Final = b"polytraders/otel/1\0"
_SHORT: Final = re.compile(r"trc_([0-9a-f]{16})", re.ASCII)


def otel_trace_id(trace_id: str) -> int:
    """Return the 128-bit OTel trace id of a Polytraders `trace_id`.

    `trc_` and 16 hex digits keep those digits in front, so that a person recognises them in Jaeger; the
    rest, and all of any other id, comes from SHA-256. The low half is what ratio samplers look at, so
    every process takes the same sampling decision for one order without talking.
    """
    digest = hashlib.sha256(_DOMAIN + trace_id.encode()).hexdigest()
    match = _SHORT.fullmatch(trace_id)
    number = int(match[1] + digest[:16] if match else digest[:32], 16)
    return number or 1
