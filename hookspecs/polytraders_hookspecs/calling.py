"""Awaiting hooks safely: pluggy has no async, it only collects what implementations return.

Three traps, each tested: `firstresult` takes the first coroutine whatever it later returns; a raise in
one implementation loses the coroutines of the others; a wrapper ends before any body has run. A host
therefore calls awaited hooks through `gather_hook` and `first_hook`, which take the implementations
from pluggy (its order: tryfirst, last registered first, trylast) and call them one by one.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Collection
from dataclasses import dataclass
from types import CoroutineType
from typing import Any, Final, NamedTuple

import pluggy

from polytraders_hookspecs.errors import HookCancelled, HookTimeout, HookWrapperRefused

_GRACE_S: Final = 1.0
"""How long a cancelled implementation may wind down before nobody waits for it any more."""


class HookResult(NamedTuple):
    """One implementation's answer: a value (None is one), or the error that it raised."""

    plugin_name: str
    value: Any = None
    error: Exception | None = None


@dataclass(slots=True)
class _Call:
    hook: str
    plugin_name: str
    value: Any = None
    error: Exception | None = None
    pending: Awaitable[Any] | None = None

    def result(self) -> HookResult:
        return HookResult(self.plugin_name, self.value, self.error)


def refuse_wrappers(manager: pluggy.PluginManager) -> None:
    """Raise when any plugin wraps a hook: the caller awaits bodies itself, so a wrapper would see none.

    Raises:
        HookWrapperRefused: Names the plugin and the hook.
    """
    for name, caller in sorted(vars(manager.hook).items()):
        for implementation in caller.get_hookimpls():
            if implementation.wrapper or implementation.hookwrapper:
                raise HookWrapperRefused(
                    f"plugin {implementation.plugin_name!r} wraps hook {name!r}; the host awaits hooks "
                    "itself, so write a plain implementation with tryfirst or trylast instead"
                )


async def gather_hook(
    hook_caller: pluggy.HookCaller, /, *, deadline_s: float | None = None, **kwargs: Any
) -> list[HookResult]:
    """Call every implementation, await every answer, and return one result each, in pluggy's order.

    Every implementation is called before any is awaited, so a slow bot delays no other. An exception
    stays inside its own result, and so does a cancellation of the implementation's own making
    (`HookCancelled`). What has not answered at the deadline is cancelled, and its result carries
    `HookTimeout`, unless it answers while it winds down; one that will not stop is left behind after a
    second. When the caller itself is cancelled, so is everything still pending.

    Args:
        hook_caller: For example `manager.hook.on_partial_fill`.
        deadline_s: Seconds for all together; None waits as long as it takes.
        **kwargs: The hook's arguments by name, as its specification has them.

    Raises:
        pluggy.HookCallError: An argument is missing; nothing was called.
    """
    calls = [_start(hook_caller, implementation, kwargs) for implementation in _in_order(hook_caller, kwargs)]
    waiting = [call for call in calls if call.pending is not None]
    if len(waiting) == 1 and deadline_s is None:
        await _finish(waiting[0])
    elif waiting:
        await _finish_together(waiting, deadline_s)
    return [call.result() for call in calls]


async def first_hook(
    hook_caller: pluggy.HookCaller, /, *, deadline_s: float | None = None, **kwargs: Any
) -> HookResult | None:
    """Await implementations one after the other until one answers; return its result, or None.

    An implementation that raises, cancels itself or is cut off by the deadline ends the search with its
    error: it may already have acted, so nobody else may act in its place until the caller has found out.

    Args:
        hook_caller: For example `manager.hook.on_cancel_replace`.
        deadline_s: Seconds for each implementation; None waits as long as it takes.
        **kwargs: The hook's arguments by name, as its specification has them.

    Raises:
        pluggy.HookCallError: An argument is missing; nothing was called.
    """
    for implementation in _in_order(hook_caller, kwargs):
        call = _start(hook_caller, implementation, kwargs)
        if call.pending is not None:
            if deadline_s is None:
                await _finish(call)
            else:
                await _finish_together([call], deadline_s)
        if call.error is not None or call.value is not None:
            return call.result()
    return None


def call_hook(hook_caller: pluggy.HookCaller, /, **kwargs: Any) -> list[HookResult]:
    """Call every implementation of a synchronous hook, each isolated from the others' exceptions.

    An implementation that returns an awaitable from a synchronous hook is an error of its own, since
    nobody would await it.

    Raises:
        pluggy.HookCallError: An argument is missing; nothing was called.
    """
    results = []
    for implementation in _in_order(hook_caller, kwargs):
        call = _start(hook_caller, implementation, kwargs)
        if call.pending is not None:
            if inspect.iscoroutine(call.pending):
                call.pending.close()
            call.error = TypeError(f"{hook_caller.name} is synchronous, and an awaitable was returned")
        results.append(call.result())
    return results


def _in_order(hook_caller: pluggy.HookCaller, kwargs: dict[str, Any]) -> list[pluggy.HookImpl]:
    """Return the implementations in pluggy's order, once every argument that they take is there."""
    implementations = hook_caller.get_hookimpls()[::-1]
    missing = [name for impl in implementations for name in impl.argnames if name not in kwargs]
    if missing:
        names = ", ".join(sorted(set(missing)))
        raise pluggy.HookCallError(f"hook {hook_caller.name!r} was called without {names}")
    return implementations


def _start(hook_caller: pluggy.HookCaller, implementation: pluggy.HookImpl, kwargs: dict[str, Any]) -> _Call:
    call = _Call(hook_caller.name, implementation.plugin_name)
    try:
        answer = implementation.function(*[kwargs[name] for name in implementation.argnames])
    except asyncio.CancelledError:
        call.error = _cancelled_itself(call)
    except Exception as e:
        call.error = e
    else:
        if type(answer) is CoroutineType or inspect.isawaitable(answer):
            call.pending = answer
        else:
            call.value = answer
    return call


async def _finish(call: _Call) -> None:
    assert call.pending is not None
    try:
        call.value = await call.pending
    except asyncio.CancelledError:
        # Nobody asked this task to stop, so the cancellation is the implementation's own: an error like
        # any other. Read as the caller's it would stop the host, read as an answer it would be None.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        call.error = _cancelled_itself(call)
    except Exception as e:
        call.error = e


def _cancelled_itself(call: _Call) -> HookCancelled:
    return HookCancelled(f"plugin {call.plugin_name!r} cancelled its own answer to {call.hook!r}")


async def _finish_together(waiting: list[_Call], deadline_s: float | None) -> None:
    tasks = {asyncio.ensure_future(_finish(call)): call for call in waiting}
    try:
        _, late = await asyncio.wait(tasks, timeout=deadline_s)
    except asyncio.CancelledError:
        await _cut_off(tasks.keys())
        _close_unbegun(waiting)
        raise
    await _cut_off(late)
    _close_unbegun(waiting)
    for task in late:
        if task.cancelled() or not task.done():
            call = tasks[task]
            call.error = HookTimeout(
                f"plugin {call.plugin_name!r} did not answer {call.hook!r} within {deadline_s} s"
                + ("" if task.done() else ", and goes on although it was cancelled")
            )


def _close_unbegun(calls: Collection[_Call]) -> None:
    """Close the answers whose tasks were cancelled before they began to await them."""
    for call in calls:
        answer = call.pending
        if inspect.iscoroutine(answer) and inspect.getcoroutinestate(answer) == inspect.CORO_CREATED:
            answer.close()


async def _cut_off(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_GRACE_S)
