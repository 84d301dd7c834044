"""What may be ordered by hand, and who orders it: checked words, ready to be recorded.

status                                       how host and bots are
kill                                         kill switch on
reset-kill                                   kill switch off, in the host and in every bot
mode        [to] [promote=yes] [bot]         show, lower or raise the mode of one bot or of all
bot         bot, command, and its options    hand a command to one bot
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from polytraders_pfh.host.errors import HostError

COMMANDS: Final = ("status", "kill", "reset-kill", "mode", "bot")
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)
_MAX_TEXT: Final = 200
_MAX_OPTIONS: Final = 32


class OrderRefused(HostError):
    """An order was not understood, and nothing was done. The message names the field and its rule."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who orders. `peer` is what the system says of him, `by` the name that he gave."""

    peer: str
    by: str = ""

    @property
    def actor(self) -> str:
        """Both on one line, for records and logs."""
        return f"{self.by}, {self.peer}" if self.by else self.peer


@dataclass(frozen=True, slots=True)
class Order:
    """One order: its name, its options, who gives it and why."""

    command: str
    options: Mapping[str, str]
    caller: Caller
    reason: str = ""

    @classmethod
    def read(cls, members: Any, peer: str) -> "Order":
        """Return the order in JSON members: `command`, `options`, `by`, `reason`.

        Raises:
            OrderRefused: A member is unknown, missing or no such thing.
        """
        if not isinstance(members, dict) or set(members) - {"command", "options", "by", "reason"}:
            raise OrderRefused("an order is a JSON object of command, options, by and reason; nothing else")
        options = members.get("options", {})
        if not isinstance(options, dict) or len(options) > _MAX_OPTIONS:
            raise OrderRefused(f"options were no object of at most {_MAX_OPTIONS} texts; send those alone")
        for name, value in options.items():
            if not _NAME.fullmatch(name):
                raise OrderRefused(f"option {_text('an option', name)!r} was no name; use a-z, 0-9, _ and -")
            _text(name, value)
        command = _text("command", members.get("command"))
        if command not in COMMANDS:
            raise OrderRefused(f"command was {command!r}; there are {', '.join(COMMANDS)}")
        caller = Caller(peer, _text("by", members.get("by", "")))
        return cls(command, dict(options), caller, _text("reason", members.get("reason", "")))

    def arguments(self) -> dict[str, str]:
        """Return the options as bots get them, with who orders and why."""
        who = {"actor": self.caller.by or self.caller.peer, "peer": self.caller.peer, "reason": self.reason}
        return {**self.options, **who}


def _text(name: str, value: Any) -> str:
    """Return a text that fits on one line of a log.

    Raises:
        OrderRefused: It does not.
    """
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not (value.isprintable() or not value):
        raise OrderRefused(f"{name} was no text of at most {_MAX_TEXT} printable characters; shorten it")
    return value.strip()
