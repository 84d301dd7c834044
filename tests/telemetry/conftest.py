"""A live bot on a fake host, its log in memory or on disk."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.fake_host import ROOT, FakeHost, Resting, book

MakeHost = Callable[..., Awaitable[FakeHost]]


@pytest.fixture
async def make_host(tmp_path: Path) -> AsyncIterator[MakeHost]:
    started: list[FakeHost] = []

    async def make(**config: Any) -> FakeHost:
        host = FakeHost({"mode": "general_live", "journal": {"durable": False}} | config, tmp_path)
        host.exchange.book = book()
        host.exchange.orders[ROOT] = Resting(size=725_806_451, price=620_000, matched=322_580_645)
        await host.start()
        started.append(host)
        return host

    yield make
    for host in started:
        host.clock.wake()
        await host.stop()


@pytest.fixture
async def host(make_host: MakeHost) -> FakeHost:
    return await make_host()


@pytest.fixture
async def durable(make_host: MakeHost) -> FakeHost:
    return await make_host(journal={"durable": True})
