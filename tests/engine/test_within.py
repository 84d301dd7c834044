"""A deadline around an await, with and without suspension."""

import asyncio
from collections.abc import Generator
from typing import Any

import pytest

from polytraders_pfh.engine.within import within


async def test_answer_that_is_there_at_once_is_returned() -> None:
    async def at_once() -> int:
        return 7

    assert await within(0, at_once()) == 7


async def test_error_at_once_is_raised() -> None:
    async def fails() -> int:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await within(1, fails())


async def test_answer_after_several_suspensions_is_returned() -> None:
    async def later() -> int:
        for _ in range(3):
            await asyncio.sleep(0)
        return await asyncio.ensure_future(asyncio.sleep(0, 7))

    assert await within(5, later()) == 7


async def test_error_after_a_suspension_is_raised() -> None:
    async def fails() -> int:
        await asyncio.sleep(0)
        raise KeyError("x")

    with pytest.raises(KeyError):
        await within(1, fails())


async def test_what_takes_too_long_is_cancelled_and_times_out() -> None:
    seen: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    with pytest.raises(TimeoutError):
        await within(0.001, forever())
    assert seen == ["cancelled"]


async def test_answer_given_while_being_cancelled_is_still_the_answer() -> None:
    async def stubborn() -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return 7
        return 0

    assert await within(0.001, stubborn()) == 7


async def test_cancelling_the_caller_reaches_the_work_and_the_caller() -> None:
    seen: list[str] = []
    started = asyncio.Event()

    async def forever() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("ended")

    task = asyncio.ensure_future(within(60, forever()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["ended"]


async def test_timeout_inside_the_work_keeps_its_own_meaning() -> None:
    async def inner() -> str:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            return "inner"
        return "none"

    assert await within(60, inner()) == "inner"


async def test_awaitable_that_is_no_coroutine_is_awaited_under_the_deadline() -> None:
    class Once:
        def __await__(self) -> Generator[Any, Any, int]:
            yield from asyncio.sleep(0).__await__()
            return 7

    assert await within(1, Once()) == 7
    with pytest.raises(TimeoutError):
        await within(0.001, asyncio.get_running_loop().create_future())


def test_abandoned_work_is_closed() -> None:
    seen: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("closed")

    async def outer() -> None:
        await within(60, forever())

    async def start_and_drop() -> None:
        coroutine = outer()
        coroutine.send(None)
        coroutine.close()

    asyncio.run(start_and_drop())
    assert seen == ["closed"]
