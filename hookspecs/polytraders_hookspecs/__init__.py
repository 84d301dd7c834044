"""The contract between a Polytraders bot host and its bots.

A plugin imports `hookimpl` and the models; a host imports `new_plugin_manager`, `gather_hook`,
`first_hook` and `sign_event`. `polytraders_hookspecs.tracing` is separate, since it alone needs the
OpenTelemetry SDK.
"""

import pluggy

from polytraders_hookspecs.calling import HookResult, call_hook, first_hook, gather_hook, refuse_wrappers
from polytraders_hookspecs.errors import (
    ContractError,
    ContractTooOld,
    EventForged,
    HookCancelled,
    HookTimeout,
    HookWrapperRefused,
    WireError,
)
from polytraders_hookspecs.events import (
    BookSnapshot,
    BookUpdate,
    CancelReplace,
    DecisionReport,
    DustRemainder,
    KillSwitchSignal,
    LastTrade,
    Level,
    OrderClosed,
    PartialFill,
    PriceChange,
    SignedEvent,
    Strategy,
    StreamGap,
    TickSizeChange,
)
from polytraders_hookspecs.orders import ExchangeReply, OrderFacts, SignedOrder, UnsignedOrder
from polytraders_hookspecs.reports import (
    BotHealth,
    BotManifest,
    CancelReplaceResult,
    CommandResult,
    ExecutionReport,
    KillSwitchStatus,
)
from polytraders_hookspecs.services import (
    ClobAuth,
    ClobPublic,
    Clock,
    Fence,
    HostServices,
    KillSwitch,
    OrderBookkeeper,
    ReportBus,
    SharedLog,
    Signer,
)
from polytraders_hookspecs.signing import check_signature, sign_event
from polytraders_hookspecs.specs import HOOK_NAMES, PROJECT_NAME, hookspec, new_plugin_manager
from polytraders_hookspecs.trace_ids import order_trace, otel_trace_id
from polytraders_hookspecs.version import HOOKSPEC_VERSION, require_hookspec
from polytraders_hookspecs.wire import from_micro, read_json, to_micro

hookimpl = pluggy.HookimplMarker(PROJECT_NAME)
"""Marks a function as an implementation of one of the hooks."""

__all__ = [
    "HOOKSPEC_VERSION",
    "HOOK_NAMES",
    "PROJECT_NAME",
    "BookSnapshot",
    "BookUpdate",
    "BotHealth",
    "BotManifest",
    "CancelReplace",
    "CancelReplaceResult",
    "ClobAuth",
    "ClobPublic",
    "Clock",
    "CommandResult",
    "ContractError",
    "ContractTooOld",
    "DecisionReport",
    "DustRemainder",
    "EventForged",
    "ExchangeReply",
    "ExecutionReport",
    "Fence",
    "HookCancelled",
    "HookResult",
    "HookTimeout",
    "HookWrapperRefused",
    "HostServices",
    "KillSwitch",
    "KillSwitchSignal",
    "KillSwitchStatus",
    "LastTrade",
    "Level",
    "OrderBookkeeper",
    "OrderClosed",
    "OrderFacts",
    "PartialFill",
    "PriceChange",
    "ReportBus",
    "SharedLog",
    "SignedEvent",
    "SignedOrder",
    "Signer",
    "Strategy",
    "StreamGap",
    "TickSizeChange",
    "UnsignedOrder",
    "WireError",
    "call_hook",
    "check_signature",
    "first_hook",
    "from_micro",
    "gather_hook",
    "hookimpl",
    "hookspec",
    "new_plugin_manager",
    "order_trace",
    "otel_trace_id",
    "read_json",
    "refuse_wrappers",
    "require_hookspec",
    "sign_event",
    "to_micro",
]
