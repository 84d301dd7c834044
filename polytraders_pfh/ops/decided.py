"""The decision that a record carries, with the rules as they were tried, in decimal texts."""

from polytraders_pfh.core.basis import Basis, decode
from polytraders_pfh.core.market import BookView, Level
from polytraders_pfh.core.money import MICRO, plain
from polytraders_pfh.core.policy import Decision, Limits, Policy
from polytraders_pfh.core.rules import explain
from polytraders_pfh.engine.journal import JournalFailed, Record
from polytraders_pfh.ops.story import BookSeen, Decided, LimitsSeen, RuleTried


def decided_in(record: Record) -> Decided | None:
    """Return the decision that a record carries, or None.

    Raises:
        JournalFailed: It is written in a format that this version does not read.
    """
    text = record.facts.get("decided")
    if not isinstance(text, str):
        return None
    try:
        basis, decision = decode(text)
    except ValueError as e:
        raise JournalFailed(f"a decision of order {record.order_id} cannot be read: {e}") from e
    return _told(basis, decision)


def _told(basis: Basis, decision: Decision) -> Decided:
    rest = basis.remainder
    return Decided(
        action=decision.action.value,
        reason=decision.reason.value,
        row=decision.row,
        policy=decision.policy.value,
        warnings=tuple([warning.value for warning in decision.warnings]),
        note=decision.note,
        price=plain(rest.price_micro),
        root_price=plain(rest.root_price_micro),
        filled_usd=plain(rest.filled_usd_micro),
        remaining_usd=plain(rest.remaining_usd_micro),
        rest_shares=plain(rest.rest_size_micro) if decision.policy is Policy.CHASE else None,
        reposts=rest.reposts,
        allow_wide_chase=rest.allow_wide_chase,
        limit_price=_plain(rest.limit_price_micro),
        kill_switch=basis.kill.value,
        obstacle=basis.obstacle,
        book_depth_usd=None if decision.depth_pico is None else plain(decision.depth_pico // MICRO),
        ticks_to_fill=_ticks(decision),
        chase_price=_plain(decision.price_micro),
        chase_size_shares=_plain(decision.size_micro),
        cap_price=_plain(decision.cap_micro),
        limits=_limits(basis.limits),
        book=None if basis.book is None else _book(basis.book, basis.now_ms),
        rules=tuple(
            [
                RuleTried(row=row, rule=rule, outcome=outcome.value, because=because)
                for row, rule, outcome, because in explain(basis)
            ]
        ),
    )


def _limits(limits: Limits) -> LimitsSeen:
    return LimitsSeen(
        min_remainder_usd=plain(limits.min_remainder_usd_micro),
        chase_max_ticks=limits.chase_max_ticks,
        cancel_on_book_thin=limits.cancel_on_book_thin,
        depth_levels=limits.depth_levels,
        depth_side=limits.depth_side.value,
        max_book_age_ms=limits.max_book_age_ms,
        closing_margin_ms=limits.closing_margin_ms,
        chase_max_reposts=limits.chase_max_reposts,
        chase_max_seconds=limits.chase_max_seconds,
        chase_max_extra_usd=_plain(limits.chase_max_extra_usd_micro),
    )


def _book(book: BookView, now_ms: int) -> BookSeen:
    return BookSeen(
        bids=_levels(book.bids),
        asks=_levels(book.asks),
        tick_size=plain(book.tick_micro),
        min_size_shares=plain(book.min_size_micro),
        age_ms=now_ms - book.as_of_ms,
        fresh=book.fresh,
        trading=book.trading.value,
        closes_in_ms=None if book.closes_at_ms is None else book.closes_at_ms - now_ms,
        fault=book.fault,
    )


def _levels(levels: tuple[Level, ...]) -> tuple[tuple[str, str], ...]:
    return tuple([(plain(price), plain(size)) for price, size in levels])


def _ticks(decision: Decision) -> str | None:
    if decision.adverse_micro is None or not decision.tick_micro:
        return None
    return plain(decision.adverse_micro * MICRO // decision.tick_micro)


def _plain(micro: int | None) -> str | None:
    return None if micro is None else plain(micro)
