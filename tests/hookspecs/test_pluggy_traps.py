"""What pluggy itself does with coroutines: the reasons why hosts call awaited hooks through this contract."""

import asyncio
import gc
import warnings
from typing import Any

import pluggy
import pytest
from polytraders_hookspecs import first_hook, gather_hook, hookimpl
from support.hook_plugins import answering, manager_of, starting

firstresult_spec = pluggy.HookspecMarker("trap")
trap_impl = pluggy.HookimplMarker("trap")


class Spec:
    @firstresult_spec(firstresult=True)
    def choose(self) -> Any: ...


class Declines:
    @trap_impl
    async def choose(self) -> None:
        return None


class Chooses:
    @trap_impl
    async def choose(self) -> str:
        return "chosen"


async def test_firstresult_takes_the_first_coroutine_although_it_declines() -> None:
    """pluggy sees a coroutine object, which is not None, and never asks the one that would answer."""
    manager = pluggy.PluginManager("trap")
    manager.add_hookspecs(Spec)
    manager.register(Chooses(), name="chooses")
    manager.register(Declines(), name="declines")

    by_pluggy = await manager.hook.choose()
    by_contract = await first_hook(manager.hook.choose)

    assert by_pluggy is None
    assert by_contract is not None
    assert (by_contract.plugin_name, by_contract.value) == ("chooses", "chosen")


async def test_a_raise_in_one_implementation_loses_the_coroutines_of_the_others() -> None:
    def broken() -> Any:
        raise RuntimeError("broken")

    manager = manager_of(broken=starting(broken), fine=starting(answering("fine")))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(RuntimeError):
            manager.hook.on_host_start()
        gc.collect()
    results = await gather_hook(manager.hook.on_host_start)

    assert any("was never awaited" in str(w.message) for w in caught)
    assert [(r.plugin_name, r.value) for r in results] == [("fine", "fine"), ("broken", None)]


async def test_a_wrapper_ends_before_any_body_has_run() -> None:
    seen: list[str] = []

    async def body() -> None:
        seen.append("body")

    class Timing:
        @hookimpl(wrapper=True)
        def on_host_start(self) -> Any:
            seen.append("wrapper begins")
            answers = yield
            seen.append("wrapper ends")
            return answers

    (coroutine,) = manager_of(a=starting(body), timing=Timing()).hook.on_host_start()
    await coroutine

    assert seen == ["wrapper begins", "wrapper ends", "body"]


async def test_awaiting_pluggys_answers_one_by_one_lets_a_slow_bot_hold_up_the_next() -> None:
    met = asyncio.Barrier(2)
    manager = manager_of(a=starting(met.wait), b=starting(met.wait))

    coroutines = manager.hook.on_host_start()
    first = asyncio.ensure_future(coroutines[0])
    _, pending = await asyncio.wait([first], timeout=0.01)

    assert pending == {first}
    await asyncio.gather(first, coroutines[1])
