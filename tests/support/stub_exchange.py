"""A hand-written exchange stub: it records every request to the byte and answers what it was told to."""

import base64
import hashlib
import hmac
import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from support.canaries import API_KEY, API_SECRET, PASSPHRASE

__all__ = ["API_KEY", "API_SECRET", "PASSPHRASE", "Seen", "StubExchange", "hang_up", "json_answer"]

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def hmac_is_right(self) -> bool:
        """Whether POLY_SIGNATURE covers exactly these bytes, computed here from scratch."""
        message = f"{self.headers['POLY_TIMESTAMP']}{self.method}{self.path}".encode() + self.body
        digest = hmac.new(base64.urlsafe_b64decode(API_SECRET), message, hashlib.sha256).digest()
        return self.headers["POLY_SIGNATURE"] == base64.urlsafe_b64encode(digest).decode()


@dataclass
class StubExchange:
    """Answers are queued per `METHOD /path`; the last one of a queue stays."""

    seen: list[Seen] = field(default_factory=list)
    _answers: dict[str, deque[Answer]] = field(default_factory=dict)
    _runner: web.AppRunner | None = None
    url: str = ""

    def answer(self, call: str, *answers: Answer) -> None:
        self._answers[call] = deque(answers)

    def answer_json(self, call: str, *bodies: Any, status: int = 200, headers: Any = None) -> None:
        self.answer(call, *[json_answer(body, status, headers) for body in bodies])

    def calls(self, call: str) -> list[Seen]:
        return [seen for seen in self.seen if f"{seen.method} {seen.path}" == call]

    async def __aenter__(self) -> "StubExchange":
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(
            Seen(
                request.method,
                request.path,
                dict(request.query),
                dict(request.headers),
                await request.read(),
            )
        )
        queue = self._answers.get(f"{request.method} {request.path}")
        if not queue:
            return web.json_response({"error": "not found"}, status=404)
        return await (queue.popleft() if len(queue) > 1 else queue[0])(request)


def json_answer(body: Any, status: int = 200, headers: Any = None) -> Answer:
    async def respond(_: web.Request) -> web.StreamResponse:
        return web.Response(
            body=json.dumps(body).encode(), status=status, headers=headers, content_type="application/json"
        )

    return respond


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Take the request and close the connection without a word."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()
