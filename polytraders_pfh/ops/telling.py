"""A story as lines for a person to read, each in a tone that a terminal shows as colour and a file drops."""

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from itertools import groupby
from typing import Final, NamedTuple

from polytraders_pfh.ops.story import BookSeen, Decided, Entry, OrderOfChain, Story
from polytraders_pfh.ops.words import short


class Tone(StrEnum):
    """What kind of line it is."""

    TITLE = "title"
    PLAIN = "plain"
    EVENT = "event"
    FIRED = "fired"
    PASSED = "passed"
    FAINT = "faint"


class Line(NamedTuple):
    """One line: where it begins, what stands in front, and the text, which wraps behind that."""

    tone: Tone
    indent: int
    text: str
    head: str = ""


_INSIDE: Final = 8
_LOUD: Final = frozenset({"reported", "kill_switch", "command"})
_MARKS: Final = {
    "fired": (Tone.FIRED, "=>"),
    "did not fire": (Tone.PASSED, "no"),
    "not reached": (Tone.FAINT, "--"),
}


def lines(story: Story) -> Iterator[Line]:
    """Yield the story, line by line. What exchange or strategy said in it cannot move a terminal's cursor."""
    for line in _lines(story):
        text = line.text
        if not text.isprintable():
            text = "".join([c if c.isprintable() else "\ufffd" for c in text])
        yield line._replace(text=text)


def _lines(story: Story) -> Iterator[Line]:
    yield Line(Tone.TITLE, 0, _title(story))
    yield Line(Tone.PLAIN, 0, f"Last word: {story.last_word}")
    yield from _section("Orders")
    for order in story.orders:
        yield from _order(order, story.asked_for)
    yield from _section("Where to look further")
    yield from _where(story)
    yield from _section("What happened, by record of the journal, in UTC")
    day, before = "", None
    for _, asked in groupby(story.entries, _question):
        entry, *others = asked
        if day != (day := _moment(entry).date().isoformat()):
            yield Line(Tone.FAINT, 8, day)
        if others:
            yield _asked_often(entry, others)
        elif not _repeats(before, entry):
            yield from _entry(entry)
        before = others[-1] if others else entry


def plain_text(story: Story) -> str:
    """Return the story as text without colours."""
    return "".join(f"{' ' * line.indent}{line.head}{line.text}".rstrip() + "\n" for line in lines(story))


def _section(title: str) -> Iterator[Line]:
    yield Line(Tone.PLAIN, 0, "")
    yield Line(Tone.TITLE, 0, title)


def _title(story: Story) -> str:
    if not story.orders:
        return f"Order {story.asked_for}"
    root = story.orders[0]
    policy = f"policy {story.policy}" if story.policy else "the default policy"
    strategy = f", strategy {story.strategy_id}" if story.strategy_id else ""
    return f"{story.side} {root.size_shares} shares at {root.price}, {policy}{strategy}"


def _order(order: OrderOfChain, asked_for: str) -> Iterator[Line]:
    kind = "chase" if order.replaces or order.order_id != order.root_order_id else "root"
    here = "  (asked for)" if order.order_id == asked_for else ""
    yield Line(Tone.EVENT, 2, order.order_id + here, f"{kind:<7}")
    filled = "" if order.filled_usd is None else f"; last told as filled: {order.filled_usd} pUSD"
    yield Line(Tone.PLAIN, 9, f"{order.size_shares} shares at {order.price}: {order.fate}{filled}")


def _where(story: Story) -> Iterator[Line]:
    if story.jaeger_tag:
        yield Line(Tone.PLAIN, 2, story.jaeger_tag, "Jaeger, tag search    ")
        yield Line(Tone.PLAIN, 2, story.otel_trace_id, "Jaeger, trace id      ")
    for trace in story.traces:
        if trace != story.otel_trace_id:
            yield Line(Tone.PLAIN, 2, trace, "host's own trace id   ")
    if story.market_id and story.token_id:
        yield Line(Tone.PLAIN, 2, story.market_id, "market                ")
        yield Line(Tone.PLAIN, 2, story.token_id, "token                 ")


def _repeats(before: Entry | None, entry: Entry) -> bool:
    """Whether an entry only says that the event just reported is on record."""
    return (
        before is not None
        and entry.kind == "event_accepted"
        and entry.decided is None
        and before.kind == "reported"
        and before.event_ts_ms == entry.event_ts_ms
    )


def _question(entry: Entry) -> tuple[str, int]:
    """Return what tells an entry from the next, but for a question that is asked again and again."""
    return (entry.order_id, 0) if entry.kind == "found" else ("", entry.record)


def _asked_often(first: Entry, others: list[Entry]) -> Line:
    last = others[-1]
    until = f"until record {last.record} at {_clock(last)}"
    text = f"{short(first.order_id)}: asked {len(others) + 1} times, {until}: {last.words}"
    return Line(Tone.PLAIN, 0, text, _head(first))


def _clock(entry: Entry) -> str:
    return f"{_moment(entry).strftime('%H:%M:%S')}.{entry.at_ms % 1000:03d}"


def _head(entry: Entry) -> str:
    return f"{entry.record:>6}  {_clock(entry)}  "


def _moment(entry: Entry) -> datetime:
    return datetime.fromtimestamp(entry.at_ms // 1000, UTC)


def _entry(entry: Entry) -> Iterator[Line]:
    head = _head(entry)
    about = f"{short(entry.order_id)}: " if entry.order_id else ""
    tone = Tone.EVENT if entry.kind in _LOUD else Tone.PLAIN
    if entry.decided is None or entry.kind == "decided":
        yield Line(tone, 0, about + entry.words, head)
    elif entry.kind == "reported":
        yield Line(Tone.PLAIN, 0, about + _came(entry.decided), head)
        yield from _decided(entry.decided)
        yield Line(tone, _INSIDE, entry.words)
    else:
        yield Line(tone, 0, about + entry.words, head)
        yield from _decided(entry.decided)


def _came(decided: Decided) -> str:
    return f"a partial fill came: {decided.filled_usd} pUSD filled, {decided.remaining_usd} left"


def _decided(decided: Decided) -> Iterator[Line]:
    for text in _book(decided.book):
        yield Line(Tone.FAINT, _INSIDE, text)
    for rule in decided.rules:
        tone, mark = _MARKS[rule.outcome]
        yield Line(tone, _INSIDE, rule.because or "not reached", f"{mark} {rule.row:>2}  {rule.rule:<32}")
    yield Line(Tone.FIRED, _INSIDE, _outcome(decided))


def _book(book: BookSeen | None) -> Iterator[str]:
    if book is None:
        yield "no book could be seen"
        return
    origin = "read for this decision" if book.fresh else "kept from the stream"
    yield f"book seen: {origin}, {book.age_ms} ms old, tick {book.tick_size}, market {book.trading}"
    for name, levels in (("bids", book.bids), ("asks", book.asks)):
        yield f"  {name}  " + ("  ".join(f"{price} x {size}" for price, size in levels) or "none")


def _outcome(decided: Decided) -> str:
    text = f"so: {decided.action}, rule {decided.row}"
    if decided.chase_price is not None:
        cap = f"never beyond {decided.cap_price}"
        text += f", {decided.chase_size_shares} shares at {decided.chase_price}, {cap}"
    return text + (f" ({decided.note})" if decided.note else "")
