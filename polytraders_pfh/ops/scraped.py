"""What a Prometheus saw of the decisions: its raw samples, added up exactly, with every restart's reset."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

from polytraders_pfh.core.gates import Count
from polytraders_pfh.core.reasons import Reason
from polytraders_pfh.ops.gates import EvidenceError
from polytraders_pfh.telemetry.names import DECISIONS

_STEP_MS: Final = 6 * 3_600_000
_BEFORE_MS: Final = _STEP_MS
"""How far before the window a series must have a sample, or else it began inside the window, from 0."""
_TIMEOUT_S: Final = 30.0
_MOST_BYTES: Final = 256 * 1024 * 1024


@dataclass(slots=True)
class _Series:
    """One counter on its way through the window: its last value, and what it grew by since the start."""

    last: Decimal | None = None
    grown: Decimal = field(default_factory=Decimal)

    def take(self, at_ms: int, value: Decimal, since_ms: int) -> None:
        """Take the next sample. A counter that falls was begun anew, from 0."""
        if at_ms > since_ms:
            before = self.last if self.last is not None and self.last <= value else Decimal(0)
            self.grown += value - before
        self.last = value


def counted(url: str, since_ms: int, until_ms: int) -> Count:
    """Return how many partial fills were decided between two moments (Unix ms), and how many were dust.

    `increase()` extrapolates, so the samples themselves are asked for and added up.

    Args:
        url: The Prometheus, such as http://127.0.0.1:9090, as its API is reached from here.
        since_ms: What was counted up to then is left out.
        until_ms: The last moment that counts.

    Raises:
        EvidenceError: It did not answer, or with something else.
    """
    series: dict[str, _Series] = {}
    for labels, samples in _samples(url, since_ms - _BEFORE_MS, until_ms):
        one = series.setdefault(json.dumps(labels, sort_keys=True), _Series())
        for at_s, value in samples:
            one.take(int(Decimal(at_s) * 1000), Decimal(value), since_ms)
    totals: dict[str, Decimal] = {}
    for key, one in series.items():
        verdict = json.loads(key).get("verdict", "")
        totals[verdict] = totals.get(verdict, Decimal(0)) + one.grown
    totals.pop(Reason.EVENT_REJECTED.value, None)
    dust = totals.get(Reason.PARTIAL_FILL_DUST_AUTO_CANCEL.value, Decimal(0))
    return Count(int(sum(totals.values())), int(dust))


def _samples(url: str, since_ms: int, until_ms: int) -> Iterator[tuple[dict[str, str], list[list[str]]]]:
    """Yield each series' raw samples, part by part in time, so that an answer stays of a bearable size."""
    at_ms = since_ms
    while at_ms < until_ms:
        end_ms = min(at_ms + _STEP_MS, until_ms)
        # A range selector takes both its ends; one millisecond less, and no sample comes twice.
        selector = f"{DECISIONS.full_name}[{end_ms - at_ms - 1}ms]"
        for one in _asked(url, selector, end_ms):
            yield one["metric"], one["values"]
        at_ms = end_ms


def _asked(url: str, selector: str, at_ms: int) -> list[dict[str, Any]]:
    if urlsplit(url).scheme not in {"http", "https"}:
        raise EvidenceError(f"{url!r} is no address of a Prometheus; write http://host:port")
    query = urlencode({"query": selector, "time": f"{at_ms // 1000}.{at_ms % 1000:03d}"})
    try:
        with urlopen(f"{url.rstrip('/')}/api/v1/query?{query}", timeout=_TIMEOUT_S) as answer:  # noqa: S310
            body = json.loads(answer.read(_MOST_BYTES), parse_float=str, parse_int=str)
        found: list[dict[str, Any]] = body["data"]["result"]
    except (URLError, OSError) as e:
        raise EvidenceError(f"the Prometheus at {url} did not answer ({e}); check the address") from e
    except (ValueError, KeyError, TypeError) as e:
        raise EvidenceError(f"the Prometheus at {url} answered with something else ({e})") from e
    return found
