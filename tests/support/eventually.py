"""Waiting for a condition, without guessing how long it takes."""

import asyncio
from collections.abc import Callable


async def eventually(condition: Callable[[], object], within_s: float = 60.0) -> None:
    """Return as soon as `condition()` is true; fail when it is not within the time."""
    try:
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"not within {within_s} s: {condition}") from None
