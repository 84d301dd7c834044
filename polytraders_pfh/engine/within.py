"""Awaiting under a deadline that costs nothing when the answer is already there.

`asyncio.timeout` arms a timer on the loop, which takes about as long as a whole decision. Most port
calls on the hot path answer from memory without suspending, so the first step is run before any timer
is armed. (`asyncio.wait_for` is no choice: on 3.11 it can swallow a cancellation.)
"""

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from inspect import iscoroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class _Resumed(Generic[T]):
    """A coroutine that was started by hand, awaited from its first suspension on."""

    __slots__ = ("_coroutine", "_first")

    def __init__(self, coroutine: Coroutine[Any, Any, T], first: Any) -> None:
        self._coroutine = coroutine
        self._first = first

    def __await__(self) -> Generator[Any, Any, T]:
        coroutine, waiting_for = self._coroutine, self._first
        try:
            while True:
                try:
                    sent = yield waiting_for
                except GeneratorExit:
                    coroutine.close()
                    raise
                except BaseException as e:
                    waiting_for = coroutine.throw(e)
                else:
                    waiting_for = coroutine.send(sent)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # a coroutine's result, typed T by its caller


async def within(seconds: float, work: Awaitable[T]) -> T:
    """Return what `work` returns, within this many seconds.

    Raises:
        TimeoutError: It took longer; it was cancelled.
    """
    if not iscoroutine(work):
        async with asyncio.timeout(seconds):
            return await work
    coroutine: Coroutine[Any, Any, T] = work
    try:
        first = coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # as above
    async with asyncio.timeout(seconds):
        return await _Resumed(coroutine, first)
