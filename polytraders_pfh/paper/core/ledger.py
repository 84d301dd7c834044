"""Who has what: settled holdings, what open orders hold back, what trades in settlement have locked.

Nothing is created here except by `deposit`, and nothing vanishes: at any moment all accounts' pUSD, plus
the pUSD behind the pairs of outcome tokens, plus the fees, equals what came in from outside (`audit`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from polytraders_pfh.paper.core.model import CROWD, Market

Asset = str | None
"""None is pUSD, otherwise a token id."""

_CROWD_CHUNK: Final = 1_000_000_000_000


class Holding:
    """One account's amount of one asset. `free` is what neither an open order nor a pending trade needs."""

    __slots__ = ("held", "locked", "total")

    def __init__(self) -> None:
        """Nothing yet."""
        self.total = 0
        self.held = 0
        self.locked = 0

    @property
    def free(self) -> int:
        """What can still be committed."""
        return self.total - self.held - self.locked


@dataclass(frozen=True, slots=True)
class Audit:
    """The books of the exchange at one moment; `balanced` is the conservation law."""

    inflow_usd_micro: int
    accounts_usd_micro: int
    pairs_usd_micro: int
    fees_usd_micro: int
    lowest_free_micro: int
    tokens_match_pairs: bool

    @property
    def balanced(self) -> bool:
        """Inflow equals accounts + pairs + fees, both tokens' supplies equal the pairs, nobody is short."""
        kept = self.accounts_usd_micro + self.pairs_usd_micro + self.fees_usd_micro
        return kept == self.inflow_usd_micro and self.tokens_match_pairs and self.lowest_free_micro >= 0


class Ledger:
    """Holdings of all accounts, and the collateral behind each market's pairs."""

    def __init__(self) -> None:
        """Empty books."""
        self._accounts: dict[str, dict[Asset, Holding]] = {}
        self._pairs: dict[str, int] = {}
        self._tokens: dict[str, tuple[str, str]] = {}
        self.fees_usd_micro = 0
        self.inflow_usd_micro = 0

    def holding(self, owner: str, asset: Asset) -> Holding:
        """The account's holding, made empty at first sight."""
        assets = self._accounts.get(owner)
        if assets is None:
            assets = self._accounts[owner] = {}
        found = assets.get(asset)
        if found is None:
            found = assets[asset] = Holding()
        return found

    def peek(self, owner: str, asset: Asset) -> Holding | None:
        """The account's holding, without making one."""
        return self._accounts.get(owner, {}).get(asset)

    def deposit(self, owner: str, usd_micro: int) -> None:
        """Bring pUSD in from outside. Raises ValueError when it is not positive."""
        if usd_micro <= 0:
            raise ValueError(f"deposit for {owner} was {usd_micro}; it must be positive micro-pUSD")
        self.holding(owner, None).total += usd_micro
        self.inflow_usd_micro += usd_micro

    def mint(self, owner: str, market: Market, size_micro: int) -> None:
        """Turn free pUSD into pairs. Raises ValueError when it is not positive or not there."""
        cash = self.holding(owner, None)
        if not 0 < size_micro <= cash.free:
            raise ValueError(
                f"mint for {owner} was {size_micro} with {cash.free} micro-pUSD free; deposit first"
            )
        cash.total -= size_micro
        self.move_pairs(market, size_micro)
        for token_id in market.token_ids:
            self.holding(owner, token_id).total += size_micro

    def move_pairs(self, market: Market, by_micro: int) -> None:
        """Note that pairs came to be (positive) or were merged back (negative)."""
        self._tokens.setdefault(market.condition_id, market.token_ids)
        self._pairs[market.condition_id] = self._pairs.get(market.condition_id, 0) + by_micro

    def fund_crowd(self, market: Market, asset: Asset, amount: int) -> None:
        """See that the crowd has `amount` free: its purse is refilled from outside whenever it runs low."""
        if self.holding(CROWD, asset).free >= amount:
            return
        refill = max(amount, _CROWD_CHUNK)
        self.deposit(CROWD, refill)
        if asset is not None:
            self.mint(CROWD, market, refill)

    def redeem(self, market: Market, winning_token_id: str) -> None:
        """Pay 1 pUSD for each winning share, and void the losing ones."""
        for assets in self._accounts.values():
            won = assets.pop(winning_token_id, None)
            for token_id in market.token_ids:
                assets.pop(token_id, None)
            if won is not None and won.total:
                assets.setdefault(None, Holding()).total += won.total
        self._pairs.pop(market.condition_id, None)

    def audit(self) -> Audit:
        """Count everything; reads every account."""
        cash = 0
        lowest = 0
        supply: dict[str, int] = {}
        for assets in self._accounts.values():
            for asset, holding in assets.items():
                lowest = min(lowest, holding.free, holding.held, holding.locked)
                if asset is None:
                    cash += holding.total
                else:
                    supply[asset] = supply.get(asset, 0) + holding.total
        matching = all(
            supply.get(token_id, 0) == pairs
            for condition_id, pairs in self._pairs.items()
            for token_id in self._tokens[condition_id]
        )
        return Audit(
            inflow_usd_micro=self.inflow_usd_micro,
            accounts_usd_micro=cash,
            pairs_usd_micro=sum(self._pairs.values()),
            fees_usd_micro=self.fees_usd_micro,
            lowest_free_micro=lowest,
            tokens_match_pairs=matching,
        )
