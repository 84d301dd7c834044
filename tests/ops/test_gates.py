"""The gates over real journals: a shadow run of 48 hours, a live run of 7 days, and a real Prometheus."""

import asyncio
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import pytest_asyncio
from support.fake_host import NOW_MS
from support.long_runs import Scraped, fills, openmetrics
from support.prometheus import Prometheus, prometheus, promtool

from polytraders_pfh.core.gates import HOUR_MS, Count, Verdict
from polytraders_pfh.engine.journal import Kind, Record, SqliteJournal
from polytraders_pfh.ops.gates import EvidenceError, evaluate, suite_run
from polytraders_pfh.ops.scraped import counted
from polytraders_pfh.ops.sources import records

HOURLY = [NOW_MS + n * HOUR_MS for n in range(49)]
WEEK = [NOW_MS + n * HOUR_MS * 3 // 2 for n in range(113)]


def few(n: int) -> str:
    """A remainder of which every fortieth is dust."""
    return "3" if n % 40 == 7 else "250"


@pytest.fixture(scope="module")
def shadow_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of 48 hours in shadow, one chase an hour."""
    path: Path = tmp_path_factory.mktemp("shadow")
    fills(path, "shadow_only", HOURLY)
    return path


@pytest.fixture(scope="module")
def live_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Scraped]]:
    """A journal of 7 days in limited_live, restarted once, and what was scraped of it."""
    path: Path = tmp_path_factory.mktemp("live")
    first = fills(path, "limited_live", WEEK[:60], few, "hold")
    second = fills(path, "limited_live", WEEK[60:], lambda n: few(n + 60), "hold")
    return path, [first, second]


def gate(name: str, verdicts: tuple[Verdict, ...]) -> Verdict:
    (verdict,) = [one for one in verdicts if one.gate == name]
    return verdict


def test_real_shadow_run_passes_with_its_records_named(shadow_run: Path) -> None:
    verdict = gate("to_limited_live", evaluate(shadow_run, (), HOURLY[-1]))

    assert verdict.missing == ()
    assert verdict.figure == "0 violations in 49 chase orders"
    assert verdict.evidence[0].startswith("49 reports over 48 h, records ")
    assert verdict.evidence[2] == "chase_max_ticks in force: 3"


def test_shadow_run_says_nothing_for_general_live(shadow_run: Path) -> None:
    verdict = gate("to_general_live", evaluate(shadow_run, (), HOURLY[-1]))

    assert verdict.missing[0] == "a run in limited_live: no report of one is in the journal"


def test_run_with_a_hole_counts_from_behind_the_hole(tmp_path: Path) -> None:
    fills(tmp_path, "shadow_only", HOURLY[:30])
    fills(tmp_path, "shadow_only", [moment + 7 * HOUR_MS for moment in HOURLY[30:]])

    verdict = gate("to_limited_live", evaluate(tmp_path, (), HOURLY[-1] + 7 * HOUR_MS))

    assert verdict.missing == (
        "30 h more in shadow_only without a silence of more than 6 h",
        "11 more chase orders",
    )


def test_time_in_another_mode_begins_the_run_anew(tmp_path: Path) -> None:
    fills(tmp_path, "shadow_only", HOURLY[:24])
    fills(tmp_path, "quarantine", [HOURLY[24]], policy="hold")
    fills(tmp_path, "shadow_only", HOURLY[25:])

    verdict = gate("to_limited_live", evaluate(tmp_path, (), HOURLY[-1]))

    assert "25 h more in shadow_only" in verdict.missing[0]


async def test_chase_that_was_priced_beyond_the_bound_is_found_in_the_journal(
    shadow_run: Path, tmp_path: Path
) -> None:
    """The same journal, as a bot would have left it that priced some chases a tick too far."""
    journal = SqliteJournal(tmp_path / "journal")
    await journal.open()
    for seq, record, _ in records(shadow_run, {Kind.REPORTED}):
        facts = dict(record.facts)
        if seq > 100:
            facts["decided"] = (
                str(facts["decided"]).replace(",630000,", ",660000,").replace('"CHASE"', '"CHASE"')
            )
        await journal.append(record._replace(facts=facts))
    await journal.close()

    verdict = gate("to_limited_live", evaluate(tmp_path, (), HOURLY[-1]))

    assert "BUY chase at 0.66, beyond 0.65" in verdict.missing[0]


async def test_chases_without_their_inputs_are_missing_evidence(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    await journal.open()
    facts = {"report_id": "rep_1", "verdict": "CHASE_ORDER_SUBMITTED", "final": True, "event_ts_ms": NOW_MS}
    payload = b'{"mode":"shadow_only","policy_applied":"chase"}'
    await journal.append(Record(Kind.REPORTED, NOW_MS, "trc_1", "0x1", "0x1", facts, payload))
    await journal.close()

    verdict = gate("to_limited_live", evaluate(tmp_path, (), NOW_MS))

    assert verdict.missing[-1] == "the inputs of 1 chases (records 1)"


def test_real_week_in_limited_live_passes(live_run: tuple[Path, list[Scraped]]) -> None:
    verdict = gate("to_general_live", evaluate(live_run[0], (), WEEK[-1]))

    assert verdict.missing == ()
    assert verdict.figure == "3 dust cancels in 113 partial fills, 2.66%"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    live_run: tuple[Path, list[Scraped]], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Prometheus]:
    """A Prometheus that holds what was scraped of the week."""
    directory: Path = tmp_path_factory.mktemp("prometheus")
    text = directory / "week.om"
    text.write_text(openmetrics(live_run[1]))
    promtool("tsdb", "create-blocks-from", "openmetrics", str(text), str(directory / "data"))
    async with prometheus(directory, None) as server:
        yield server


async def evaluated(path: Path, server: Prometheus) -> Verdict:
    def scrape(since_ms: int, until_ms: int) -> Count:
        return counted(server.url, since_ms, until_ms)

    verdicts = await asyncio.to_thread(evaluate, path, (), WEEK[-1] + HOUR_MS, scrape)
    return gate("to_general_live", verdicts)


@pytest.mark.asyncio(loop_scope="module")
async def test_real_prometheus_with_the_same_week_agrees_across_a_restart(
    live_run: tuple[Path, list[Scraped]], server: Prometheus
) -> None:
    verdict = await evaluated(live_run[0], server)

    assert verdict.missing == ()
    assert verdict.evidence[1:] == (
        "journal: 3 dust cancels in 113 partial fills, 2.66%",
        "Prometheus: 3 dust cancels in 113 partial fills, 2.66%",
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_real_prometheus_that_saw_more_than_the_journal_holds_refuses(
    server: Prometheus, tmp_path: Path
) -> None:
    moments = [moment for n, moment in enumerate(WEEK) if n % 40 != 7]
    await asyncio.to_thread(fills, tmp_path, "limited_live", moments, policy="hold")

    verdict = await evaluated(tmp_path, server)

    (missing,) = verdict.missing
    assert missing.startswith(
        "agreement: the journal has 0 dust cancels in 110 partial fills, 0%, "
        "Prometheus 3 dust cancels in 113 partial fills, 2.66%;"
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_prometheus_counts_from_the_window_s_start_alone(server: Prometheus) -> None:
    found = await asyncio.to_thread(counted, server.url, WEEK[100] - 1, WEEK[-1] + HOUR_MS)

    assert found == Count(13, 0)


def test_prometheus_that_is_not_there_is_one_sentence(live_run: tuple[Path, list[Scraped]]) -> None:
    with pytest.raises(EvidenceError, match=r"the Prometheus at http://127.0.0.1:1 did not answer"):
        counted("http://127.0.0.1:1", WEEK[0], WEEK[-1])
    with pytest.raises(EvidenceError, match=r"is no address of a Prometheus; write http://host:port"):
        counted("file:///etc/passwd", WEEK[0], WEEK[-1])


JUNIT = """<?xml version="1.0"?><testsuites><testsuite name="pytest" tests="4">
<testcase classname="t" name="test_dust_goes"/><testcase classname="t" name="test_thin_book_cancels"/>
<testcase classname="t" name="test_broken"><failure message="no">x</failure></testcase>
<testcase classname="t" name="test_left_out"><skipped message="no tool">x</skipped></testcase>
</testsuite></testsuites>"""


def test_junit_report_is_read_case_by_case(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(JUNIT)

    run = suite_run([tmp_path / "a.xml"])

    assert run.passed == ("test_dust_goes", "test_thin_book_cancels")
    assert (run.failed, run.skipped) == (("test_broken",), ("test_left_out",))


@pytest.mark.parametrize(("text", "said"), [("nothing", "is no JUnit report"), ("<a/>", "holds no test")])
def test_file_that_is_no_junit_report_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.xml").write_text(text)

    with pytest.raises(EvidenceError, match=said):
        suite_run([tmp_path / "a.xml"])


@pytest.mark.parametrize("body", [b"no JSON", b'{"status":"error","error":"no"}'])
def test_answer_that_is_none_of_a_prometheus_is_one_sentence(body: bytes) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Other) as other:
        thread = Thread(target=other.handle_request)
        thread.start()
        with pytest.raises(EvidenceError, match="answered with something else"):
            counted(f"http://127.0.0.1:{other.server_port}", WEEK[0], WEEK[1])
        thread.join()
