"""What the log says was under way: intents that have not ended, orders that may have been sent, the switch.

The fold is a function of the records that `Chronicle` and the sequencer leave. It claims nothing about
what became of an order after its last record: that is for the exchange to say (see `recovery`).
"""

from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from polytraders_hookspecs.events import DecisionReport
from polytraders_hookspecs.services import Clock

from polytraders_pfh.core.chase import Bounds
from polytraders_pfh.core.market import Side
from polytraders_pfh.core.outcomes import PostVerdict
from polytraders_pfh.core.policy import Policy
from polytraders_pfh.engine.intents import ChainOrder, Intent
from polytraders_pfh.engine.journal import Journal, Kind, Record, Stored

FOLDED: Final = (
    Kind.DECLARED,
    Kind.INTENT_OPENED,
    Kind.INTENT_ENDED,
    Kind.POST_RECORDED,
    Kind.POST_ANSWERED,
    Kind.HELD_BACK,
    Kind.KILL_SWITCH,
    Kind.COMMAND,
)

_ENDED_KEPT: Final = 10_000
_DECLARED_KEPT: Final = 100_000


@dataclass(slots=True)
class Folded:
    """What a log says. `killed` is the reason of a kill switch that nobody reset, or None.

    `mode` is the record of the last command that set the mode, or None; `ended` has the orders of the last
    intents that came to their end.
    """

    declared: OrderedDict[str, DecisionReport] = field(default_factory=OrderedDict)
    intents: dict[str, Intent] = field(default_factory=dict)
    ended: OrderedDict[str, None] = field(default_factory=OrderedDict)
    killed: str | None = None
    mode: Record | None = None


async def fold(journal: Journal) -> Folded:
    """Return what the journal's records say was under way.

    Raises:
        JournalFailed: The log is damaged.
    """
    folded = Folded()
    records: AsyncIterator[Stored] = journal.read(kinds=FOLDED)
    async for _, record, _ in records:
        take(folded, record)
    return folded


def take(folded: Folded, record: Record) -> None:
    """Take the next record."""
    if record.kind is Kind.KILL_SWITCH:
        folded.killed = str(record.facts.get("reason") or "") if record.facts.get("active") else None
    elif record.kind is Kind.COMMAND:
        if record.facts.get("command") == "mode":
            folded.mode = record
    elif record.kind is Kind.DECLARED:
        report = DecisionReport.from_json(record.payload)
        folded.declared[report.trace_id] = report
        folded.declared.move_to_end(report.trace_id)
        if len(folded.declared) > _DECLARED_KEPT:
            folded.declared.popitem(last=False)
    elif record.kind is Kind.INTENT_OPENED:
        folded.intents[record.root_order_id] = _opened(record)
        folded.ended.pop(record.root_order_id, None)
    elif record.kind is Kind.INTENT_ENDED:
        _take_end(folded, folded.intents.pop(record.root_order_id, None))
    elif record.root_order_id in folded.intents:
        _take_post(folded.intents[record.root_order_id], record)


def _take_end(folded: Folded, intent: Intent | None) -> None:
    for order in () if intent is None else intent.orders:
        folded.ended[order.order_id] = None
        if len(folded.ended) > _ENDED_KEPT:
            folded.ended.popitem(last=False)


def _take_post(intent: Intent, record: Record) -> None:
    if record.kind is Kind.POST_RECORDED:
        price, size = _number(record, "price_micro"), _number(record, "size_micro")
        intent.working.may_fill = False
        intent.orders.append(ChainOrder(record.order_id, price, size))
        intent.reposts += 1
        intent.chasing_since_ms = intent.chasing_since_ms or record.at_ms
    elif record.kind is Kind.HELD_BACK:
        # It was signed and never sent, so it is no order of the chain.
        if intent.working.order_id == record.order_id and len(intent.orders) > 1:
            intent.orders.pop()
            intent.reposts -= 1
    elif record.facts.get("verdict") == PostVerdict.REFUSED.value:
        for order in intent.orders:
            if order.order_id == record.order_id:
                order.may_fill = False


