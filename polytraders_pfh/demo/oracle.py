"""The invariants, judged on the paper exchange's own records and on the reports; never on the plugin's state.

overfill        Σ filled + what may still fill ≤ the intent, in shares; for a BUY in pUSD as well
two-live        at most one order of an intent is open at any moment
beyond-cap      no chase is priced beyond root ± chase_max_ticks ticks, nor beyond the declared limit
after-kill      no order is posted once the kill switch is on
stray           every order descends from an intent: same token, same side, its builder code
one-report      every PARTIAL has exactly one final report, and no report speaks of an event unheard of;
                of one that a dying host had not put on record, the next may know nothing
remainder       remaining = original - filled in every report, and both are what the exchange knows
kill-left       with the kill switch on, no part-filled order is open once nothing goes wrong any more
conserved       nothing is created or lost at the exchange; our shares are what our fills add up to
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from polytraders_hookspecs import PartialFill, to_micro

from polytraders_pfh.core.money import plain, usd_down, usd_up
from polytraders_pfh.demo.chains import fills_of
from polytraders_pfh.demo.desk import Intent
from polytraders_pfh.demo.truth import Fact, KillMark
from polytraders_pfh.paper.core.events import OrderEvent, OrderEventKind, TickSizeEvent, TradeEvent
from polytraders_pfh.paper.core.ledger import Audit
from polytraders_pfh.paper.core.model import OrderRecord
from polytraders_pfh.paper.core.trades import Trade, TradeStatus

WITHOUT_EVENT: Final = frozenset({"KILL_SWITCH_ACTIVE"})
"""Verdicts that need no PARTIAL: the kill switch cancels on its own."""

KILLED: Final = WITHOUT_EVENT | {"CANCEL_UNCONFIRMED", "REMAINDER_CLOSED"}
"""What it may find where cancels go wrong."""

Report = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken invariant: its name, the intent or order it concerns, and the figures."""

    rule: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: {self.text}"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is to be held in a run's favour in which things go wrong.

    Attributes:
        unaccepted: Events, by order id and time, that were handed over and put on no record: they need no
            report, and may have one.
        unarrived: Orders that were signed and never reached the exchange, with their size in micro-pUSD.
        killed_ms: When the kill switch went on; from then on it may report what it found.
    """

    unaccepted: frozenset[tuple[str, int]] = frozenset()
    unarrived: Mapping[str, int] = field(default_factory=dict)
    killed_ms: int | None = None

    def allows(self, report: Report) -> bool:
        """Return whether a report may speak of a moment of which no event was told."""
        verdict, moment = report.get("verdict"), report.get("event_ts_ms") or 0
        if self.killed_ms is None or moment < self.killed_ms:
            return verdict in WITHOUT_EVENT
        return verdict in KILLED

    def by_kill(self, finals: Iterable[Report], key: tuple[str, int | None]) -> int:
        """Return 1 when the kill switch reported on this order at the very moment of an event of its own."""
        if self.killed_ms is None or (key[1] or 0) < self.killed_ms:
            return 0
        about = [r for r in finals if (r.get("order_id"), r.get("event_ts_ms")) == key]
        return int(len(about) > 1 and any(report.get("verdict") in KILLED for report in about))


@dataclass(slots=True)
class _Ledger:
    """One intent, as far as the history has been read."""

    intent: Intent
    orders: dict[str, OrderRecord] = field(default_factory=dict)
    spent_pico: int = 0

    @property
    def live(self) -> list[OrderRecord]:
        return [order for order in self.orders.values() if order.is_open]

    @property
    def committed_micro(self) -> int:
        filled = sum(order.size_matched_micro for order in self.orders.values())
        return filled + sum(order.original_size_micro - order.size_matched_micro for order in self.live)

    @property
    def committed_pico(self) -> int:
        rest = sum(o.price_micro * (o.original_size_micro - o.size_matched_micro) for o in self.live)
        return self.spent_pico + rest


class HistoryJudge:
    """Reads the exchange's history fact by fact.

    Attributes:
        found: The violations so far, each told once.
        levels: Every filled amount that each order ever had, in micro-shares.
    """

    def __init__(self, intents: Iterable[Intent], ticks: Mapping[str, int], chase_max_ticks: int) -> None:
        """`ticks` are the markets' first ticks, by condition id."""
        self.found: list[Violation] = []
        self.levels: dict[str, set[int]] = {}
        self._told: set[tuple[str, str]] = set()
        self._ledgers = {intent.builder_code: _Ledger(intent) for intent in intents}
        self._owner: dict[str, _Ledger] = {}
        self._ticks = dict(ticks)
        self._cap_ticks = chase_max_ticks
        self._killed = False

    def read(self, fact: Fact) -> None:
        """Take in what happened next."""
        match fact:
            case OrderEvent():
                self._order(fact)
            case TradeEvent(trade=trade):
                self._trade(trade)
            case TickSizeEvent():
                self._ticks[fact.condition_id] = fact.new_tick_micro
            case KillMark():
                self._killed = True

    def _order(self, event: OrderEvent) -> None:
        record = event.record
        self.levels.setdefault(record.order_id, set()).add(record.size_matched_micro)
        ledger = self._ledgers.get(record.request.builder_code)
        if ledger is None:
            text = f"{_order_text(record)} carries a builder code that no strategy used"
            self._tell("stray", record.order_id, text)
            return
        self._owner[record.order_id] = ledger
        if event.kind is OrderEventKind.PLACEMENT:
            self._placement(ledger, record)
        ledger.orders[record.order_id] = record
        self._never_twice(ledger)

    def _placement(self, ledger: _Ledger, record: OrderRecord) -> None:
        intent, where = ledger.intent, _where(ledger.intent)
        if self._killed:
            self._tell("after-kill", where, f"{_order_text(record)} was posted with the kill switch on")
        if (record.request.token_id, record.request.side) != (intent.token_id, intent.side):
            self._tell("stray", where, f"{_order_text(record)} is not on the intent's token and side")
        if record.order_id != intent.order_id:
            self._within_cap(intent, record)

    def _within_cap(self, intent: Intent, record: OrderRecord) -> None:
        tick = self._ticks[record.condition_id]
        away = record.price_micro - intent.price_micro
        beyond_limit = record.price_micro - intent.limit_micro
        if intent.side == "SELL":
            away, beyond_limit = -away, -beyond_limit
        if away > self._cap_ticks * tick or beyond_limit > 0:
            text = (
                f"{_order_text(record)} is {plain(away)} beyond the root price {plain(intent.price_micro)}; "
                f"the cap is {self._cap_ticks} ticks of {plain(tick)}, the limit {plain(intent.limit_micro)}"
            )
            self._tell("beyond-cap", _where(intent), text)

    def _never_twice(self, ledger: _Ledger) -> None:
        intent, where = ledger.intent, _where(ledger.intent)
        if len(ledger.live) > 1:
            ids = ", ".join(order.order_id for order in ledger.live)
            self._tell("two-live", where, f"{len(ledger.live)} orders were open at once: {ids}")
        if ledger.committed_micro > intent.size_micro:
            text = f"{plain(ledger.committed_micro)} shares filled or open, {plain(intent.size_micro)} wanted"
            self._tell("overfill", where, text)
        if intent.side == "BUY" and ledger.committed_pico > intent.price_micro * intent.size_micro:
            text = f"{_usd(ledger.committed_pico)} pUSD spent or open, {plain(intent.usd_micro)} meant"
            self._tell("overfill", where + " in pUSD", text)

    def _trade(self, trade: Trade) -> None:
        sign = {TradeStatus.MATCHED: 1, TradeStatus.FAILED: -1}.get(trade.status, 0)
        for fill in fills_of(trade) if sign else ():
            ledger = self._owner.get(fill.order_id)
            if ledger is not None:
                ledger.spent_pico += sign * fill.size_micro * fill.price_micro

    def _tell(self, rule: str, where: str, text: str) -> None:
        if (rule, where) not in self._told:
            self._told.add((rule, where))
            self.found.append(Violation(rule, where, text))


