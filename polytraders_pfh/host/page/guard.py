"""Who may look at the window, and what a browser may do with what it gets.

The window listens on loopback, where every page of the web can send a browser: a name that an attacker
points at 127.0.0.1 is refused by its Host header, a form sent from elsewhere by its Origin; nothing that
comes back may load, run or be framed by anything. There are no cookies, so no request is trusted for where
it comes from: an order takes the token, in the form itself.
"""

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_MISDIRECTED: Final = 421
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # under no-referrer a browser tells no Origin of its own forms either
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@web.middleware
async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what was not addressed to this machine by its own name; send every answer with its limits."""
    if _hostname(request.headers.get("Host", "")) not in _NAMES:
        return web.Response(
            status=_MISDIRECTED,
            text="this window answers to 127.0.0.1, [::1] and localhost alone; use one of them\n",
            headers=_HEADERS,
        )
    try:
        answer = await handler(request)
    except web.HTTPException as e:
        e.headers.update(_HEADERS)
        raise
    answer.headers.update(_HEADERS)
    return answer


def sent_from_elsewhere(request: web.Request) -> bool:
    """Return whether a browser says that a form came from another page than this window's own."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    return (origin is not None and origin != f"http://{request.headers.get('Host', '')}") or (
        site not in {"same-origin", "none"}
    )


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
