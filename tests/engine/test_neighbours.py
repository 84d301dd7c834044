"""Other bots: an optimiser that takes the chase, a dust cleaner, and neighbours that misbehave."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from polytraders_hookspecs import CancelReplace, CancelReplaceResult, DustRemainder, hookimpl
from support.fake_host import BUILDER, MARKET, NOW_MS, ROOT, TOKEN, TRACE, FakeHost, partial

NEW = "0x" + "ee" * 32


class Optimiser:
    """Takes every chase and answers as told."""

    def __init__(self, answer: CancelReplaceResult | Exception | None) -> None:
        self.answer = answer
        self.seen: list[CancelReplace] = []

    @hookimpl
    async def on_cancel_replace(self, instruction: CancelReplace) -> CancelReplaceResult | None:
        self.seen.append(instruction)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_optimiser_gets_the_whole_instruction_and_its_answer_is_reported(host: FakeHost) -> None:
    answer = CancelReplaceResult(
        outcome="posted", new_order_id=NEW, price=Decimal("0.63"), size_shares=Decimal("396.82")
    )
    optimiser = Optimiser(answer)
    host.manager.register(optimiser)

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    (instruction,) = optimiser.seen
    assert (instruction.order_id, instruction.market_id, instruction.token_id) == (ROOT, MARKET, TOKEN)
    assert (instruction.price, instruction.cap_price) == (Decimal("0.63"), Decimal("0.65"))
    assert (instruction.builder_code, instruction.trace_id) == (BUILDER, TRACE)
    assert instruction.max_cost_usd == Decimal("250")
    assert (report.verdict, report.new_order_id) == ("CHASE_ORDER_SUBMITTED", NEW)
    assert host.exchange.cancels() == host.exchange.posted() == []


async def test_partial_fill_of_an_optimiser_s_order_belongs_to_the_same_intent(host: FakeHost) -> None:
    answer = CancelReplaceResult(
        outcome="posted", new_order_id=NEW, price=Decimal("0.63"), size_shares=Decimal("396.82")
    )
    host.manager.register(Optimiser(answer))
    await host.bot.on_partial_fill(partial(policy="chase"))

    report = await host.bot.on_partial_fill(
        partial(order_id=NEW, price="0.63", filled="63", remaining="186.9966", at_ms=NOW_MS + 1)
    )

    assert report.root_order_id == ROOT


async def test_optimiser_that_declines_leaves_the_chase_to_our_own_sequencer(host: FakeHost) -> None:
    host.manager.register(Optimiser(None))

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_ORDER_SUBMITTED"
    assert len(host.exchange.posted()) == 1


async def test_optimiser_that_raises_leaves_the_chase_in_doubt_and_nobody_posts_in_its_place(
    host: FakeHost,
) -> None:
    host.manager.register(Optimiser(RuntimeError("half done")))

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_UNCONFIRMED"
    assert host.exchange.posted() == []
    assert host.bot.check_health().status == "red"


@pytest.mark.parametrize(
    ("price", "size"), [(Decimal("0.70"), Decimal("10")), (Decimal("0.63"), Decimal("4000"))]
)
async def test_optimiser_that_breaks_its_bounds_trips_the_invariant_and_stops_the_intent(
    host: FakeHost, price: Decimal, size: Decimal
) -> None:
    host.manager.register(
        Optimiser(CancelReplaceResult(outcome="posted", new_order_id=NEW, price=price, size_shares=size))
    )

    await host.bot.on_partial_fill(partial(policy="chase"))

    assert host.sample("invariant_trips_total") == 1
    assert host.bot.check_health().status == "red"


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        ("cancelled", "CANCELLED_REMAINDER"),
        ("closed", "REMAINDER_CLOSED"),
        ("rejected", "CHASE_REJECTED"),
        ("unconfirmed", "CHASE_UNCONFIRMED"),
        ("cancel_unconfirmed", "CANCEL_UNCONFIRMED"),
    ],
)
async def test_every_outcome_of_an_optimiser_has_its_verdict(
    host: FakeHost, outcome: Any, verdict: str
) -> None:
    host.manager.register(Optimiser(CancelReplaceResult(outcome=outcome)))

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == verdict


async def test_dust_is_cancelled_and_handed_to_the_cleaner_with_its_original_order_id(host: FakeHost) -> None:
    handed: list[DustRemainder] = []
    arrived = asyncio.Event()

    class Cleaner:
        @hookimpl
        async def on_dust_remainder(self, dust: DustRemainder) -> None:
            handed.append(dust)
            arrived.set()

    host.manager.register(Cleaner())

    await host.bot.on_partial_fill(partial(filled="447", remaining="3"))
    await arrived.wait()

    assert [(d.order_id, d.remaining_usd, d.cancelled) for d in handed] == [(ROOT, Decimal(3), True)]


async def test_dust_below_the_hard_minimum_carries_no_warning(host: FakeHost) -> None:
    report = await host.bot.on_partial_fill(partial(filled="449.5", remaining="0.5"))

    assert (report.verdict, report.warnings) == ("PARTIAL_FILL_DUST_AUTO_CANCEL", None)


async def test_cleaner_that_raises_changes_nothing(host: FakeHost) -> None:
    class Broken:
        @hookimpl
        def on_dust_remainder(self, dust: DustRemainder) -> None:
            raise RuntimeError("no broom")

    host.manager.register(Broken())

    report = await host.bot.on_partial_fill(partial(filled="447", remaining="3"))

    assert report.verdict == "PARTIAL_FILL_DUST_AUTO_CANCEL"


async def test_bus_that_is_down_delays_reports_and_loses_none(host: FakeHost) -> None:
    host.reports.down = True
    for i in range(3):
        await host.bot.on_partial_fill(partial(at_ms=NOW_MS + i))
    for _ in range(20):
        await asyncio.sleep(0)
    host.reports.down = False
    host.clock.wake()

    published = await host.reports.until(3)

    assert [r["event_ts_ms"] for r in published] == [NOW_MS, NOW_MS + 1, NOW_MS + 2]
    assert {topic for topic, *_ in host.reports.published} == {"polytraders.reports.execution"}
    assert {key for _, key, *_ in host.reports.published} == {TRACE}


async def test_book_of_another_token_is_no_book(host: FakeHost) -> None:
    host.exchange.book = host.exchange.book.model_copy(update={"token_id": "5"})  # type: ignore[union-attr]

    report = await host.bot.on_partial_fill(partial(policy="cancel"))

    assert report.warnings == ("BOOK_UNAVAILABLE",)


async def test_signer_that_raises_posts_nothing(host: FakeHost) -> None:
    def explode(signed: object) -> object:
        raise RuntimeError("no key")

    host.signer.twist = explode

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CANCELLED_REMAINDER"
    assert report.detail == "the signer failed with RuntimeError"


async def test_signer_that_answers_nonsense_posts_nothing(host: FakeHost) -> None:
    host.signer.twist = lambda signed: "signed, trust me"

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CANCELLED_REMAINDER"
    assert host.exchange.posted() == []
