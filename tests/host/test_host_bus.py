import asyncio
import json
import os
from pathlib import Path

import pytest

from polytraders_pfh.host.bus import FileReportBus, MemoryReportBus, Message
from polytraders_pfh.host.errors import BusError


async def opened(path: Path) -> FileReportBus:
    bus = FileReportBus(path)
    await bus.open()
    return bus


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_the_memory_bus_takes_each_message_id_once() -> None:
    bus = MemoryReportBus()

    for payload in (b"1", b"2"):
        await bus.publish("t", "k", payload, "m1")

    assert list(bus.messages) == [Message("t", "k", b"1", "m1")]


async def test_a_published_report_is_a_line_of_the_file(tmp_path: Path) -> None:
    bus = await opened(tmp_path / "deep" / "reports.jsonl")

    await bus.publish("polytraders.reports.execution", "trc_1", b'{"filled_usd":0.10}', "m1")
    content = (tmp_path / "deep" / "reports.jsonl").read_bytes()
    await bus.close()

    assert content == (
        b'{"message_id":"m1","topic":"polytraders.reports.execution","key":"trc_1",'
        b'"payload":{"filled_usd":0.10}}\n'
    )


async def test_publish_returns_only_after_the_bytes_were_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    path = tmp_path / "r.jsonl"
    bus = await opened(path)
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(path.stat().st_size), real(fd)))

    await bus.publish("t", "k", b"{}", "m1")

    assert synced == [path.stat().st_size]
    await bus.close()


async def test_reports_that_arrive_together_share_one_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    bus = await opened(tmp_path / "r.jsonl")
    monkeypatch.setattr(os, "fsync", synced.append)

    await asyncio.gather(*[bus.publish("t", "k", b"{}", f"m{n}") for n in range(50)])
    await bus.close()

    assert len(synced) <= 2
    assert [line["message_id"] for line in lines(tmp_path / "r.jsonl")] == [f"m{n}" for n in range(50)]


async def test_a_message_offered_twice_is_written_once_across_restarts_too(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    bus = await opened(path)
    await asyncio.gather(bus.publish("t", "k", b"1", "m1"), bus.publish("t", "k", b"1", "m1"))
    await bus.close()

    again = await opened(path)
    await again.publish("t", "k", b"1", "m1")
    await again.publish("t", "k", b"2", "m2")
    await again.close()

    assert [line["message_id"] for line in lines(path)] == ["m1", "m2"]


async def test_a_torn_last_line_is_dropped_and_its_report_can_be_offered_again(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    bus = await opened(path)
    await bus.publish("t", "k", b"1", "m1")
    await bus.publish("t", "k", b"2", "m2")
    await bus.close()
    path.write_bytes(path.read_bytes()[:-5])

    again = await opened(path)
    await again.publish("t", "k", b"2", "m2")
    await again.close()

    assert [(line["message_id"], line["payload"]) for line in lines(path)] == [("m1", 1), ("m2", 2)]


async def test_after_a_failed_sync_nothing_is_acknowledged_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = await opened(tmp_path / "r.jsonl")

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(BusError, match="Input/output error"):
        await bus.publish("t", "k", b"1", "m1")
    monkeypatch.undo()
    with pytest.raises(BusError):
        await bus.publish("t", "k", b"1", "m1")
    await bus.close()


@pytest.mark.parametrize("payload", [b"", b"{", b'{\n"a":1}', b"\xff"])
async def test_a_payload_that_is_not_one_line_of_json_is_refused(tmp_path: Path, payload: bytes) -> None:
    bus = await opened(tmp_path / "r.jsonl")

    with pytest.raises(BusError, match="m1"):
        await bus.publish("t", "k", payload, "m1")
    await bus.close()


async def test_a_closed_bus_takes_nothing(tmp_path: Path) -> None:
    bus = await opened(tmp_path / "r.jsonl")
    await bus.close()

    with pytest.raises(BusError, match="closed"):
        await bus.publish("t", "k", b"1", "m1")


async def test_closing_writes_what_was_waiting(tmp_path: Path) -> None:
    bus = await opened(tmp_path / "r.jsonl")
    sending = asyncio.create_task(bus.publish("t", "k", b"1", "m1"))
    await asyncio.sleep(0)

    await bus.close()
    await sending

    assert [line["message_id"] for line in lines(tmp_path / "r.jsonl")] == ["m1"]


async def test_a_sender_that_gives_up_loses_nothing(tmp_path: Path) -> None:
    bus = await opened(tmp_path / "r.jsonl")
    sending = asyncio.create_task(bus.publish("t", "k", b"1", "m1"))
    await asyncio.sleep(0)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)

    await bus.close()

    assert [line["message_id"] for line in lines(tmp_path / "r.jsonl")] == ["m1"]


async def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(BusError, match=str(tmp_path)):
        await opened(tmp_path)
