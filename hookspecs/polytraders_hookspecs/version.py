"""The contract's version, and the refusal of a bot that needs a newer one."""

from typing import Final

from polytraders_hookspecs.errors import ContractTooOld

HOOKSPEC_VERSION: Final = "1.1"
"""`major.minor`: minor grows when something is added, major when something changes or goes."""


def require_hookspec(bot_id: str, *, needed: str, offered: str) -> None:
    """Return when a host that offers `offered` can carry a bot that needs `needed`.

    Same major and no newer minor. Call it first in `register_bot`.

    Raises:
        ContractTooOld: Names both versions, and what to do.
    """
    needed_major, needed_minor = _parts(needed)
    offered_major, offered_minor = _parts(offered)
    if needed_major != offered_major or needed_minor > offered_minor:
        raise ContractTooOld(
            f"bot {bot_id!r} needs hook contract {needed}, and this host offers {offered}; "
            "upgrade whichever of the two is older"
        )


def _parts(version: str) -> tuple[int, int]:
    major, point, minor = version.partition(".")
    if not (point and major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit()):
        raise ContractTooOld(
            f"a hook contract version was {version!r}; write it as major.minor, such as '1.0'"
        )
    return int(major), int(minor)
