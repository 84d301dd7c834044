"""What a bot tells a host."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from polytraders_hookspecs.events import BuilderCode, ConditionId, OrderId, Side, TokenId, TraceId
from polytraders_hookspecs.wire import Amount, Figure, Millis, Price, WireModel

Severity = Literal["INFO", "WARN", "HARD_REJECT"]
Mode = Literal["shadow_only", "quarantine", "limited_live", "general_live"]


def _tuple_of(value: object) -> object:
    return tuple(value) if type(value) is list else value


Words = Annotated[tuple[str, ...], BeforeValidator(_tuple_of)]
"""Texts; a JSON array reads back as one."""


class ExecutionReport(WireModel):
    """What was decided about one remainder, why, and what came of it (SPEC 6).

    `remaining_usd` is always the original size less `filled_usd`. `ticks_to_fill` is adverse and
    signed, from the root price of the intent. `final` is False on an interim report, whose final one
    names it in `supersedes`. `executed` is False when the mode held the action back.
    """

    report_id: str
    trace_id: TraceId | None = None
    bot_id: str
    order_id: OrderId | None = None
    market_id: ConditionId | None = None
    filled_usd: Amount | None = None
    remaining_usd: Amount | None = None
    policy_applied: str | None = None
    verdict: str
    collateral: Literal["pUSD"] = "pUSD"
    builder_code: BuilderCode | None = None
    evaluated_at_ms: Millis
    reason_code: str | None = None
    severity: Severity | None = None
    warnings: Words | None = None
    user_message: str | None = None
    detail: str | None = None
    mode: Mode | None = None
    executed: bool | None = None
    final: bool | None = None
    supersedes: str | None = None
    event_ts_ms: Millis | None = None
    side: Side | None = None
    token_id: TokenId | None = None
    original_price: Price | None = None
    original_size_usd: Amount | None = None
    root_order_id: OrderId | None = None
    book_depth_usd: Amount | None = None
    ticks_to_fill: Figure | None = None
    expected_fill_seconds: Figure | None = None
    new_order_id: OrderId | None = None
    chase_price: Price | None = None
    chase_size_shares: Amount | None = None
    traceparent: str | None = None


class CancelReplaceResult(WireModel):
    """How a chase ended. `outcome` `unconfirmed` keeps its budget reserved: nobody posts for it again.

    `cancelled`: the old order is proven dead and nothing was posted. `closed`: it was already filled.
    `cancel_unconfirmed`: whether the old order still lives is not known, so nothing was posted.
    """

    outcome: Literal["posted", "rejected", "unconfirmed", "cancelled", "closed", "cancel_unconfirmed"]
    new_order_id: OrderId | None = None
    price: Price | None = None
    size_shares: Amount | None = None
    reason: str = ""
    detail: str = ""


class BotHealth(WireModel):
    """A bot's health. `reasons` is empty when green; each reason is a sentence with its figure."""

    bot_id: str
    status: Literal["green", "amber", "red"]
    reasons: Words = ()
    mode: Mode
    kill_switch_active: bool
    figures: dict[str, Any] = Field(default_factory=dict)


class BotManifest(WireModel):
    """Who a bot is, which contract it needs, in which modes it can run, what it reads and emits."""

    bot_id: str
    name: str
    version: str
    hookspec_version: str
    mode: Mode
    modes: Annotated[tuple[Mode, ...], BeforeValidator(_tuple_of)]
    reads: Words
    emits: Words
    topics: Words


class CommandResult(WireModel):
    """The answer to a command given by hand."""

    ok: bool
    message: str
    data: dict[str, Any] = Field(default_factory=dict)


class KillSwitchStatus(WireModel):
    """The kill switch as the host knows it now."""

    active: bool
    reason: str = ""
