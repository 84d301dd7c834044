"""What hardly ever stands in a log, and what a start makes of it."""

from pathlib import Path
from typing import Any

import pytest
from polytraders_hookspecs import ExecutionReport, OrderFacts
from support.fake_host import MARKET, NOW_MS, ROOT, TOKEN, TRACE, FakeClock, FakeHost, Resting, book, partial

from polytraders_pfh.core.chase import Bounds
from polytraders_pfh.core.lifecycle import State
from polytraders_pfh.core.market import Side
from polytraders_pfh.core.outcomes import OrderRecord
from polytraders_pfh.core.reasons import Reason
from polytraders_pfh.engine import fold as folding
from polytraders_pfh.engine.fold import Folded, fold, history, take
from polytraders_pfh.engine.intents import ChainOrder, Intent, take_record
from polytraders_pfh.engine.journal import JournalFailed, Kind, MemoryJournal, Record
from polytraders_pfh.engine.restart import _verdict

CHASE = "0x" + "ee" * 32
SIZE, PRICE = 725_806_451, 620_000


def intent(*orders: ChainOrder) -> Intent:
    return Intent(
        root_order_id=ROOT,
        trace_id=TRACE,
        market_id=MARKET,
        token_id=TOKEN,
        side=Side.BUY,
        root_price_micro=PRICE,
        bounds=Bounds(Side.BUY, SIZE, SIZE * PRICE),
        builder_code=ROOT,
        orders=list(orders) or [ChainOrder(ROOT, PRICE, SIZE)],
    )


def record(kind: Kind, order_id: str = CHASE, root: str = ROOT, payload: bytes = b"", **facts: Any) -> Record:
    return Record(kind, NOW_MS, TRACE, root, order_id, facts, payload)


def opened() -> Folded:
    folded = Folded()
    take(folded, history(intent(), NOW_MS)[0])
    return folded


POSTED = {"price_micro": 630_000, "size_micro": 5_000_000}


def test_post_of_an_intent_that_was_never_opened_is_left_out() -> None:
    folded = Folded()
    take(folded, record(Kind.POST_RECORDED, **POSTED))

    assert folded.intents == {}


def test_order_held_back_is_no_order_of_the_chain_and_another_s_changes_nothing() -> None:
    folded = opened()
    take(folded, record(Kind.POST_RECORDED, **POSTED))
    take(folded, record(Kind.HELD_BACK, "0x" + "aa" * 32))
    kept = [order.order_id for order in folded.intents[ROOT].orders]
    take(folded, record(Kind.HELD_BACK))

    assert (kept, [order.order_id for order in folded.intents[ROOT].orders]) == ([ROOT, CHASE], [ROOT])
    assert folded.intents[ROOT].reposts == 0


def test_refused_order_may_fill_no_more_and_any_other_answer_proves_nothing() -> None:
    folded = opened()
    take(folded, record(Kind.POST_RECORDED, **POSTED))
    take(folded, record(Kind.POST_ANSWERED, verdict="unknown"))
    alive = folded.intents[ROOT].working.may_fill
    take(folded, record(Kind.POST_ANSWERED, verdict="refused"))

    assert (alive, folded.intents[ROOT].working.may_fill) == (True, False)


async def test_of_declarations_in_a_log_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "_DECLARED_KEPT", 2)
    journal = MemoryJournal()
    for n in range(4):
        body = b'{"trace_id":"trc_%d","side":"BUY","intended_size_usd":1,"limit_price":0.5}' % n
        await journal.append(record(Kind.DECLARED, payload=body))

    assert list((await fold(journal)).declared) == ["trc_2", "trc_3"]


def test_command_that_sets_no_mode_is_no_mode() -> None:
    folded = Folded()
    take(folded, record(Kind.COMMAND, command="cancel-remainder"))

    assert folded.mode is None


