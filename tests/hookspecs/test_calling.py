"""Several bots at once: each is isolated, ordered as pluggy orders it, and cut off at the deadline."""

import asyncio
import gc
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pluggy
import pytest
from polytraders_hookspecs import (
    HookCancelled,
    HookResult,
    HookTimeout,
    HookWrapperRefused,
    call_hook,
    calling,
    first_hook,
    gather_hook,
    hookimpl,
    new_plugin_manager,
    refuse_wrappers,
)
from support.hook_plugins import answering, chasing, manager_of, raising, starting

BROKEN = RuntimeError("broken")


def sync_raise() -> Any:
    raise BROKEN


def never() -> Any:
    """An awaitable that nobody ever answers."""
    return asyncio.Event().wait()


def summary(results: list[HookResult]) -> list[tuple[str, Any, str | None]]:
    return [(r.plugin_name, r.value, type(r.error).__name__ if r.error else None) for r in results]


class Stubborn:
    """An implementation that swallows every cancellation until it is released."""

    def __init__(self) -> None:
        self.released, self.cancelled, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self) -> str:
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
        self.ended.set()
        return "late"

    async def end(self) -> None:
        self.released.set()
        await self.ended.wait()


class Recorder:
    """An implementation that waits for ever and notes when it is cancelled."""

    def __init__(self) -> None:
        self.begun, self.cancelled = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait hardly at all for what will not stop."""
    monkeypatch.setattr(calling, "_GRACE_S", 0.01)


async def test_nobody_implements_the_hook_and_nothing_comes_back() -> None:
    hook = new_plugin_manager().hook.on_host_start

    assert await gather_hook(hook) == []
    assert await first_hook(hook) is None
    assert call_hook(hook) == []


@pytest.mark.parametrize("deadline_s", [None, 5.0])
@pytest.mark.parametrize("broken", [sync_raise, raising(BROKEN)], ids=["sync", "async"])
async def test_a_raise_stays_inside_the_result_of_its_own_bot(
    broken: Callable[[], Any], deadline_s: float | None
) -> None:
    manager = manager_of(a=starting(answering(1)), b=starting(broken), c=starting(answering(3)))

    results = await gather_hook(manager.hook.on_host_start, deadline_s=deadline_s)

    assert results == [HookResult("c", 3), HookResult("b", error=BROKEN), HookResult("a", 1)]


async def test_sync_and_async_failures_and_answers_mix() -> None:
    manager = manager_of(
        a=starting(sync_raise),
        b=starting(answering("b")),
        c=starting(raising(BROKEN)),
        d=starting(lambda: "d"),
        e=starting(lambda: None),
    )

    results = await gather_hook(manager.hook.on_host_start)

    assert summary(results) == [
        ("e", None, None),
        ("d", "d", None),
        ("c", None, "RuntimeError"),
        ("b", "b", None),
        ("a", None, "RuntimeError"),
    ]


@pytest.mark.parametrize("deadline_s", [None, 5.0])
async def test_the_only_bot_is_isolated_too(deadline_s: float | None) -> None:
    manager = manager_of(a=starting(raising(BROKEN)))

    assert await gather_hook(manager.hook.on_host_start, deadline_s=deadline_s) == [
        HookResult("a", error=BROKEN)
    ]


async def test_order_is_tryfirst_then_last_registered_first_then_trylast() -> None:
    manager = manager_of(
        last=starting(answering(None), trylast=True),
        first=starting(answering(None), tryfirst=True),
        old=starting(answering(None)),
        new=starting(answering(None)),
        first_too=starting(answering(None), tryfirst=True),
    )

    results = await gather_hook(manager.hook.on_host_start)

    assert [r.plugin_name for r in results] == ["first_too", "first", "new", "old", "last"]


async def test_every_bot_is_called_before_any_is_awaited() -> None:
    seen: list[str] = []

    def bot(name: str) -> Callable[[], Any]:
        async def body() -> None:
            seen.append(f"{name} awaited")

        def called() -> Any:
            seen.append(f"{name} called")
            return body()

        return called

    await gather_hook(manager_of(a=starting(bot("a")), b=starting(bot("b"))).hook.on_host_start)

    assert seen[:2] == ["b called", "a called"]
    assert sorted(seen[2:]) == ["a awaited", "b awaited"]


async def test_a_slow_bot_delays_no_other() -> None:
    met = asyncio.Barrier(2)

    async def meet() -> str:
        await met.wait()
        return "met"

    manager = manager_of(a=starting(meet), b=starting(meet))

    assert [r.value for r in await gather_hook(manager.hook.on_host_start)] == ["met", "met"]


async def test_a_synchronous_function_may_return_a_coroutine_a_future_or_a_task() -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    future.set_result("future")
    task = asyncio.create_task(answering("task")())
    manager = manager_of(
        a=starting(lambda: future), b=starting(lambda: task), c=starting(answering("coroutine"))
    )

    results = await gather_hook(manager.hook.on_host_start)

    assert [r.value for r in results] == ["coroutine", "task", "future"]


async def test_the_deadline_names_the_late_bot_and_keeps_the_others_answers() -> None:
    slow = Recorder()
    manager = manager_of(a=starting(answering("a")), slow=starting(slow), b=starting(raising(BROKEN)))

    results = await gather_hook(manager.hook.on_host_start, deadline_s=0.01)

    assert summary(results) == [("b", None, "RuntimeError"), ("slow", None, "HookTimeout"), ("a", "a", None)]
    assert str(results[1].error) == "plugin 'slow' did not answer 'on_host_start' within 0.01 s"
    assert slow.cancelled.is_set()


async def test_a_late_task_that_a_bot_returned_is_cancelled_too() -> None:
    task = asyncio.ensure_future(never())

    (result,) = await gather_hook(manager_of(a=starting(lambda: task)).hook.on_host_start, deadline_s=0.01)

    assert isinstance(result.error, HookTimeout)
    assert task.cancelled()


async def test_a_late_bot_that_answers_while_it_winds_down_is_heard() -> None:
    async def finishes() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "what had been done"
        raise AssertionError("nobody sets the event")

    (result,) = await gather_hook(manager_of(a=starting(finishes)).hook.on_host_start, deadline_s=0.01)

    assert result == HookResult("a", "what had been done")


@pytest.mark.usefixtures("short_grace")
async def test_a_bot_that_will_not_stop_does_not_hold_the_host() -> None:
    stubborn = Stubborn()
    manager = manager_of(a=starting(answering("a")), stubborn=starting(stubborn))

    results = await gather_hook(manager.hook.on_host_start, deadline_s=0.01)
    await stubborn.end()

    assert summary(results) == [("stubborn", None, "HookTimeout"), ("a", "a", None)]
    assert str(results[0].error) == (
        "plugin 'stubborn' did not answer 'on_host_start' within 0.01 s, "
        "and goes on although it was cancelled"
    )


@pytest.mark.parametrize("deadline_s", [None, 60.0])
async def test_when_the_caller_is_cancelled_so_is_everything_pending(deadline_s: float | None) -> None:
    one, two = Recorder(), Recorder()
    manager = manager_of(a=starting(one), b=starting(two))
    call = asyncio.create_task(gather_hook(manager.hook.on_host_start, deadline_s=deadline_s))
    await asyncio.gather(one.begun.wait(), two.begun.wait())

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    assert (one.cancelled.is_set(), two.cancelled.is_set()) == (True, True)


@pytest.mark.parametrize("deadline_s", [None, 60.0])
async def test_when_the_caller_of_the_only_bot_is_cancelled_so_is_that_bot(deadline_s: float | None) -> None:
    only = Recorder()
    call = asyncio.create_task(
        gather_hook(manager_of(a=starting(only)).hook.on_host_start, deadline_s=deadline_s)
    )
    await only.begun.wait()

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    assert only.cancelled.is_set()


@pytest.mark.usefixtures("short_grace")
async def test_an_answer_that_nobody_began_before_the_caller_was_cancelled_is_closed() -> None:
    answers = [asyncio.sleep(1), asyncio.sleep(1)]
    manager = manager_of(a=starting(lambda: answers[0]), b=starting(lambda: answers[1]))
    call = asyncio.create_task(gather_hook(manager.hook.on_host_start, deadline_s=60.0))
    asyncio.get_running_loop().call_soon(call.cancel)

    with pytest.raises(asyncio.CancelledError):
        await call
    assert [inspect.getcoroutinestate(answer) for answer in answers] == [inspect.CORO_CLOSED] * 2


async def test_a_cancelled_caller_is_not_held_by_a_bot_that_will_not_stop() -> None:
    stubborn, other = Stubborn(), Recorder()
    manager = manager_of(stubborn=starting(stubborn), other=starting(other))
    call = asyncio.create_task(gather_hook(manager.hook.on_host_start, deadline_s=60))
    await other.begun.wait()

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    assert stubborn.cancelled.is_set()
    await stubborn.end()


def cancelled_sync() -> Any:
    raise asyncio.CancelledError


async def cancelled_async() -> Any:
    inner = asyncio.create_task(asyncio.Event().wait())
    inner.cancel()
    await inner


@pytest.mark.parametrize("deadline_s", [None, 5.0])
@pytest.mark.parametrize("body", [cancelled_sync, cancelled_async])
async def test_a_bots_own_cancellation_is_its_error_and_never_the_callers(
    body: Callable[[], Any], deadline_s: float | None
) -> None:
    """Work of the bot's own that was cancelled under it: neither an answer nor a reason to stop the host."""
    alone = await gather_hook(manager_of(a=starting(body)).hook.on_host_start, deadline_s=deadline_s)
    together = await gather_hook(
        manager_of(
            a=starting(body), b=starting(answering("b")), c=starting(answering("c"))
        ).hook.on_host_start,
        deadline_s=deadline_s,
    )

    assert summary(alone) == [("a", None, "HookCancelled")]
    assert str(alone[0].error) == "plugin 'a' cancelled its own answer to 'on_host_start'"
    assert summary(together) == [("c", "c", None), ("b", "b", None), ("a", None, "HookCancelled")]


