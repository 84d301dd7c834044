"""A switch that prints every hook call to stderr, whoever makes it.

Hooks are awaited by `gather_hook` and `first_hook`, which pluggy's own monitoring does not see; the
implementations themselves are wrapped instead, so calls from bot to bot are printed too.
"""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

import pluggy

_SHOWN_CHARACTERS: Final = 300


def trace_hooks(manager: pluggy.PluginManager, write: Callable[[str], object] | None = None) -> None:
    """Print each call of each registered implementation from now on.

    Args:
        manager: Whose implementations.
        write: Takes one line; stderr when None.
    """
    out = write or (lambda line: print(line, file=sys.stderr, flush=True))
    for name, caller in sorted(vars(manager.hook).items()):
        if isinstance(caller, pluggy.HookCaller):
            for implementation in caller.get_hookimpls():
                implementation.function = _printing(  # type: ignore[misc] # pluggy marks it final, not frozen
                    name, implementation.plugin_name, implementation.argnames, implementation.function, out
                )


def _printing(
    hook: str,
    plugin: str,
    argument_names: tuple[str, ...],
    function: Callable[..., Any],
    write: Callable[[str], object],
) -> Callable[..., Any]:
    @wraps(function)
    def call(*arguments: Any) -> Any:
        pairs = zip(argument_names, arguments, strict=False)
        write(_short(f"hook {hook} -> {plugin}: " + ", ".join(f"{name}={value!r}" for name, value in pairs)))
        return function(*arguments)

    return call


def _short(text: str) -> str:
    line = text.replace("\n", " ")
    return line if len(line) <= _SHOWN_CHARACTERS else line[:_SHOWN_CHARACTERS] + "…"
