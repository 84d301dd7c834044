"""From a signed envelope to a fill: signature first, then the schema, then the gaps filled in.

The card's own wire example lacks market, token, trace and time. The envelope and `orders.get` supply
them; what nobody can supply makes the event invalid. What body and envelope both say must agree.
"""

from collections.abc import Mapping
from decimal import Decimal

from polytraders_hookspecs.errors import EventForged, WireError
from polytraders_hookspecs.events import PartialFill, SignedEvent, Strategy
from polytraders_hookspecs.orders import ZERO_BYTES32, OrderFacts
from polytraders_hookspecs.services import OrderBookkeeper
from polytraders_hookspecs.signing import check_signature

from polytraders_pfh.core.chase import Bounds
from polytraders_pfh.core.market import Side
from polytraders_pfh.core.money import MICRO, size_down
from polytraders_pfh.core.policy import Policy
from polytraders_pfh.engine.intents import ChainOrder, Intent
from polytraders_pfh.engine.reporting import Fill
from polytraders_pfh.engine.within import within
from polytraders_pfh.errors import EventRejected

FORGED = "forged"
MALFORMED = "malformed"
UNKNOWN_ORDER = "unknown_order"


class Rejected(EventRejected):
    """An event that was refused, with its metric label."""

    def __init__(self, why: str, message: str) -> None:
        super().__init__(message)
        self.why = why


def read_fill(envelope: SignedEvent, keys: Mapping[str, bytes]) -> Fill:
    """Return the fill that an envelope carries.

    Raises:
        Rejected: The signature, a field, or a contradiction between body and envelope.
    """
    try:
        check_signature(envelope, keys)
    except EventForged as e:
        raise Rejected(FORGED, str(e)) from None
    try:
        event = PartialFill.from_json(envelope.body)
    except WireError as e:
        raise Rejected(MALFORMED, str(e)) from None
    _agree("event_ts_ms", event.event_ts_ms, envelope.event_ts_ms)
    _agree("trace_id", event.trace_id, envelope.trace_id)
    return Fill(
        order_id=event.order_id,
        event_ts_ms=envelope.event_ts_ms,
        trace_id=envelope.trace_id,
        filled_usd=event.filled_usd,
        remaining_usd=event.remaining_usd,
        price=event.original_price,
        filled_usd_micro=_micro(event.filled_usd),
        remaining_usd_micro=_micro(event.remaining_usd),
        price_micro=_micro(event.original_price),
        event=event,
    )


def _micro(amount: Decimal) -> int:
    """Return an amount that the wire has already bounded to six decimals, in millionths."""
    return int(amount.scaleb(6))


def _agree(name: str, inside: object, outside: object) -> None:
    if inside is not None and inside != outside:
        raise Rejected(MALFORMED, f"PartialFill.{name} was {inside}; its envelope says {outside}")


def lacks_facts(fill: Fill) -> bool:
    """Return whether the host must be asked for what the event does not say."""
    event = fill.event
    return event is None or event.market_id is None or event.token_id is None or event.strategy is None


async def new_intent(fill: Fill, orders: OrderBookkeeper, timeout_s: float) -> Intent:
    """Return the intent of an order that was not known before, as its event and the host describe it.

    Raises:
        Rejected: What is missing and nobody could supply, or a contradiction between event and host.
    """
    event = fill.event
    assert event is not None
    facts = None
    if lacks_facts(fill):
        facts = await _facts(fill.order_id, orders, timeout_s)
    market_id = event.market_id or (facts and facts.market_id)
    token_id = event.token_id or (facts and facts.token_id)
    if not market_id or not token_id:
        missing = "market_id" if not market_id else "token_id"
        raise Rejected(
            UNKNOWN_ORDER,
            f"PartialFill.{missing} was missing, and the order-lifecycle manager does not know order "
            f"{fill.order_id}; send it in the event",
        )
    _consistent(fill, facts)
    strategy = event.strategy or (facts and facts.strategy) or Strategy()
    policy = strategy.partial_fill_policy
    side = Side(event.side)
    size_micro = size_down(fill.filled_usd_micro + fill.remaining_usd_micro, fill.price_micro)
    cost_pico = (fill.filled_usd_micro + fill.remaining_usd_micro) * MICRO
    return Intent(
        root_order_id=fill.order_id,
        trace_id=fill.trace_id,
        market_id=market_id,
        token_id=token_id,
        side=side,
        root_price_micro=fill.price_micro,
        bounds=Bounds(side, size_micro, cost_pico),
        builder_code=event.builder_code or (facts.builder_code if facts else ZERO_BYTES32),
        orders=[ChainOrder(fill.order_id, fill.price_micro, size_micro)],
        policy=None if policy is None else Policy(policy),
        allow_wide_chase=strategy.allow_wide_chase,
        strategy_id=strategy.id,
        neg_risk=facts.neg_risk if facts else None,
    )


async def _facts(order_id: str, orders: OrderBookkeeper, timeout_s: float) -> OrderFacts | None:
    try:
        facts = await within(timeout_s, orders.get(order_id))
    except Exception:
        return None
    return facts if isinstance(facts, OrderFacts) else None


def _consistent(fill: Fill, facts: OrderFacts | None) -> None:
    event = fill.event
    if facts is None or event is None:
        return
    pairs = (
        ("market_id", event.market_id, facts.market_id),
        ("token_id", event.token_id, facts.token_id),
        ("side", event.side, facts.side),
        ("original_price", fill.price, facts.price),
    )
    for name, was, known in pairs:
        if was is not None and was != known:
            raise Rejected(MALFORMED, f"PartialFill.{name} was {was}; the order's own is {known}")
