"""Each record carries the hash of the one before: what is altered, missing or moved shows.

    hash(n) = SHA-256( hash(n-1) ‖ n as 8 bytes ‖ length of body as 8 bytes ‖ body ‖ payload )

Numbers are big-endian; `hash(0)` is `GENESIS`; the body is the canonical form of `records`. A chain by
itself proves nothing against someone who rewrites all of it, nor against a cut at its end: for that a
`Head` is written down somewhere else (another account, an object lock, paper) and given to `verify`.
"""

from hashlib import sha256
from typing import Final, NamedTuple, Self

GENESIS: Final = sha256(b"polytraders-pfh journal 1").digest()
HASH_BYTES: Final = 32


class Head(NamedTuple):
    """The last record's number and hash. As text `number:hash`, which is what one anchors."""

    seq: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash.hex()}"

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the head written as text.

        Raises:
            ValueError: The text is no head.
        """
        seq, _, digest = text.strip().partition(":")
        if not (seq.isascii() and seq.isdigit() and len(digest) == 2 * HASH_BYTES):
            raise ValueError(f"the anchor was {text!r}; write it as number:hash, as `head` prints it")
        return cls(int(seq), bytes.fromhex(digest))


START: Final = Head(0, GENESIS)


def link(before: bytes, seq: int, body: bytes, payload: bytes) -> bytes:
    """Return the hash of the record `seq`, whose predecessor has the hash `before`."""
    digest = sha256(before)
    digest.update(seq.to_bytes(8) + len(body).to_bytes(8))
    digest.update(body)
    digest.update(payload)
    return digest.digest()
