"""From pydantic's findings to sentences: dotted path, value, rule, and never a secret."""

import difflib
import re
import typing
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError

_SECRET_PATHS: Final = (("wallet", "key"), ("wallet", "api"), ("events", "keys"), ("nats", "token"))
_SECRET_WORDS: Final = re.compile(r"key|secret|pass|phrase|token|mnemonic|seed|cred|private", re.IGNORECASE)
_NOT_SECRET: Final = frozenset({"signing_key"})
_PUBLIC_PATHS: Final = frozenset({"limits", "sidecar"})
"""Sections that speak of outcome tokens, which are nobody's secret."""
_SECRET_VALUES: Final = re.compile(
    r"(0x)?[0-9a-fA-F]{64,}|\S+://\S*@\S*|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
_SHOWN_CHARACTERS: Final = 60
_HIDDEN: Final = "a value that is not shown here"


def fault_list(name: str, error: ValidationError, members: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Return every fault of `members`, one sentence a line."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    lines = [_sentence(fault["type"], fault["msg"], fault["loc"], members, model) for fault in faults]
    count = "1 fault" if len(lines) == 1 else f"{len(lines)} faults"
    return "\n".join([f"{name} has {count}:", *(f"  {line}" for line in lines)])


def _sentence(
    kind: str, message: str, path: tuple[int | str, ...], members: Mapping[str, Any], model: type[BaseModel]
) -> str:
    dotted = ".".join(_part(part) for part in path) or "(the file)"
    if kind == "missing":
        return f"{dotted} was missing; it is required"
    if not path and message.startswith("Value error, "):
        return message.removeprefix("Value error, ")
    value = _shown(path, members)
    if kind == "extra_forbidden":
        return f"{dotted} was {value}; no such setting exists{_hint(path, model)}"
    rule = message.removeprefix("Value error, ").removeprefix("Input should be ")
    if kind == "model_type" and _is_secret(path):
        rule = 'a secret never stands in the file: name its place, { env = "NAME" } or { file = "/path" }'
    elif kind in {"model_type", "dict_type"}:
        rule = "write it as a section"
    elif rule != message and not message.startswith("Value error"):
        rule = f"use {rule}"
    return f"{dotted} was {value}; {rule[0].lower() + rule[1:]}"


def _part(part: int | str) -> str:
    text = str(part)
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else f'"{text}"'


def _shown(path: tuple[int | str, ...], members: Mapping[str, Any]) -> str:
    if _is_secret(path):
        return _HIDDEN
    value: Any = members
    for part in path:
        try:
            value = value[part] if not isinstance(value, str) else value
        except (KeyError, IndexError, TypeError):
            break
    if isinstance(value, Mapping):
        return "a section"
    if isinstance(value, str) and _SECRET_VALUES.fullmatch(value.strip()):
        return _HIDDEN
    text = repr(value)
    if isinstance(value, list) and any(_SECRET_VALUES.fullmatch(str(part).strip()) for part in value):
        return _HIDDEN
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _is_secret(path: tuple[int | str, ...]) -> bool:
    if any(path[: len(prefix)] == prefix for prefix in _SECRET_PATHS):
        return True
    if path and path[0] in _PUBLIC_PATHS:
        return False
    last = str(path[-1]) if path else ""
    return last not in _NOT_SECRET and bool(_SECRET_WORDS.search(last))


def _hint(path: tuple[int | str, ...], model: type[BaseModel]) -> str:
    section: type[BaseModel] | None = model
    for part in path[:-1]:
        section = _section_class(section, str(part)) if section else None
    names = sorted(section.model_fields) if section else []
    close = difflib.get_close_matches(str(path[-1]), names, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; there are {', '.join(names)}" if names else ""


def _section_class(section: type[BaseModel], name: str) -> type[BaseModel] | None:
    field = section.model_fields.get(name)
    candidates = typing.get_args(field.annotation) or (field.annotation,) if field else ()
    for candidate in candidates:
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
