"""A signer that failed is tried before the next order is cancelled for a chase."""

from typing import Any

from support.fake_host import NOW_MS, ROOT, FakeHost, Resting, partial

from polytraders_pfh.errors import PfhError

OTHER = "0x" + "b2" * 32


def resting(host: FakeHost, *order_ids: str) -> None:
    for order_id in order_ids:
        host.exchange.orders[order_id] = Resting(size=725_806_451, price=620_000, matched=322_580_645)


def refuse(_: Any) -> Any:
    raise PfhError("the signer refused: side was BUY; limits.sides allows SELL")


def chase_of(order_id: str, trace: str, at_ms: int = NOW_MS) -> Any:
    return partial(order_id=order_id, trace_id=trace, policy="chase", at_ms=at_ms)


async def test_after_one_refusal_the_next_remainder_is_held_and_not_cancelled(host: FakeHost) -> None:
    resting(host, OTHER)
    host.signer.twist = refuse
    first = await host.bot.on_partial_fill(chase_of(ROOT, "trc_1"))
    second = await host.bot.on_partial_fill(chase_of(OTHER, "trc_2"))

    assert (first.verdict, second.verdict) == ("CANCELLED_REMAINDER", "HOLD_REMAINDER")
    assert second.warnings == ("NOT_REPOSTABLE",)
    assert first.detail == second.detail == "the signer refused: side was BUY; limits.sides allows SELL"
    assert host.exchange.cancels() == [(ROOT,)]


async def test_a_signer_that_works_again_is_used_for_the_next_remainder(host: FakeHost) -> None:
    resting(host, OTHER)
    host.signer.twist = refuse
    await host.bot.on_partial_fill(chase_of(ROOT, "trc_1"))
    host.signer.twist = None

    report = await host.bot.on_partial_fill(chase_of(OTHER, "trc_2"))

    assert report.verdict == "CHASE_ORDER_SUBMITTED"


async def test_a_minute_after_the_last_failure_nothing_is_tried_beforehand(host: FakeHost) -> None:
    resting(host, OTHER)
    host.signer.twist = refuse
    await host.bot.on_partial_fill(chase_of(ROOT, "trc_1"))
    asked = len(host.signer.asked)
    host.clock.ms += 60_000

    report = await host.bot.on_partial_fill(chase_of(OTHER, "trc_2", host.clock.ms))

    assert report.verdict == "CANCELLED_REMAINDER"
    assert len(host.signer.asked) == asked + 1


async def test_a_signer_that_works_is_never_asked_beforehand(host: FakeHost) -> None:
    await host.bot.on_partial_fill(chase_of(ROOT, "trc_1"))

    assert len(host.signer.asked) == 1


async def test_a_market_kind_that_is_not_known_yet_is_not_tried_for(host: FakeHost) -> None:
    resting(host, OTHER)
    host.signer.twist = refuse
    await host.bot.on_partial_fill(chase_of(ROOT, "trc_1"))
    asked = len(host.signer.asked)
    assert host.exchange.book is not None
    host.exchange.book = host.exchange.book.model_copy(update={"token_id": "77", "neg_risk": None})

    report = await host.bot.on_partial_fill(
        partial(order_id=OTHER, trace_id="trc_2", policy="chase", token_id="77")
    )

    assert report.verdict == "CANCELLED_REMAINDER"
    assert len(host.signer.asked) == asked
