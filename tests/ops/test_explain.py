"""The story of an intent, from any of its ids, out of a journal that is live, closed or exported."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from polytraders_hookspecs import DecisionReport, KillSwitchSignal, sign_event
from polytraders_hookspecs.wire import print_json
from support.fake_host import KEY, KEY_ID, NOW_MS, ROOT, TRACE, FakeHost, Resting, book, no_reply, partial

from polytraders_pfh.engine.journal import JournalFailed, Kind, Record, export_segment
from polytraders_pfh.ops.explain import story
from polytraders_pfh.ops.story import Story
from polytraders_pfh.ops.telling import plain_text
from polytraders_pfh.ops.words import _WORDS

OTHER = "0x" + "d4" * 32


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[FakeHost]:
    """One live bot with the card's order at rest; its state directory is the test's."""
    host = FakeHost(config={"mode": "general_live"}, state_dir=tmp_path)
    host.exchange.book = book()
    host.exchange.orders[ROOT] = Resting(size=725_806_451, price=620_000, matched=322_580_645)
    await host.start()
    host.bot.on_book_update(book())
    yield host
    await host.stop()


async def chased(host: FakeHost) -> str:
    """Have the root chased, and return the chase order's id once all of it is on disk."""
    report = await host.bot.on_partial_fill(partial(policy="chase"))
    await durable(host)
    assert report.new_order_id is not None
    return str(report.new_order_id)


async def durable(host: FakeHost) -> None:
    host.bot._engine.reporter.flush()
    await host.bot._engine.tools.journal.roll()


def told(path: Path, any_id: str) -> Story:
    found = story(path, any_id)
    assert found is not None
    return found


def kinds(found: Story) -> list[str]:
    return [entry.kind for entry in found.entries]


async def test_root_chase_order_and_trace_lead_to_the_same_story(host: FakeHost, tmp_path: Path) -> None:
    chase = await chased(host)

    stories = [told(tmp_path, any_id) for any_id in (ROOT, ROOT.upper().replace("0X", "0x"), chase, TRACE)]

    assert [found.entries for found in stories] == [stories[0].entries] * 4
    assert [order.order_id for order in stories[0].orders] == [ROOT, chase]
    assert kinds(stories[0]) == [
        "intent_opened",
        "decided",
        "event_accepted",
        "cancel_started",
        "cancel_answered",
        "size_read",
        "post_recorded",
        "post_answered",
        "reported",
    ]


async def test_story_of_a_chase_says_what_filled_what_was_seen_sent_and_answered(
    host: FakeHost, tmp_path: Path
) -> None:
    chase = await chased(host)

    found = told(tmp_path, ROOT)

    decided = found.entries[2].decided
    assert decided is not None
    assert decided.book is not None
    assert (decided.filled_usd, decided.remaining_usd) == ("200", "250")
    assert (decided.book.asks, decided.book.fresh) == ((("0.63", "1000"),), True)
    assert (decided.action, decided.row) == ("CHASE", 11)
    assert [rule.row for rule in decided.rules if rule.outcome == "fired"] == [11]
    short = f"{chase[:8]}…{chase[-4:]}"
    assert [entry.words for entry in found.entries[3:]] == [
        "its cancel is sent",
        "the exchange names it as cancelled",
        "it is dead: 322.580645 of 725.806451 shares filled; its trades add up to 322.580645",
        "about to be sent: 396.82 shares at 0.63, in place of 0xc3c3c3…c3c3",
        "the exchange accepted it (HTTP 200)",
        (
            "reported CHASE_ORDER_SUBMITTED: Remainder cancelled, proven dead, and posted again nearer to "
            f"the market. The chase order is {short}, 396.82 shares at 0.63."
        ),
    ]
    assert [order.fate for order in found.orders] == ["closed, 322.580645 shares filled", "on the exchange"]


async def test_ids_to_search_in_jaeger_stand_in_the_story(host: FakeHost, tmp_path: Path) -> None:
    await chased(host)

    found = told(tmp_path, ROOT)

    assert found.jaeger_tag == f"polytraders.trace_id={TRACE}"
    assert found.otel_trace_id == "2b3c4d5e6f7a8b9cb1ee93d6adfc56b1"


async def test_hold_tells_its_rules_in_the_record_of_its_report(host: FakeHost, tmp_path: Path) -> None:
    await host.bot.on_partial_fill(partial())
    await durable(host)

    found = told(tmp_path, ROOT)

    (decided,) = [entry.decided for entry in found.entries if entry.decided is not None]
    assert (decided.row, decided.rules[3].because) == (7, "250 pUSD is left, not below the minimum of 5")
    assert "=>  7  policy hold: hold               the policy is hold" in plain_text(found)


async def test_live_journal_is_read_while_the_bot_writes_it(host: FakeHost, tmp_path: Path) -> None:
    journal = host.bot._engine.tools.journal
    for n in range(3):
        await host.bot.on_partial_fill(partial(at_ms=NOW_MS + n))
        host.bot._engine.reporter.flush()
        await journal.append(Record(Kind.COMMAND, NOW_MS, "", "", "", {}))  # all before it is durable then

        assert kinds(told(tmp_path, ROOT)).count("reported") == n + 1
    assert len(list((tmp_path / "journal").glob("*.db"))) == 1
    assert journal.failed == ""


