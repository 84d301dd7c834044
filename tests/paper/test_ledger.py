"""The books of the exchange: nothing is created, nothing vanishes, and a broken book is seen."""

from __future__ import annotations

import pytest

from polytraders_pfh.paper.core.ledger import Ledger
from polytraders_pfh.paper.core.model import CROWD, Market, Outcome

MARKET = Market("0xc", "Will it?", (Outcome("1", "Yes"), Outcome("2", "No")))


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    ledger.deposit("ann", 1_000)
    return ledger


def test_minting_turns_collateral_into_both_tokens(ledger: Ledger) -> None:
    ledger.mint("ann", MARKET, 400)
    assert [ledger.holding("ann", asset).total for asset in (None, "1", "2")] == [600, 400, 400]
    audit = ledger.audit()
    assert (audit.accounts_usd_micro, audit.pairs_usd_micro, audit.balanced) == (600, 400, True)


def test_what_is_held_or_locked_is_not_free(ledger: Ledger) -> None:
    holding = ledger.holding("ann", None)
    holding.held, holding.locked = 300, 200
    assert holding.free == 500
    with pytest.raises(ValueError, match="500 micro-pUSD free"):
        ledger.mint("ann", MARKET, 501)


def test_the_audit_sees_pusd_from_nowhere(ledger: Ledger) -> None:
    ledger.holding("ann", None).total += 1
    assert not ledger.audit().balanced


def test_the_audit_sees_tokens_without_a_pair(ledger: Ledger) -> None:
    ledger.mint("ann", MARKET, 400)
    ledger.holding("bob", "1").total += 1
    audit = ledger.audit()
    assert (audit.tokens_match_pairs, audit.balanced) == (False, False)


def test_the_audit_sees_an_account_that_promised_more_than_it_has(ledger: Ledger) -> None:
    ledger.holding("ann", None).held = 1_001
    audit = ledger.audit()
    assert (audit.lowest_free_micro, audit.balanced) == (-1, False)


def test_fees_are_part_of_the_law(ledger: Ledger) -> None:
    ledger.holding("ann", None).total -= 10
    assert not ledger.audit().balanced
    ledger.fees_usd_micro += 10
    assert ledger.audit().balanced


def test_the_crowd_is_refilled_only_when_it_runs_low(ledger: Ledger) -> None:
    ledger.fund_crowd(MARKET, "1", 5)
    refilled = ledger.inflow_usd_micro
    ledger.fund_crowd(MARKET, "1", 5)
    ledger.fund_crowd(MARKET, "2", 5)
    assert ledger.inflow_usd_micro == refilled
    ledger.fund_crowd(MARKET, "1", 10**15)
    assert ledger.holding(CROWD, "1").free >= 10**15
    assert ledger.audit().balanced


def test_redeeming_pays_the_winners_and_voids_the_losers(ledger: Ledger) -> None:
    ledger.mint("ann", MARKET, 400)
    winner = ledger.holding("bob", "1")
    ledger.holding("ann", "1").total -= 150
    winner.total += 150
    ledger.redeem(MARKET, "1")
    assert [ledger.holding("ann", asset).total for asset in (None, "1", "2")] == [850, 0, 0]
    assert ledger.holding("bob", None).total == 150
    assert (ledger.audit().pairs_usd_micro, ledger.audit().balanced) == (0, True)


def test_looking_at_an_unknown_account_does_not_make_one(ledger: Ledger) -> None:
    assert ledger.peek("zoe", None) is None
    assert ledger.peek("ann", "1") is None
