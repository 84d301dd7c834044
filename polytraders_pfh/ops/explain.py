"""From any id of a chain to the whole story of its intent, read from a journal that may be in use.

The root order, any chase order and the trace id lead to the same story. Only records that name one of the
chain's ids are read, each held to its own hash; whether the journal is whole is `verify`'s question.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polytraders_hookspecs.trace_ids import otel_trace_id

from polytraders_pfh.core.money import plain
from polytraders_pfh.engine.journal import Kind, Record, Stored
from polytraders_pfh.ops.decided import decided_in
from polytraders_pfh.ops.sources import among
from polytraders_pfh.ops.story import SCHEMA_VERSION, Entry, OrderOfChain, Story
from polytraders_pfh.ops.words import meaning, micro, told_by, words_of
from polytraders_pfh.telemetry.names import ATTR_TRACE_ID


def story(journal: Path, any_id: str) -> Story | None:
    """Return the story of the intent that an order id or trace id belongs to, or None when it is not there.

    Args:
        journal: A directory of segments or exports, one file of either, or a directory above the only one.
        any_id: The root order's id, a chase order's, or the trace id.

    Raises:
        JournalFailed: The journal is not there, or a record that is needed is altered or cannot be read.
    """
    asked = any_id.strip()
    asked = asked.lower() if asked[:2].lower() == "0x" else asked
    if not asked:
        return None
    orders, wanted = {asked}, {asked}
    read: set[str] = set()
    by_number: dict[int, Stored] = {}
    while new := wanted - read:
        by_number |= {one.seq: one for one in among(journal, new)}
        read |= new
        orders = _chain(by_number.values(), asked, orders)
        wanted = orders | _traces(by_number.values(), orders)
    found = [by_number[seq] for seq in sorted(by_number)]
    traces = _traces(found, orders)
    mine = [one for one in found if _belongs(one.record, orders, traces)]
    return _told(asked, mine, found) if mine else None


def _chain(found: Collection[Stored], asked: str, known: set[str]) -> set[str]:
    """Return the ids of all orders that these records tie to the one asked for, or to its trace."""
    ties = [{one.record.order_id, one.record.root_order_id} for one in found if one.record.trace_id != asked]
    orders = {asked} | known
    for one in found:
        if one.record.trace_id == asked:
            orders |= {one.record.order_id, one.record.root_order_id}
    orders.discard("")
    while tied := [tie for tie in ties if tie & orders and not tie - {""} <= orders]:
        orders = orders.union(*tied) - {""}
    return orders


def _traces(found: Iterable[Stored], orders: set[str]) -> set[str]:
    """Return the trace ids under which these orders went."""
    return {one.record.trace_id for one in found if one.record.order_id in orders} - {""}


def _belongs(record: Record, orders: set[str], traces: set[str]) -> bool:
    if record.kind is Kind.DECLARED:
        return record.trace_id in traces
    return record.order_id in orders or record.root_order_id in orders


@dataclass(slots=True)
class _Telling:
    """What was learnt on the way through the records."""

    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    filled: dict[str, str] = field(default_factory=dict)
    fates: dict[str, str] = field(default_factory=dict)
    opening: Record | None = None
    last: str = ""
    traces: dict[str, None] = field(default_factory=dict)

    def take(self, record: Record) -> None:
        """Take the next record."""
        if record.kind is Kind.INTENT_OPENED:
            self.opening = self.opening or record
        if record.kind in {Kind.INTENT_OPENED, Kind.POST_RECORDED}:
            self.orders.setdefault(record.order_id, _order(record))
        elif record.kind is Kind.HELD_BACK:
            self.fates[record.order_id] = "never sent"
        fate = _fate(record)
        if fate:
            self.fates[record.order_id] = fate
        if record.traceparent:
            self.traces[record.traceparent.split("-")[1]] = None
        told = told_by(record)
        if told.get("filled_usd") is not None:
            self.filled[record.order_id] = str(told["filled_usd"])
        if record.kind is Kind.REPORTED:
            verdict = str(record.facts.get("verdict"))
            self.last = f"{verdict}: {meaning(verdict)}"


def _told(asked: str, mine: list[Stored], found: list[Stored]) -> Story:
    telling, entries = _Telling(), []
    first, last = mine[0].seq, mine[-1].seq
    numbers = {one.seq for one in mine}
    for seq, record, _ in found:
        between = record.kind is Kind.KILL_SWITCH and first < seq < last
        if seq in numbers or between:
            telling.take(record)
            entries.append(_entry(seq, record))
    trace_id = next((one.record.trace_id for one in mine if one.record.trace_id), "")
    facts = telling.opening.facts if telling.opening is not None else {}
    orders = [_of_chain(telling, order_id) for order_id in telling.orders]
    roots = {order.root_order_id: None for order in orders if order.root_order_id}
    return Story(
        schema_version=SCHEMA_VERSION,
        asked_for=asked,
        root_order_ids=tuple(roots),
        trace_id=trace_id,
        otel_trace_id=f"{otel_trace_id(trace_id):032x}" if trace_id else "",
        jaeger_tag=f"{ATTR_TRACE_ID}={trace_id}" if trace_id else "",
        traces=tuple(telling.traces),
        side=_text(facts.get("side")),
        market_id=_text(facts.get("market_id")),
        token_id=_text(facts.get("token_id")),
        policy=_text(facts.get("policy")),
        strategy_id=_text(facts.get("strategy_id")),
        last_word=telling.last or "no report is on record",
        orders=tuple(orders),
        entries=tuple(entries),
    )


def _entry(seq: int, record: Record) -> Entry:
    facts, moment = record.facts, record.facts.get("event_ts_ms")
    reported = record.kind is Kind.REPORTED
    return Entry(
        record=seq,
        at_ms=record.at_ms,
        kind=record.kind.value,
        order_id=record.order_id,
        words=words_of(record),
        event_ts_ms=moment if isinstance(moment, int) else None,
        report_id=_text(facts.get("report_id")),
        verdict=_text(facts.get("verdict")),
        final=facts.get("final") is True if reported else None,
        decided=decided_in(record),
    )


def _order(record: Record) -> dict[str, Any]:
    replaces = record.facts.get("replaces")
    return {
        "order_id": record.order_id,
        "root_order_id": record.root_order_id,
        "price": micro(record, "price_micro"),
        "size_shares": micro(record, "size_micro"),
        "replaces": replaces if isinstance(replaces, str) else None,
    }


def _of_chain(telling: _Telling, order_id: str) -> OrderOfChain:
    return OrderOfChain(
        **telling.orders[order_id],
        filled_usd=telling.filled.get(order_id),
        fate=telling.fates.get(order_id, "resting, as far as is on record"),
    )


def _fate(record: Record) -> str:
    """Return what a record says became of its order, or empty."""
    verdict = record.facts.get("verdict")
    if record.kind is Kind.SIZE_READ:
        filled = record.facts.get("filled_micro")
        return f"closed, {plain(filled)} shares filled" if isinstance(filled, int) else ""
    if record.kind is Kind.CANCEL_ANSWERED:
        return {"dead": "cancelled", "unknown": "its cancel is in doubt"}.get(str(verdict), "")
    if record.kind is Kind.POST_ANSWERED:
        return {"refused": "refused by the exchange", "unknown": "its post is in doubt"}.get(
            str(verdict), "on the exchange"
        )
    if record.kind is Kind.FOUND:
        return {"closed": "closed", "alive": "on the exchange"}.get(str(verdict), "")
    return "closed" if record.kind is Kind.INTENT_ENDED else ""


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
