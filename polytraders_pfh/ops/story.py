"""An intent's story as a value: what `explain --json` prints. Amounts are decimal texts, times Unix ms.

`schema_version` grows when a field changes its meaning or goes; fields that are added leave it as it is.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION: Literal[1] = 1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RuleTried(_Part):
    """One of the thirteen rules: its row, when it fires, whether it did, and what was seen."""

    row: int
    rule: str
    outcome: Literal["fired", "did not fire", "not reached"]
    because: str


class BookSeen(_Part):
    """The best levels that were looked at, (price, shares), best first; `fresh` if read for this decision."""

    bids: tuple[tuple[str, str], ...]
    asks: tuple[tuple[str, str], ...]
    tick_size: str
    min_size_shares: str
    age_ms: int
    fresh: bool
    trading: str
    closes_in_ms: int | None
    fault: str | None


class LimitsSeen(_Part):
    """The parameters in force: config, override and strategy laid over each other."""

    min_remainder_usd: str
    chase_max_ticks: int
    cancel_on_book_thin: bool
    depth_levels: int
    depth_side: str
    max_book_age_ms: int
    closing_margin_ms: int
    chase_max_reposts: int
    chase_max_seconds: int
    chase_max_extra_usd: str | None


class Decided(_Part):
    """One decision: what it rested on, the rules as they were tried, and what came out.

    `obstacle` is why nothing could be posted whatever the market was like, or empty; `rest_shares` is what
    the intent might still trade, None where no chase was looked at.
    """

    action: str
    reason: str
    row: int
    policy: str
    warnings: tuple[str, ...]
    note: str
    price: str
    root_price: str
    filled_usd: str
    remaining_usd: str
    rest_shares: str | None
    reposts: int
    allow_wide_chase: bool
    limit_price: str | None
    kill_switch: str
    obstacle: str
    book_depth_usd: str | None
    ticks_to_fill: str | None
    chase_price: str | None
    chase_size_shares: str | None
    cap_price: str | None
    limits: LimitsSeen
    book: BookSeen | None
    rules: tuple[RuleTried, ...]


class Entry(_Part):
    """One record of the journal in words. `decided` where it carries a decision with its inputs."""

    record: int
    at_ms: int
    kind: str
    order_id: str
    words: str
    event_ts_ms: int | None = None
    report_id: str | None = None
    verdict: str | None = None
    final: bool | None = None
    decided: Decided | None = None


class OrderOfChain(_Part):
    """One order of the intent. `filled_usd` is what was told of it last, `fate` what is known of it."""

    order_id: str
    root_order_id: str
    price: str
    size_shares: str
    replaces: str | None
    filled_usd: str | None
    fate: str


class Story(_Part):
    """Everything that the journal says of one intent.

    `otel_trace_id` is the order's trace where the host builds its provider with this contract's id
    generator; `jaeger_tag` finds its spans under any other too. `traces` are those of the reports.
    """

    schema_version: Literal[1]
    asked_for: str
    root_order_ids: tuple[str, ...]
    trace_id: str
    otel_trace_id: str
    jaeger_tag: str
    traces: tuple[str, ...]
    side: str | None
    market_id: str | None
    token_id: str | None
    policy: str | None
    strategy_id: str | None
    last_word: str
    orders: tuple[OrderOfChain, ...]
    entries: tuple[Entry, ...]
