"""A live bot on a fake host, as fixtures that several rooms of the tests use."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from support.fake_host import ROOT, FakeHost, Resting, book

MakeHost = Callable[..., Any]


@pytest.fixture
async def make_host(tmp_path: Path) -> AsyncIterator[MakeHost]:
    """Start hosts with a config; every one is stopped at the end."""
    started: list[FakeHost] = []

    async def make(**config: Any) -> FakeHost:
        host = FakeHost(
            config={"mode": "general_live", "journal": {"durable": False}} | config, state_dir=tmp_path
        )
        host.exchange.book = book()
        host.exchange.orders[ROOT] = Resting(size=725_806_451, price=620_000, matched=322_580_645)
        await host.start()
        started.append(host)
        return host

    yield make
    for host in started:
        await host.stop()


@pytest.fixture
async def host(make_host: MakeHost) -> FakeHost:
    """One live bot with the card's defaults."""
    return await make_host()
