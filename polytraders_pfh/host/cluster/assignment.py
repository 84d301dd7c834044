"""Which host is to own which partition: the same answer in every host that sees the same members."""

from collections.abc import Iterable
from hashlib import sha256


def assign(partitions: int, members: Iterable[str]) -> dict[int, str]:
    """Return the owner of every partition; nothing without members.

    Every member has a rank for every partition (rendezvous hashing), and each partition goes to its highest
    that has room: no member gets more than its even share, rounded up. So few partitions move when a
    member comes or goes.
    """
    names = sorted(set(members))
    if not names:
        return {}
    room = dict.fromkeys(names, -(-partitions // len(names)))
    owners = {}
    for partition in range(partitions):
        owner = max((name for name in names if room[name]), key=lambda name: _rank(name, partition))
        room[owner] -= 1
        owners[partition] = owner
    return owners


def _rank(name: str, partition: int) -> bytes:
    return sha256(f"{name}:{partition}".encode()).digest()
