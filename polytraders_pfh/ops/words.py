"""Records in plain words: one sentence for each kind."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from polytraders_pfh.core.money import plain
from polytraders_pfh.core.reasons import TEXTS, Reason
from polytraders_pfh.engine.journal import Kind, Record

_SHORT: Final = 14

_CANCEL_ANSWERS: Final = {
    "dead": "the exchange names it as cancelled",
    "ask": "the exchange says that it is gone or was matched; its record tells which",
    "alive": "the exchange refused the cancel, and the order is as it was",
    "unknown": "no answer that proves anything; its record is read",
}
_POST_ANSWERS: Final = {
    "accepted": "the exchange accepted it",
    "refused": "the exchange refused it",
    "arrived_before": "an earlier attempt had reached the exchange; its record is read",
    "unknown": "no answer that proves anything; its hash is looked up",
}
_RECORDS: Final = {
    "alive": "its record says that it lives",
    "closed": "its record says that it is closed",
    "absent": "the exchange does not know it",
    "unknown": "its record could not be read",
}


def short(order_id: str) -> str:
    """Return an id as a person recognises it."""
    return order_id if len(order_id) <= _SHORT else f"{order_id[:8]}…{order_id[-4:]}"


def words_of(record: Record) -> str:
    """Return what a record says, as a sentence without its end."""
    return _WORDS[record.kind](record)


def told_by(record: Record) -> Mapping[str, Any]:
    """Return the report that a record carries, or nothing."""
    if record.kind not in {Kind.REPORTED, Kind.EVENT_ACCEPTED} or not record.payload:
        return {}
    told = json.loads(record.payload, parse_float=str)
    return told if isinstance(told, dict) else {}


def meaning(verdict: str) -> str:
    """Return what a verdict or warning means."""
    return (
        TEXTS[Reason(verdict)].meaning
        if verdict in Reason.__members__
        else "This version does not know that word."
    )


def micro(record: Record, name: str) -> str:
    """Return a fact in millionths as decimal text."""
    value = record.facts.get(name)
    return plain(value) if isinstance(value, int) else "?"


def _declared(record: Record) -> str:
    told = json.loads(record.payload, parse_float=str)
    size, limit = told.get("intended_size_usd"), told.get("limit_price")
    return f"the strategy declared: {told.get('side')} for {size} pUSD, at {limit} or better"


def _opened(record: Record) -> str:
    facts, policy = record.facts, record.facts.get("policy")
    order = f"{facts.get('side')} {micro(record, 'size_micro')} shares at {micro(record, 'price_micro')}"
    wish = "no policy of its own" if policy is None else f"policy {policy}"
    return f"its intent is taken up: {order}, {wish}, strategy {facts.get('strategy_id') or 'not named'}"


def _accepted(record: Record) -> str:
    if not record.payload:
        return "its event is on record as answered"
    return f"a partial fill came{_amounts(told_by(record))}; what was decided is begun"


def _amounts(told: Mapping[str, Any]) -> str:
    if told.get("filled_usd") is None:
        return ""
    return f": {told['filled_usd']} pUSD filled, {told.get('remaining_usd')} left"


def _decided(record: Record) -> str:
    what = f"{record.facts.get('action')} by rule {record.facts.get('row')}"
    if record.facts.get("confirmed"):
        return f"decided: {what}; it is begun"
    return f"the kept book says {what}; a fresh book is asked before anything is done"


def _cancel_started(record: Record) -> str:
    attempt, why = record.facts.get("attempt"), record.facts.get("why")
    again = f", attempt {attempt + 1}" if isinstance(attempt, int) and attempt else ""
    return f"its cancel is sent{again}" + (f" ({why})" if why else "")


def _size_read(record: Record) -> str:
    traded = record.facts.get("traded_micro")
    trades = f"; its trades add up to {plain(traded)}" if isinstance(traded, int) else ""
    return (
        f"it is dead: {micro(record, 'filled_micro')} of {micro(record, 'size_micro')} shares filled{trades}"
    )


def _post_recorded(record: Record) -> str:
    order, replaces = (
        f"{micro(record, 'size_micro')} shares at {micro(record, 'price_micro')}",
        record.facts.get("replaces"),
    )
    if replaces is None:
        return f"it is a later order of the intent: {order}"
    return f"about to be sent: {order}, in place of {short(str(replaces))}"


def _reported(record: Record) -> str:
    told, facts = told_by(record), record.facts
    verdict = str(facts.get("verdict"))
    by = {"kill": "by the kill switch: ", "command": "by hand: "}.get(str(facts.get("by")), "")
    kind = "reported" if facts.get("final") else "reported for the time being"
    done = "" if told.get("executed") in {True, None} else f" Nothing is sent in mode {told.get('mode')}."
    parts = [f"{by}{kind} {verdict}: {meaning(verdict)}{done}"]
    parts += [f"Warning {warning}: {meaning(warning)}" for warning in told.get("warnings") or ()]
    if told.get("new_order_id"):
        price, size = told.get("chase_price", "?"), told.get("chase_size_shares", "?")
        parts.append(f"The chase order is {short(told['new_order_id'])}, {size} shares at {price}.")
    if told.get("detail"):
        parts.append(f"({told['detail']})")
    return " ".join(parts)


def _kill_switch(record: Record) -> str:
    if not record.facts.get("active"):
        return "the kill switch was reset by hand"
    actor = record.facts.get("actor")
    by = f" by {actor}" if actor else ""
    return f"the kill switch went on{by}: {record.facts.get('reason') or 'no reason given'}"


def _command(record: Record) -> str:
    facts = record.facts
    who = facts.get("actor") or "somebody who gave no name"
    peer = f" ({facts['peer']})" if facts.get("peer") else ""
    to = f" {facts['to']}" if facts.get("to") else ""
    return f"{who}{peer} commanded {facts.get('command')}{to}: {facts.get('reason') or 'no reason given'}"


def _verdict(answers: Mapping[str, str]) -> Callable[[Record], str]:
    def words(record: Record) -> str:
        verdict, said = str(record.facts.get("verdict")), str(record.facts.get("words") or "").strip()
        said = said if not said or said[0] == "(" else f"({said})"
        return f"{answers.get(verdict, verdict)} {said}".rstrip()

    return words


_WORDS: Final[dict[Kind, Callable[[Record], str]]] = {
    Kind.DECLARED: _declared,
    Kind.INTENT_OPENED: _opened,
    Kind.INTENT_ENDED: lambda record: "its intent has ended",
    Kind.EVENT_ACCEPTED: _accepted,
    Kind.DECIDED: _decided,
    Kind.CANCEL_STARTED: _cancel_started,
    Kind.CANCEL_ANSWERED: _verdict(_CANCEL_ANSWERS),
    Kind.SIZE_READ: _size_read,
    Kind.POST_RECORDED: _post_recorded,
    Kind.POST_STARTED: lambda record: "it is sent",
    Kind.POST_ANSWERED: _verdict(_POST_ANSWERS),
    Kind.FOUND: _verdict(_RECORDS),
    Kind.HELD_BACK: lambda record: f"it is not sent: {record.facts.get('why')}",
    Kind.REPORTED: _reported,
    Kind.KILL_SWITCH: _kill_switch,
    Kind.COMMAND: _command,
}