def judge_reports(
    reports: Sequence[Report],
    partials: Sequence[PartialFill],
    records: Mapping[str, OrderRecord],
    levels: Mapping[str, set[int]],
    circumstances: Circumstances | None = None,
) -> list[Violation]:
    """Hold the reports to the events that were told, and to the exchange's records.

    Args:
        reports: As published, interim ones included.
        partials: Every PARTIAL that the bots were handed.
        records: The orders by id, as the exchange has them.
        levels: Every filled amount that each order ever had.
        circumstances: What else is to be known where things go wrong.
    """
    known = circumstances or Circumstances()
    heard = Counter((partial.order_id, partial.event_ts_ms) for partial in partials)
    finals = [report for report in reports if report.get("final")]
    answered = Counter((report.get("order_id"), report.get("event_ts_ms")) for report in finals)
    found = [
        Violation(
            "one-report",
            str(order_id),
            f"the PARTIAL of {ts_ms} has {answered[order_id, ts_ms]} final reports",
        )
        for order_id, ts_ms in heard
        if answered[order_id, ts_ms] - known.by_kill(finals, (order_id, ts_ms)) != 1
        and not ((order_id, ts_ms) in known.unaccepted and not answered[order_id, ts_ms])
    ]
    for report in finals:
        key = (report.get("order_id"), report.get("event_ts_ms"))
        if not heard[key] and not known.allows(report):  # type: ignore[index]
            text = f"report {report.get('report_id')} is about an event of {key[1]} that nobody sent"
            found.append(Violation("one-report", str(key[0]), text))
    for report in reports:
        fault = _remainder_fault(report, records, levels, known.unarrived)
        if fault:
            found.append(Violation("remainder", str(report.get("order_id")), fault))
    return found