def history(intent: Intent, at_ms: int) -> list[Record]:
    """Return the records that tell a whole chain anew: how it was opened, and every later order of it."""
    return [_opening(intent, at_ms)] + [
        Record(
            Kind.POST_RECORDED,
            at_ms,
            intent.trace_id,
            intent.root_order_id,
            order.order_id,
            {"price_micro": order.price_micro, "size_micro": order.size_micro},
        )
        for order in intent.orders[1:]
    ]


def _opening(intent: Intent, at_ms: int) -> Record:
    """Return the record that an intent is opened with: everything that its chases are measured by."""
    order, policy = intent.orders[0], intent.policy
    return Record(
        Kind.INTENT_OPENED,
        at_ms,
        intent.trace_id,
        intent.root_order_id,
        order.order_id,
        {
            "market_id": intent.market_id,
            "token_id": intent.token_id,
            "side": intent.side.value,
            "root_price_micro": intent.root_price_micro,
            "bound_size_micro": intent.bounds.size_micro,
            "bound_cost_pico": intent.bounds.cost_pico,
            "price_micro": order.price_micro,
            "size_micro": order.size_micro,
            "builder_code": intent.builder_code,
            "policy": None if policy is None else policy.value,
            "allow_wide_chase": intent.allow_wide_chase,
            "limit_price_micro": intent.limit_price_micro,
            "strategy_id": intent.strategy_id,
            "neg_risk": intent.neg_risk,
            "rooted": intent.rooted,
        },
    )


class Chronicle:
    """Tells the log what `fold` reads back. Nothing waits for it: a log that fails stops posts by itself."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock

    def declared(self, report: DecisionReport, body: bytes) -> None:
        """A strategy declared what it meant."""
        record = Record(Kind.DECLARED, self._clock.now_ms(), report.trace_id, "", "", {}, payload=body)
        self._journal.append(record)

    def opened(self, intent: Intent) -> None:
        """An intent came into the table."""
        for record in history(intent, self._clock.now_ms()):
            self._journal.append(record)

    def ended(self, intent: Intent) -> None:
        """An intent has ended."""
        order_id, now_ms = intent.working.order_id, self._clock.now_ms()
        self._journal.append(
            Record(Kind.INTENT_ENDED, now_ms, intent.trace_id, intent.root_order_id, order_id, {})
        )

    def kill_switch(self, active: bool, reason: str, actor: str) -> None:
        """The kill switch was latched, or reset by hand."""
        facts: dict[str, str | bool] = {"active": active, "reason": reason}
        if actor:
            facts["actor"] = actor
        self._journal.append(Record(Kind.KILL_SWITCH, self._clock.now_ms(), "", "", "", facts))


def _opened(record: Record) -> Intent:
    side, policy = Side(_text(record, "side")), record.facts.get("policy")
    limit, neg_risk = record.facts.get("limit_price_micro"), record.facts.get("neg_risk")
    strategy_id = record.facts.get("strategy_id")
    return Intent(
        root_order_id=record.root_order_id,
        trace_id=record.trace_id,
        market_id=_text(record, "market_id"),
        token_id=_text(record, "token_id"),
        side=side,
        root_price_micro=_number(record, "root_price_micro"),
        bounds=Bounds(side, _number(record, "bound_size_micro"), _number(record, "bound_cost_pico")),
        builder_code=_text(record, "builder_code"),
        orders=[ChainOrder(record.order_id, _number(record, "price_micro"), _number(record, "size_micro"))],
        policy=Policy(policy) if isinstance(policy, str) else None,
        allow_wide_chase=record.facts.get("allow_wide_chase") is True,
        limit_price_micro=limit if isinstance(limit, int) else None,
        strategy_id=strategy_id if isinstance(strategy_id, str) else None,
        neg_risk=neg_risk if isinstance(neg_risk, bool) else None,
        rooted=record.facts.get("rooted") is True,
    )


def _text(record: Record, name: str) -> str:
    fact = record.facts.get(name)
    if not isinstance(fact, str):
        raise TypeError(f"the fact {name!r} of an {record.kind.value} record was {fact!r}; it is a text")
    return fact


def _number(record: Record, name: str) -> int:
    fact = record.facts.get(name)
    if not isinstance(fact, int):
        raise TypeError(f"the fact {name!r} of an {record.kind.value} record was {fact!r}; it is a number")
    return fact
