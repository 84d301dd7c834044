"""Signed events of one morning as they came over the bus, kept in a file, and the exchange behind them.

`PYTHONPATH=tests python tests/adversarial/recorded.py` writes the file anew. Twelve orders under two keys:
each fills twice, every third under the same policy; a third is closed at the end, and strategies had declared
half of them before.
"""

import json
import sys
from pathlib import Path

from polytraders_hookspecs import SignedEvent, sign_event
from polytraders_hookspecs.wire import print_json
from support.fake_host import BUILDER, KEY, MARKET, NOW_MS, TOKEN, FakeExchange, Resting, book

CORPUS = Path(__file__).with_name("corpus")
FILE = CORPUS / "recorded_events.jsonl"
KEYS = {"k1": KEY, "k2": b"another key of at least 32 bytes"}
ORDERS = tuple(f"0x{n:064x}" for n in range(1, 13))
SIZE_MICRO, PRICE_MICRO = 500_000_000, 620_000
POLICIES = ("hold", "cancel", "chase")
HOOKS = {"decision": "on_decision_report", "fill": "on_partial_fill", "closed": "on_order_closed"}


def events() -> list[tuple[str, SignedEvent]]:
    """Return the kept events in the order in which they came, each with what it is."""
    found = []
    for line in FILE.read_text().splitlines():
        fields = json.loads(line)
        kind, body = fields.pop("kind"), fields.pop("body").encode()
        found.append((kind, SignedEvent(body=body, **fields)))
    return found


def resting(exchange: FakeExchange) -> None:
    """Let the recorded orders rest on a fake exchange, half filled, in a deep market."""
    exchange.book = book()
    for order_id in ORDERS:
        exchange.orders[order_id] = Resting(SIZE_MICRO, PRICE_MICRO, SIZE_MICRO // 2)


def _made() -> list[tuple[str, SignedEvent]]:
    made = []
    for n, order_id in enumerate(ORDERS):
        base = {"trace_id": f"trc_{n}", "side": "BUY"}
        wish = {"id": "s1", "partial_fill_policy": POLICIES[n % 3]}
        if n % 2:
            declared = base | {"intended_size_usd": 310, "limit_price": 0.65, "strategy": wish}
            made.append(_signed("decision", n, n, declared))
        for part, filled in enumerate((100, 155)):
            fill = base | {
                "order_id": order_id,
                "status": "PARTIAL",
                "filled_usd": filled,
                "remaining_usd": 310 - filled,
                "original_price": 0.62,
                "collateral": "pUSD",
                "builder_code": BUILDER,
                "market_id": MARKET,
                "token_id": TOKEN,
                "strategy": wish,
            }
            made.append(_signed("fill", n, 100 + 10 * n + part, fill))
        if n % 3 == 0:
            closed = {"order_id": order_id, "status": "CANCELLED", "filled_usd": 155, "trace_id": f"trc_{n}"}
            made.append(_signed("closed", n, 105 + 10 * n, closed))
    return made


def _signed(kind: str, n: int, later_ms: int, members: dict[str, object]) -> tuple[str, SignedEvent]:
    key_id = "k1" if n % 2 else "k2"
    exact = {name: str(value) if isinstance(value, float) else value for name, value in members.items()}
    return kind, sign_event(
        key_id=key_id,
        key=KEYS[key_id],
        event_ts_ms=NOW_MS + later_ms,
        trace_id=str(members["trace_id"]),
        body=print_json({k: v for k, v in exact.items() if k != "trace_id" or kind == "decision"}).encode(),
    )


def main() -> None:
    """Write the file."""
    with FILE.open("w") as out:
        for kind, event in _made():
            fields = {"kind": kind} | dict(event) | {"body": event.body.decode()}
            out.write(json.dumps(fields) + "\n")


if __name__ == "__main__":
    sys.exit(main())
