"""A live bot on a fake host."""

from support.live_bot import host, make_host

__all__ = ["host", "make_host"]