@pytest.mark.parametrize(
    ("kind", "facts", "sentence"),
    [
        (Kind.POST_RECORDED, {"price_micro": "x"}, "the fact 'price_micro' .* was 'x'; it is a number"),
        (Kind.INTENT_OPENED, {"side": "BUY"}, "the fact 'market_id' .* was None; it is a text"),
    ],
)
def test_record_that_lacks_a_fact_is_refused_by_its_name(
    kind: Kind, facts: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(TypeError, match=sentence):
        take(opened(), record(kind, **facts))


async def started(tmp_path: Path, **config: Any) -> FakeHost:
    host = FakeHost(config={"mode": "general_live"} | config, state_dir=tmp_path)
    host.exchange.book = book()
    host.exchange.orders[ROOT] = Resting(SIZE, PRICE, 322_580_645)
    await host.start()
    return host


async def test_log_that_cannot_be_folded_lets_nothing_be_posted_and_says_why(tmp_path: Path) -> None:
    host = await started(tmp_path)
    await host.bot._engine.tools.journal.append(record(Kind.INTENT_OPENED, ROOT, side="BUY"))
    await host.stop()

    host = await started(tmp_path)
    report = await host.bot.on_partial_fill(partial(policy="chase"))
    await host.stop()

    assert report.verdict == "HOLD_REMAINDER"
    assert "the journal could not be read: the fact 'market_id'" in report.detail
    assert host.exchange.posted() == host.exchange.cancels() == []


async def test_answers_that_cannot_be_read_back_are_left_out(tmp_path: Path) -> None:
    host = await started(tmp_path)
    journal = host.bot._engine.tools.journal
    await journal.append(record(Kind.EVENT_ACCEPTED, ROOT, event_ts_ms=NOW_MS - 3))
    await journal.append(record(Kind.EVENT_ACCEPTED, ROOT, payload=b"no report", event_ts_ms=NOW_MS - 2))
    await host.stop()

    host = await started(tmp_path)
    report = await host.bot.on_partial_fill(partial(at_ms=NOW_MS - 1))
    await host.stop()

    assert report.verdict == "HOLD_REMAINDER"


async def test_answers_of_a_log_that_cannot_be_read_are_asked_of_the_exchange(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def damaged(self: object, since_ms: int) -> list[object]:
        raise JournalFailed("record 7 was altered")

    monkeypatch.setattr(MemoryJournal, "seen_events", damaged)
    host = await started(tmp_path, journal={"durable": False})
    report = await host.bot.on_partial_fill(partial())
    await host.stop()

    assert report.verdict == "HOLD_REMAINDER"


def interim(order_id: str = ROOT) -> ExecutionReport:
    return ExecutionReport(report_id="r", bot_id="b", verdict="x", evaluated_at_ms=1, order_id=order_id)


@pytest.mark.parametrize(
    ("state", "filled", "verdict"),
    [
        (State.CANCEL_UNKNOWN, 0, Reason.CANCEL_UNCONFIRMED),
        (State.POST_UNKNOWN, 0, Reason.CHASE_UNCONFIRMED),
        (State.RESTING, 0, Reason.HOLD_REMAINDER),
        (State.CLOSED, 0, Reason.CANCELLED_REMAINDER),
        (State.CLOSED, SIZE, Reason.REMAINDER_CLOSED),
    ],
)
def test_what_an_interim_report_comes_to_after_a_restart(state: State, filled: int, verdict: Reason) -> None:
    found = intent(ChainOrder(ROOT, PRICE, SIZE, filled))
    found.state = state

    assert _verdict(interim(), found) is verdict


def test_interim_report_of_an_order_that_nobody_knows_is_closed_and_of_a_replaced_one_was_chased() -> None:
    chased = intent(ChainOrder(ROOT, PRICE, SIZE), ChainOrder(CHASE, 630_000, 5_000_000))

    assert _verdict(interim(), None) is Reason.REMAINDER_CLOSED
    assert _verdict(interim(), chased) is Reason.CHASE_ORDER_SUBMITTED


def test_record_narrower_than_the_intent_draws_its_bounds_in_and_a_wider_one_never_widens_them() -> None:
    known = intent()
    take_record(known, known.orders[0], OrderRecord(200, "LIVE", SIZE * 2, 0, PRICE))
    wide = known.bounds
    take_record(known, known.orders[0], OrderRecord(200, "LIVE", 100_000_000, None, PRICE))

    assert wide == Bounds(Side.BUY, SIZE, SIZE * PRICE)
    assert known.bounds == Bounds(Side.BUY, 100_000_000, 100_000_000 * PRICE)


def test_record_of_another_price_stops_the_intent() -> None:
    known = intent()
    take_record(known, known.orders[0], OrderRecord(200, "LIVE", None, None, 610_000))

    assert known.stopped == f"its order {ROOT} was told as priced 0.62; the exchange has 0.61"


async def test_manager_that_is_down_at_the_start_is_asked_until_it_answers(
    tmp_path: Path,
) -> None:
    host = FakeHost(config={"mode": "general_live"}, state_dir=tmp_path, clock=FakeClock())
    host.exchange.book = book()
    host.exchange.orders[ROOT] = Resting(SIZE, PRICE, 322_580_645)
    asked: list[int] = []

    async def down_twice() -> tuple[OrderFacts, ...]:
        asked.append(len(asked))
        if len(asked) < 3:
            raise ConnectionError("the manager is down")
        return ()

    host.orders.open_partials = down_twice  # type: ignore[method-assign]
    host.clock.wake()
    await host.start()
    report = await host.bot.on_partial_fill(partial(policy="chase", at_ms=host.clock.ms))
    await host.stop()

    assert len(asked) == 3
    assert report.verdict == "CHASE_ORDER_SUBMITTED"


def facts(**changes: Any) -> OrderFacts:
    known: dict[str, Any] = {
        "order_id": ROOT,
        "market_id": MARKET,
        "token_id": TOKEN,
        "trace_id": TRACE,
        "side": "BUY",
        "price": "0.62",
        "size_shares": "725.806451",
        "filled_shares": "322.580645",
        "status": "PARTIAL",
    }
    return OrderFacts(**(known | changes))


CHASED = {
    "order_id": CHASE,
    "price": "0.63",
    "size_shares": "396.82",
    "filled_shares": "0",
    "root_order_id": ROOT,
}


async def test_chain_of_which_two_orders_live_is_found_and_posts_nothing_more(tmp_path: Path) -> None:
    host = FakeHost(config={"mode": "general_live"}, state_dir=tmp_path)
    host.exchange.book = book()
    host.exchange.orders[ROOT] = Resting(SIZE, PRICE, 322_580_645)
    host.exchange.orders[CHASE] = Resting(396_820_000, 630_000)
    host.orders.partials = (facts(), facts(**CHASED))
    await host.start()

    stopped = host.bot._engine.tools.intents.get(CHASE).stopped
    await host.stop()

    assert stopped == "2 of its orders may still fill"


async def test_chase_whose_root_cannot_be_asked_for_is_not_chased_further(tmp_path: Path) -> None:
    host = FakeHost(config={"mode": "general_live"}, state_dir=tmp_path)
    host.exchange.book = book()
    host.exchange.orders[CHASE] = Resting(396_820_000, 630_000)
    host.orders.partials = (facts(**CHASED),)

    async def down(order_id: str) -> OrderFacts | None:
        raise ConnectionError("the manager is down")

    host.orders.get = down  # type: ignore[method-assign]
    await host.start()
    stopped = host.bot._engine.tools.intents.get(CHASE).stopped
    await host.stop()

    assert stopped == f"its root order {ROOT} is not known, and so its cap is not"


def test_of_ended_orders_in_a_log_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "_ENDED_KEPT", 1)
    folded = opened()
    take(folded, record(Kind.POST_RECORDED, **POSTED))
    take(folded, record(Kind.INTENT_ENDED, ROOT))
    take(folded, record(Kind.INTENT_ENDED, ROOT))

    assert list(folded.ended) == [CHASE]


async def test_order_that_ended_in_the_log_and_is_open_at_the_manager_s_is_worked_on(tmp_path: Path) -> None:
    host = await started(tmp_path)
    journal = host.bot._engine.tools.journal
    await journal.append(history(intent(), NOW_MS)[0])
    await journal.append(record(Kind.INTENT_ENDED, ROOT))
    await host.stop()
    host = FakeHost(config={"mode": "general_live"}, state_dir=tmp_path)
    host.exchange.book = book()
    host.exchange.orders[ROOT] = Resting(SIZE, PRICE, 322_580_645)
    host.orders.partials = (facts(),)
    await host.start()
    report = await host.bot.on_partial_fill(partial())
    await host.stop()

    assert report.verdict == "HOLD_REMAINDER"
