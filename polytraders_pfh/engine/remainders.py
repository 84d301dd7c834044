"""A remainder as the rules look at it, and what an event's cumulative fill does to its order."""

from polytraders_pfh.core.money import MICRO, size_down
from polytraders_pfh.core.policy import Limits, Policy, Remainder
from polytraders_pfh.core.reasons import Reason
from polytraders_pfh.engine.intents import ChainOrder, Intent
from polytraders_pfh.engine.reporter import Work


def remainder_of(work: Work, intent: Intent, limits: Limits, now_ms: int) -> Remainder:
    """Return the unfilled part as the rules look at it; its chase figures only where a chase is looked at."""
    order, fill = intent.working, work.fill
    policy = intent.policy or limits.default_policy
    if policy is not Policy.CHASE:
        return Remainder(
            side=intent.side,
            price_micro=order.price_micro,
            root_price_micro=intent.root_price_micro,
            filled_usd_micro=fill.filled_usd_micro,
            remaining_usd_micro=fill.remaining_usd_micro,
            rest_size_micro=0,
            rest_usd_micro=0,
            policy=policy,
        )
    rest_size, rest_usd = intent.rest_without_working()
    since = intent.chasing_since_ms
    return Remainder(
        side=intent.side,
        price_micro=order.price_micro,
        root_price_micro=intent.root_price_micro,
        filled_usd_micro=fill.filled_usd_micro,
        remaining_usd_micro=fill.remaining_usd_micro,
        rest_size_micro=min(rest_size, order.size_micro - order.filled_micro),
        rest_usd_micro=rest_usd,
        policy=policy,
        allow_wide_chase=intent.allow_wide_chase,
        limit_price_micro=intent.limit_price_micro,
        reposts=intent.reposts,
        chasing_ms=now_ms - since if since else 0,
        extra_usd_micro=intent.extra_usd_micro() if intent.reposts else 0,
    )


def take_cumulative(work: Work, order: ChainOrder, latest_ms: int, *, replaced: bool = False) -> None:
    """Take an event's cumulative fill; a newer event that takes a fill back says so.

    What an order had filled that is `replaced` was read when it died, and the chain is measured by that:
    a fill that is taken back there frees nothing to be bought again.

    Amounts in pUSD round a size down by less than one micro-pUSD's worth of shares, so that much is
    not a reversal. Nor is an event that only lags behind what the exchange's record said meanwhile. An
    event from beyond `latest_ms` counts as one of that moment: it does not silence those that follow it.
    """
    fill = work.fill
    filled = min(size_down(fill.filled_usd_micro, order.price_micro), order.size_micro)
    rounding = MICRO // order.price_micro + 1
    if fill.event_ts_ms >= order.last_event_ms:
        if filled + rounding < order.told_micro:
            work.warnings += (Reason.FILL_REVERSED,)
            order.filled_micro = order.filled_micro if replaced else filled
        order.told_micro = filled
    order.filled_micro = max(order.filled_micro, filled)
    order.last_event_ms = max(order.last_event_ms, min(fill.event_ts_ms, latest_ms))
