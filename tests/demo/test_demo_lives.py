"""One host after the other: whoever asks is answered by one that is up."""

import asyncio
from typing import Any

from polytraders_pfh.demo.clock import MarketClock
from polytraders_pfh.demo.lives import Lives


class Newborn:
    """A host whose start takes until it is let in, and which knows nothing before that."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.let_in = asyncio.Event()

    async def __aenter__(self) -> "Newborn":
        await self.let_in.wait()
        self.clob = self.number
        return self

    async def __aexit__(self, *_: Any) -> None: ...

    async def cut_off(self) -> None: ...

    async def tell(self) -> int:
        return self.clob


async def test_who_asks_while_a_host_is_being_born_is_answered_by_it() -> None:
    hosts: list[Newborn] = []

    def make(_: Any) -> Any:
        hosts.append(Newborn(len(hosts)))
        return hosts[-1]

    async with asyncio.TaskGroup() as tasks:
        lives = Lives(make, MarketClock(0), set)
        hosts[0].let_in.set()
        await lives.open()
        lives.kill()
        answer = tasks.create_task(lives.ask(lambda host: host.tell()))  # type: ignore[attr-defined]
        while len(hosts) < 2:
            await asyncio.sleep(0)
        hosts[1].let_in.set()

    assert answer.result() == 1
    await lives.close()
