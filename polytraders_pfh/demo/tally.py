"""The figures of a run, from the exchange's own records: what each policy filled, paid and left."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from polytraders_hookspecs.events import Policy, Side

from polytraders_pfh.demo.chains import Chain
from polytraders_pfh.paper.core.model import MICRO


@dataclass(frozen=True, slots=True)
class Figures:
    """One policy's orders of one side; exact, sizes in micro-shares, prices in micro-pUSD per share.

    `intent_price` is weighted by what filled, so it compares with `blended_price`; both are None without
    a fill. `cost_pico` is what the fills cost beyond the intents' prices, adverse positive.
    """

    policy: Policy
    side: Side
    orders: int
    wanted_micro: int
    filled_micro: int
    fully_filled: int
    intent_price: Fraction | None
    blended_price: Fraction | None
    cost_pico: int
    partial_fills: int
    chases: int
    max_adverse_ticks: Fraction

    @property
    def left_micro(self) -> int:
        """Shares that were wanted and did not trade."""
        return self.wanted_micro - self.filled_micro

    @property
    def cost_per_share(self) -> Fraction:
        """In micro-pUSD, adverse positive."""
        return Fraction(self.cost_pico, self.filled_micro) if self.filled_micro else Fraction(0)


def figures_of(
    chains: Iterable[Chain], policies: Sequence[Policy], partial_fills: dict[str, int]
) -> tuple[Figures, ...]:
    """Return a row per policy and side, in the policies' order, BUY first.

    Args:
        chains: Every intent's chain.
        policies: Those that ran.
        partial_fills: PARTIAL events by order id.
    """
    by_row: dict[tuple[Policy, Side], list[Chain]] = {}
    for chain in chains:
        by_row.setdefault((chain.intent.policy, chain.intent.side), []).append(chain)
    sides: tuple[Side, Side] = ("BUY", "SELL")
    return tuple(
        _figures(policy, side, by_row[policy, side], partial_fills)
        for policy in policies
        for side in sides
        if (policy, side) in by_row
    )


def _figures(policy: Policy, side: Side, chains: list[Chain], partial_fills: dict[str, int]) -> Figures:
    filled = sum(chain.filled_micro for chain in chains)
    intended = sum(chain.filled_micro * chain.intent.price_micro for chain in chains)
    paid = sum(chain.paid_pico for chain in chains)
    return Figures(
        policy=policy,
        side=side,
        orders=len(chains),
        wanted_micro=sum(chain.intent.size_micro for chain in chains),
        filled_micro=filled,
        fully_filled=sum(chain.left_micro == 0 for chain in chains),
        intent_price=Fraction(intended, filled) if filled else None,
        blended_price=Fraction(paid, filled) if filled else None,
        cost_pico=sum(chain.cost_pico for chain in chains),
        partial_fills=sum(partial_fills.get(order_id, 0) for chain in chains for order_id in chain.orders),
        chases=sum(len(chain.chases) for chain in chains),
        max_adverse_ticks=max((_worst_ticks(chain) for chain in chains), default=Fraction(0)),
    )


def _worst_ticks(chain: Chain) -> Fraction:
    """Return the worst fill's distance from the intent's price, in ticks of the market at that time."""
    worst = max((chain.adverse_micro(fill.price_micro) for fill in chain.fills), default=0)
    return Fraction(max(worst, 0), chain.intent.tick_micro)


def price_text(price: Fraction | None, places: int = 4) -> str:
    """Return micro-pUSD per share as text in pUSD, rounded to so many places; a dash for None."""
    if price is None:
        return "-"
    scaled = round(price * 10**places / MICRO)
    sign, scaled = ("-", -scaled) if scaled < 0 else ("", scaled)
    return f"{sign}{scaled // 10**places}.{scaled % 10**places:0{places}d}"
