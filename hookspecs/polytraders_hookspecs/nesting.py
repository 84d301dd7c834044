"""How deep JSON text nests, found without recursion, so that it can be refused before it is parsed.

The standard library's parser recurses on the C stack as far as the process's recursion limit lets it;
where anybody has raised that limit, deep text crashes the process instead of raising an error.
"""

import re
from typing import Final

MAX_DEPTH: Final = 32
"""Deeper than any message that a host, a bot or the exchange sends."""

# Possessive, and content with a text that never ends: otherwise a body of quotes alone takes quadratic time.
_STRUCTURE: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
_STRUCTURE_BYTES: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def nests_too_deep(text: str | bytes, depth: int = MAX_DEPTH) -> bool:
    """Return whether JSON text opens more than `depth` arrays and objects inside each other.

    Takes one pass over text that has that many brackets at all, and next to nothing over any other.
    """
    if isinstance(text, bytes):
        few = text.count(b"[") + text.count(b"{") <= depth
        tokens = [] if few else [token[0].decode("latin-1") for token in _STRUCTURE_BYTES.finditer(text)]
    else:
        few = text.count("[") + text.count("{") <= depth
        tokens = [] if few else [token[0] for token in _STRUCTURE.finditer(text)]
    level = 0
    for token in tokens:
        if token in ("[", "{"):
            level += 1
            if level > depth:
                return True
        elif token in ("]", "}"):
            level -= 1
    return False