def judge_kill(facts: Sequence[Fact]) -> list[Violation]:
    """Return the part-filled orders that the kill switch has left open, at the end of everything."""
    return [
        Violation("kill-left", record.order_id, f"{_order_text(record)} is open, partly filled")
        for record in left_open(facts)
        if any(isinstance(fact, KillMark) for fact in facts)
    ]


def left_open(facts: Iterable[Fact]) -> list[OrderRecord]:
    """Return the part-filled orders that are open after all these facts."""
    last = {fact.record.order_id: fact.record for fact in facts if isinstance(fact, OrderEvent)}
    return [record for record in last.values() if record.is_open and record.size_matched_micro]


def _remainder_fault(
    report: Report,
    records: Mapping[str, OrderRecord],
    levels: Mapping[str, set[int]],
    unarrived: Mapping[str, int],
) -> str:
    name, order_id = f"report {report.get('report_id')}", str(report.get("order_id"))
    record = records.get(order_id)
    if record is None and order_id in unarrived:
        return _unarrived_fault(report, name, unarrived[order_id])
    return _amounts_fault(report, name, record, levels)


def _amounts_fault(
    report: Report, name: str, record: OrderRecord | None, levels: Mapping[str, set[int]]
) -> str:
    if record is None:
        return f"{name} names an order that the exchange does not know"
    filled, rest, whole = (
        report.get(field_name) for field_name in ("filled_usd", "remaining_usd", "original_size_usd")
    )
    if filled is None or rest is None or whole is None:
        return f"{name} lacks filled, remaining or original size"
    if Decimal(filled) + Decimal(rest) != Decimal(whole):
        return f"{name} has remaining {rest}, but {whole} - {filled} is {Decimal(whole) - Decimal(filled)}"
    order_usd = usd_down(record.price_micro, record.original_size_micro)
    if to_micro(Decimal(whole)) != order_usd:
        return f"{name} has an original size of {whole} pUSD; the exchange's record says {plain(order_usd)}"
    known = {
        usd
        for size in levels.get(record.order_id, ())
        for usd in (usd_down(record.price_micro, size), usd_up(record.price_micro, size))
    }
    if to_micro(Decimal(filled)) not in known:
        return f"{name} has {filled} pUSD filled; the order never stood at that"
    return ""


def _unarrived_fault(report: Report, name: str, usd_micro: int) -> str:
    said = [Decimal(report.get(amount) or 0) for amount in ("filled_usd", "remaining_usd")]
    if said != [Decimal(0), Decimal(usd_micro).scaleb(-6)]:
        return f"{name} has {said[0]} pUSD filled and {said[1]} left of an order that never arrived"
    return ""


def judge_books(audit: Audit, held: Mapping[str, int], expected: Mapping[str, int]) -> list[Violation]:
    """Hold the exchange's books to the law of conservation, and our holdings to our fills.

    Args:
        audit: The exchange's own count of everything.
        held: Our shares by token, in micro-shares, all trades settled.
        expected: What minting and fills add up to.
    """
    found = []
    if not audit.balanced:
        kept = audit.accounts_usd_micro + audit.pairs_usd_micro + audit.fees_usd_micro
        text = (
            f"{plain(audit.inflow_usd_micro)} pUSD came in and {plain(kept)} are there; "
            f"tokens match pairs: {audit.tokens_match_pairs}; lowest free {plain(audit.lowest_free_micro)}"
        )
        found.append(Violation("conserved", "the exchange", text))
    for token_id, amount in expected.items():
        if held.get(token_id, 0) != amount:
            text = (
                f"{plain(held.get(token_id, 0))} shares are held, minting and fills add up to {plain(amount)}"
            )
            found.append(Violation("conserved", f"token {token_id}", text))
    return found


def _where(intent: Intent) -> str:
    return f"intent {intent.number} {intent.policy} ({intent.trace_id})"


def _order_text(record: OrderRecord) -> str:
    return (
        f"order {record.order_id} ({record.request.side} {plain(record.original_size_micro)} "
        f"at {plain(record.price_micro)})"
    )


def _usd(pico: int) -> str:
    return f"{Decimal(pico).scaleb(-12).normalize():f}" if pico else "0"