@pytest.mark.parametrize(("trace_id", "under_it"), [("trc_other", {OTHER}), (TRACE, {ROOT, OTHER})])
async def test_other_intents_stay_out_of_the_story_also_under_one_trace(
    host: FakeHost, tmp_path: Path, trace_id: str, under_it: set[str]
) -> None:
    await host.bot.on_partial_fill(partial())
    await host.bot.on_partial_fill(partial(order_id=OTHER, trace_id=trace_id))
    await durable(host)

    assert {entry.order_id for entry in told(tmp_path, ROOT).entries} == {ROOT}
    assert {entry.order_id for entry in told(tmp_path, OTHER).entries} == {OTHER}
    assert {entry.order_id for entry in told(tmp_path, trace_id).entries} == under_it


async def test_closed_segments_and_exports_tell_the_same_as_the_live_one(
    host: FakeHost, tmp_path: Path
) -> None:
    chase = await chased(host)
    at_rest = told(tmp_path / "journal", ROOT)
    closed, _live = await host.bot._engine.tools.journal.segments()
    export_segment(closed, tmp_path / "exported")

    assert told(tmp_path / "exported", chase).entries == at_rest.entries
    assert told(closed, chase).entries == at_rest.entries


async def test_chain_that_runs_over_segments_is_told_whole(host: FakeHost, tmp_path: Path) -> None:
    chase = await chased(host)
    await host.bot.on_partial_fill(
        partial(order_id=chase, price="0.63", filled="100", remaining="149.9966", at_ms=NOW_MS + 1)
    )
    await durable(host)

    found = told(tmp_path, ROOT)

    assert len(list((tmp_path / "journal").glob("*.db"))) == 3
    assert [entry.order_id for entry in found.entries if entry.kind == "reported"] == [ROOT, chase]
    assert found.orders[1].filled_usd == "100"


async def test_what_the_strategy_declared_and_the_kill_switch_belong_to_the_story(
    host: FakeHost, tmp_path: Path
) -> None:
    declared = DecisionReport(trace_id=TRACE, side="BUY", intended_size_usd="450", limit_price="0.64")
    host.bot.on_decision_report(
        sign_event(
            key_id=KEY_ID,
            key=KEY,
            event_ts_ms=NOW_MS,
            trace_id=TRACE,
            body=print_json(declared.model_dump(exclude_none=True)).encode(),
        )
    )
    await host.bot.on_partial_fill(partial())
    await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill"))
    await durable(host)

    words = [entry.words for entry in told(tmp_path, ROOT).entries]

    assert words[0] == "the strategy declared: BUY for 450 pUSD, at 0.64 or better"
    assert "the kill switch went on: drill" in words
    assert words[-2:] == [
        "its intent has ended",
        "by the kill switch: reported KILL_SWITCH_ACTIVE: Kill switch active; remainder cancelled at once.",
    ]


async def test_words_of_the_exchange_cannot_move_the_terminal_s_cursor(
    host: FakeHost, tmp_path: Path
) -> None:
    await host.bot.on_partial_fill(partial(strategy="s1\x1b[2J"))
    await durable(host)

    assert "\x1b" not in plain_text(told(tmp_path, ROOT))


def test_every_kind_of_record_has_its_words() -> None:
    assert set(_WORDS) == set(Kind)


async def test_order_that_is_not_there_has_no_story(host: FakeHost, tmp_path: Path) -> None:
    await chased(host)

    assert story(tmp_path, OTHER) is None
    assert story(tmp_path, " ") is None


async def test_altered_record_of_the_story_is_named(host: FakeHost, tmp_path: Path) -> None:
    await chased(host)
    segment = min((tmp_path / "journal").glob("*.db"))
    with closing(sqlite3.connect(segment)) as db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        swap = "CAST(replace(CAST(body AS TEXT), 'attempt\":0', 'attempt\":7') AS BLOB)"
        db.execute(f"UPDATE records SET body = {swap}")
        db.commit()

    with pytest.raises(JournalFailed, match=r"record 4 in .* was altered; run `verify`"):
        story(tmp_path, ROOT)


@pytest.mark.parametrize("journals", [0, 2])
def test_directory_without_one_journal_says_so(tmp_path: Path, journals: int) -> None:
    for n in range(journals):
        (tmp_path / f"bot{n}").mkdir()
        (tmp_path / f"bot{n}" / "journal-000000000001.manifest.json").write_text("{}")

    with pytest.raises(JournalFailed, match="name the directory of one" if not journals else "2 journals"):
        story(tmp_path, ROOT)


async def test_stale_book_and_its_thinness_are_seen_in_the_story(host: FakeHost, tmp_path: Path) -> None:
    host.exchange.book = book(asks=(("0.63", "10"),))
    await host.bot.on_partial_fill(partial(policy="chase"))
    await durable(host)

    text = plain_text(told(tmp_path, ROOT))

    assert "asks  0.63 x 10\n" in text
    assert "=>  6  thin book: cancel               the best asks, 5 at most, hold 6.3 pUSD" in text
    assert "the best asks, 5 at most, hold 6.3 pUSD, below the 250 that is left" in text


async def test_question_that_is_asked_again_and_again_is_one_line(host: FakeHost, tmp_path: Path) -> None:
    host.exchange.on_cancel = lambda exchange, ids: no_reply()
    host.exchange.on_get = lambda exchange, order_id: no_reply()
    await host.bot.on_partial_fill(partial(policy="cancel"))
    tools = host.bot._engine.tools
    for n in range(3):
        facts = {"verdict": "unknown"}
        tools.journal.append(Record(Kind.FOUND, NOW_MS + n, TRACE, ROOT, ROOT, facts))
    await durable(host)

    asked = [line for line in plain_text(told(tmp_path, ROOT)).splitlines() if " times, until " in line]

    assert len(asked) == 1
    assert "0xc3c3c3…c3c3: asked 3 times, until record " in asked[0]
    assert asked[0].endswith(": its record could not be read")
