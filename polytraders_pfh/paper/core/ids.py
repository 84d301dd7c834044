"""Ids that depend on a seed and a count alone, so that one run and its replay name everything alike."""

from __future__ import annotations

import hashlib


class Ids:
    """Hands out order hashes, trade ids and transaction hashes."""

    def __init__(self, seed: str) -> None:
        """Two instances with one seed hand out the same ids in the same order."""
        self._seed = seed
        self._count = 0

    def hash32(self, kind: str) -> str:
        """A fresh 0x-prefixed 32-byte id: an order hash or a transaction hash."""
        return "0x" + self._next(kind)

    def uuid(self, kind: str) -> str:
        """A fresh id in the shape of a UUID: a trade id."""
        text = self._next(kind)
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"

    def draw(self, subject: str, below: int) -> int:
        """A number in [0, below) that the seed ties to `subject`, whenever it is asked."""
        return int.from_bytes(self._digest("draw", subject)[:8], "big") % below

    def _next(self, kind: str) -> str:
        self._count += 1
        return self._digest(kind, str(self._count)).hex()

    def _digest(self, kind: str, subject: str) -> bytes:
        return hashlib.sha256(f"{self._seed}\0{kind}\0{subject}".encode()).digest()
