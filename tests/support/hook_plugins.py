"""Plugins in one line, for tests of how hooks are called."""

from collections.abc import Callable
from typing import Any

import pluggy
from polytraders_hookspecs import hookimpl, new_plugin_manager


def starting(body: Callable[[], Any], **options: bool) -> object:
    """A plugin whose `on_host_start` answers what `body` returns."""

    class Plugin:
        @hookimpl(**options)
        def on_host_start(self) -> Any:
            return body()

    return Plugin()


def chasing(body: Callable[[], Any], **options: bool) -> object:
    """A plugin whose `on_cancel_replace` answers what `body` returns."""

    class Plugin:
        @hookimpl(**options)
        def on_cancel_replace(self) -> Any:
            return body()

    return Plugin()


def answering(value: Any) -> Callable[[], Any]:
    """A coroutine function that answers `value` at once."""

    async def answer() -> Any:
        return value

    return answer


def raising(error: BaseException) -> Callable[[], Any]:
    """A coroutine function that raises `error` once it is awaited."""

    async def fail() -> Any:
        raise error

    return fail


def manager_of(**plugins: object) -> pluggy.PluginManager:
    """A manager with these plugins under these names, registered in this order."""
    manager = new_plugin_manager()
    for name, plugin in plugins.items():
        manager.register(plugin, name=name)
    return manager
