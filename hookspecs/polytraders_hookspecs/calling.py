"""Awaiting hooks safely: pluggy has no async, it only collects what implementations return.

Three traps, each tested: `firstresult` takes the first coroutine whatever it later returns; a raise in
one implementation loses the coroutines of the others; a wrapper ends before any body has run. A host
therefore calls awaited hooks through `gather_hook` and `first_hook`, which take the implementations
from pluggy (its order: tryfirst, last registered first, trylast) and call them one by one.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import Any

import pluggy

from polytraders_hookspecs.errors import HookTimeout, HookWrapperRefused


@dataclass(frozen=True, slots=True)
class HookResult:
    """One implementation's answer: a value (None is one), or the error that it raised."""

    plugin_name: str
    value: Any = None
    error: Exception | None = None


@dataclass(slots=True)
class _Call:
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
        if isinstance(caller, pluggy.HookCaller):
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
    stays inside its own result. What has not answered at the deadline is cancelled, and its result
    carries `HookTimeout`. When the caller itself is cancelled, so is everything still pending.

    Args:
        hook_caller: For example `manager.hook.on_partial_fill`.
        deadline_s: Seconds for all together; None waits as long as it takes.
        **kwargs: The hook's arguments by name, as its specification has them.
    """
    calls = [_start(implementation, kwargs) for implementation in _in_order(hook_caller)]
    waiting = [call for call in calls if call.pending is not None]
    if len(waiting) == 1 and deadline_s is None:
        await _finish(waiting[0])
    elif waiting:
        await _finish_together(hook_caller.name, waiting, deadline_s)
    return [call.result() for call in calls]


async def first_hook(
    hook_caller: pluggy.HookCaller, /, *, deadline_s: float | None = None, **kwargs: Any
) -> HookResult | None:
    """Await implementations one after the other until one answers; return its result, or None.

    An implementation that raises, or is cut off by the deadline, ends the search with its error: it may
    already have acted, so nobody else may act in its place until the caller has found out.

    Args:
        hook_caller: For example `manager.hook.on_cancel_replace`.
        deadline_s: Seconds for each implementation; None waits as long as it takes.
        **kwargs: The hook's arguments by name, as its specification has them.
    """
    for implementation in _in_order(hook_caller):
        call = _start(implementation, kwargs)
        if call.pending is not None:
            if deadline_s is None:
                await _finish(call)
            else:
                await _finish_together(hook_caller.name, [call], deadline_s)
        if call.error is not None or call.value is not None:
            return call.result()
    return None


def call_hook(hook_caller: pluggy.HookCaller, /, **kwargs: Any) -> list[HookResult]:
    """Call every implementation of a synchronous hook, each isolated from the others' exceptions.

    An implementation that returns an awaitable from a synchronous hook is an error of its own, since
    nobody would await it.
    """
    results = []
    for implementation in _in_order(hook_caller):
        call = _start(implementation, kwargs)
        if call.pending is not None:
            if inspect.iscoroutine(call.pending):
                call.pending.close()
            call.error = TypeError(f"{hook_caller.name} is synchronous, and an awaitable was returned")
        results.append(call.result())
    return results


def _in_order(hook_caller: pluggy.HookCaller) -> Iterator[pluggy.HookImpl]:
    return reversed(hook_caller.get_hookimpls())


def _start(implementation: pluggy.HookImpl, kwargs: dict[str, Any]) -> _Call:
    call = _Call(implementation.plugin_name)
    try:
        answer = implementation.function(*[kwargs[name] for name in implementation.argnames])
    except Exception as e:
        call.error = e
    else:
        if inspect.isawaitable(answer):
            call.pending = answer
        else:
            call.value = answer
    return call


async def _finish(call: _Call) -> None:
    assert call.pending is not None
    try:
        call.value = await call.pending
    except Exception as e:
        call.error = e


async def _finish_together(hook: str, waiting: list[_Call], deadline_s: float | None) -> None:
    tasks = {asyncio.ensure_future(_finish(call)): call for call in waiting}
    try:
        _, late = await asyncio.wait(tasks, timeout=deadline_s)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late)
    for task in late:
        if task.cancelled():
            tasks[task].error = HookTimeout(
                f"plugin {tasks[task].plugin_name!r} did not answer {hook!r} within {deadline_s} s"
            )
