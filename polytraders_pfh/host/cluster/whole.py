"""Waiting for the bus without losing a cancellation: nats-py waits with `asyncio.wait_for`, which on Python
3.11 may swallow one. So its calls run in a task of their own, each to its own end and timeout.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def whole(call: Coroutine[Any, Any, T]) -> T:
    """Return what `call` returns. Cancelling who waits leaves the call to its end, unheard."""
    task = asyncio.get_running_loop().create_task(call)
    task.add_done_callback(_heard)
    return await asyncio.shield(task)


def _heard(task: "asyncio.Task[Any]") -> None:
    if not task.cancelled():
        task.exception()
