"""Sequences that break off, and neighbours that hang, mumble or meddle: nothing is stuck or forgotten."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from polytraders_hookspecs import (
    CancelReplace,
    CancelReplaceResult,
    ExchangeReply,
    KillSwitchSignal,
    KillSwitchStatus,
    SignedOrder,
    first_hook,
    hookimpl,
)
from support.fake_host import NOW_MS, ROOT, FakeExchange, FakeHost, Resting, no_reply, partial

from polytraders_pfh.core.lifecycle import State
from polytraders_pfh.engine import carrier, sequencer

NEW = "0x" + "ee" * 32


def state_of(host: FakeHost) -> State:
    state: State = host.bot._engine.tools.intents.get(ROOT).state
    return state


class Optimiser:
    """Does with a chase what it is told to do."""

    def __init__(self, act: Callable[[CancelReplace], Any]) -> None:
        self.act = act

    @hookimpl
    async def on_cancel_replace(self, instruction: CancelReplace) -> CancelReplaceResult | None:
        result: CancelReplaceResult | None = await self.act(instruction)
        return result


async def test_optimiser_that_never_answers_holds_nothing_up_for_ever(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrier, "_NEIGHBOUR_DEADLINE_S", 0.01)

    async def hang(instruction: CancelReplace) -> None:
        await asyncio.Event().wait()

    host.manager.register(Optimiser(hang))

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_UNCONFIRMED"
    assert not host.bot._engine.tools.intents.get(ROOT).lock.locked()
    assert host.sample("in_flight") == 0


async def test_chase_that_an_optimiser_could_not_confirm_is_tracked_and_killed(host: FakeHost) -> None:
    async def post(instruction: CancelReplace) -> CancelReplaceResult:
        host.exchange.really_cancel((ROOT,))
        host.exchange.orders[NEW] = Resting(396_820_000, 630_000)
        return CancelReplaceResult(
            outcome="unconfirmed", new_order_id=NEW, price=Decimal("0.63"), size_shares=Decimal("396.82")
        )

    host.manager.register(Optimiser(post))
    report = await host.bot.on_partial_fill(partial(policy="chase"))

    await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS))

    assert (report.verdict, report.new_order_id) == ("CHASE_UNCONFIRMED", NEW)
    assert host.exchange.live() == []


async def test_optimiser_that_names_a_known_order_as_its_chase_is_not_believed(host: FakeHost) -> None:
    async def mumble(instruction: CancelReplace) -> CancelReplaceResult:
        return CancelReplaceResult(
            outcome="posted", new_order_id=ROOT, price=Decimal("0.63"), size_shares=Decimal("396.82")
        )

    host.manager.register(Optimiser(mumble))

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_UNCONFIRMED"
    assert len(host.bot._engine.tools.intents.get(ROOT).orders) == 1


async def test_instruction_handed_back_twice_and_widened_is_carried_out_once_as_it_was(
    host: FakeHost,
) -> None:
    async def hand_back(instruction: CancelReplace) -> CancelReplaceResult | None:
        if instruction.cap_price == Decimal("0.90"):
            return None
        wide = instruction.model_copy(update={"cap_price": Decimal("0.90"), "price": Decimal("0.90")})
        host.exchange.book = host.exchange.book.model_copy(  # type: ignore[union-attr]
            update={"asks": ((800_000, 10**10),)}
        )
        both = await asyncio.gather(
            *(first_hook(host.hooks.on_cancel_replace, instruction=wide) for _ in range(2))
        )
        (answer,) = (result.value for result in both if result is not None)
        return answer  # type: ignore[no-any-return]

    host.manager.register(Optimiser(hand_back))

    await host.bot.on_partial_fill(partial(policy="chase"))

    (posted,) = host.exchange.posted()
    assert posted.maker_amount_micro * 100 <= posted.taker_amount_micro * 65


async def test_signed_order_of_an_unknown_chain_is_not_posted_and_ends_the_remainder(host: FakeHost) -> None:
    host.signer.twist = lambda signed: signed.model_copy(update={"chain_id": 5})

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CANCELLED_REMAINDER"
    assert state_of(host) is State.CLOSED


async def test_sequence_that_breaks_off_between_cancel_and_post_ends_the_remainder(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*facts: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sequencer, "plan_on", broken)

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CANCELLED_REMAINDER"
    assert state_of(host) is State.CLOSED
    assert host.exchange.posted() == []


async def test_post_is_not_sent_again_once_the_host_says_that_its_kill_switch_is_on(host: FakeHost) -> None:
    def switch_goes_on(exchange: FakeExchange, order: SignedOrder) -> ExchangeReply:
        host.kill_switch.status_now = KillSwitchStatus(active=True, reason="drill")
        return no_reply()

    host.exchange.on_post = switch_goes_on

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_UNCONFIRMED"
    assert len(host.exchange.posted()) == 1
