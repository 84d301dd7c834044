"""Which partition a key belongs to: a function of the key alone, in every host and every language."""

from hashlib import sha256

_BYTES = 8


def partition_of(key: str, count: int) -> int:
    """Return the partition of `key`, 0 to `count` - 1: 8 bytes of its SHA-256, modulo `count`."""
    return int.from_bytes(sha256(key.encode("utf-8", "surrogatepass")).digest()[:_BYTES]) % count