@pytest.mark.parametrize("deadline_s", [None, 5.0])
async def test_nobody_acts_after_a_bot_whose_work_was_cancelled_under_it(deadline_s: float | None) -> None:
    acted: list[str] = []
    manager = manager_of(
        default=chasing(lambda: acted.append("default"), trylast=True), optimiser=chasing(cancelled_async)
    )

    result = await first_hook(manager.hook.on_cancel_replace, instruction=None, deadline_s=deadline_s)

    assert result is not None
    assert isinstance(result.error, HookCancelled)
    assert acted == []


async def test_no_coroutine_is_left_unawaited_whatever_fails() -> None:
    manager = manager_of(
        a=starting(answering(1)), b=starting(sync_raise), c=starting(raising(BROKEN)), d=starting(never)
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await gather_hook(manager.hook.on_host_start, deadline_s=0.01)
        await first_hook(manager.hook.on_host_start, deadline_s=0.01)
        call_hook(manager.hook.on_host_start)
        gc.collect()

    assert [str(w.message) for w in caught] == []


async def test_first_hook_stops_at_the_first_answer_other_than_none() -> None:
    asked: list[str] = []

    def bot(name: str, value: Any) -> Callable[[], Any]:
        async def body() -> Any:
            asked.append(name)
            return value

        return body

    manager = manager_of(
        d=chasing(bot("d", "too late")),
        c=chasing(bot("c", "first")),
        b=chasing(bot("b", None)),
        a=chasing(lambda: None),
    )

    result = await first_hook(manager.hook.on_cancel_replace, instruction=None)

    assert result == HookResult("c", "first")
    assert asked == ["b", "c"]


@pytest.mark.parametrize("value", [0, False, "", []])
async def test_first_hook_takes_a_falsy_answer_as_an_answer(value: object) -> None:
    manager = manager_of(default=chasing(answering("default")), first=chasing(answering(value)))

    assert await first_hook(manager.hook.on_cancel_replace, instruction=None) == HookResult("first", value)


async def test_first_hook_returns_none_when_everybody_declines() -> None:
    manager = manager_of(a=chasing(answering(None)), b=chasing(lambda: None))

    assert await first_hook(manager.hook.on_cancel_replace, instruction=None) is None


@pytest.mark.parametrize("deadline_s", [None, 5.0])
@pytest.mark.parametrize("broken", [sync_raise, raising(BROKEN)], ids=["sync", "async"])
async def test_first_hook_stops_at_a_raise(broken: Callable[[], Any], deadline_s: float | None) -> None:
    manager = manager_of(default=chasing(lambda: pytest.fail("somebody acted twice")), broken=chasing(broken))

    result = await first_hook(manager.hook.on_cancel_replace, instruction=None, deadline_s=deadline_s)

    assert result == HookResult("broken", error=BROKEN)


async def test_first_hook_stops_at_the_deadline_of_one_implementation() -> None:
    manager = manager_of(default=chasing(lambda: pytest.fail("somebody acted twice")), slow=chasing(never))

    result = await first_hook(manager.hook.on_cancel_replace, instruction=None, deadline_s=0.01)

    assert result is not None
    assert str(result.error) == "plugin 'slow' did not answer 'on_cancel_replace' within 0.01 s"


async def test_first_hook_passes_the_callers_cancellation_on() -> None:
    slow = Recorder()
    call = asyncio.create_task(
        first_hook(manager_of(slow=chasing(slow)).hook.on_cancel_replace, instruction=None)
    )
    await slow.begun.wait()

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    assert slow.cancelled.is_set()


def test_call_hook_isolates_bots_from_each_other() -> None:
    manager = manager_of(a=starting(lambda: "a"), b=starting(sync_raise), c=starting(lambda: "c"))

    assert call_hook(manager.hook.on_host_start) == [
        HookResult("c", "c"),
        HookResult("b", error=BROKEN),
        HookResult("a", "a"),
    ]


async def test_call_hook_refuses_an_awaitable_from_a_synchronous_hook() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    manager = manager_of(a=starting(answering("a")), b=starting(lambda: future))

    results = call_hook(manager.hook.on_host_start)

    assert [str(r.error) for r in results] == [
        "on_host_start is synchronous, and an awaitable was returned"
    ] * 2


async def test_a_missing_argument_is_the_callers_error_and_nobody_is_called() -> None:
    called: list[str] = []

    class Bot:
        @hookimpl
        def on_bot_command(self, bot_id: str, command: str) -> None:
            called.append(command)

    hook = manager_of(bot=Bot(), other=starting(answering(1))).hook.on_bot_command

    with pytest.raises(pluggy.HookCallError, match="'on_bot_command' was called without command"):
        await gather_hook(hook, bot_id="b")
    with pytest.raises(pluggy.HookCallError, match="without bot_id, command"):
        await first_hook(hook)
    with pytest.raises(pluggy.HookCallError, match="without bot_id"):
        call_hook(hook, command="c")
    assert called == []


@pytest.mark.parametrize("option", ["wrapper", "hookwrapper"])
def test_a_wrapper_is_refused_with_the_plugins_and_the_hooks_name(option: str) -> None:
    class Wrapping:
        @hookimpl(**{option: True})
        def on_partial_fill(self) -> Any:
            return (yield)

    with pytest.raises(HookWrapperRefused, match="plugin 'sly' wraps hook 'on_partial_fill'"):
        refuse_wrappers(manager_of(plain=starting(answering(1)), sly=Wrapping()))


def test_plain_implementations_are_not_refused() -> None:
    refuse_wrappers(
        manager_of(a=starting(answering(1), tryfirst=True), b=starting(answering(2), trylast=True))
    )
