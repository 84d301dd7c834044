"""The host's window on loopback: a page for people, and for programs metrics, bots and their health.

GET /                                 the page (see `page`), with /steer, /orders/<id> and /page.css
GET /metrics                          Prometheus text, or OpenMetrics with exemplars when asked for
GET /internal/bots                    the manifests, and which bots were kept out and why
GET /internal/health                  the host's own: 200 green or amber, 503 red
GET /internal/health/<bot>            one bot's health: 200 green or amber, 503 red
                                      `<bot>` is its id, or the part of it behind the last dot
"""

import json
from collections.abc import Callable
from typing import Final

from aiohttp import web
from polytraders_hookspecs import WireError
from polytraders_hookspecs.wire import print_json
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from polytraders_pfh.host.discovery import BotRoster, RegisteredBot
from polytraders_pfh.host.health import HostHealth, bot_health
from polytraders_pfh.host.page import HostPage, guarded

_SHUTDOWN_S: Final = 1.0
_MAX_BODY_BYTES: Final = 16 * 1024
_RED: Final = 503


class HostWindow:
    """A small HTTP server.

    Args:
        roster: Whose bots.
        registry: Whose metrics.
        health: The host's own health now.
        page: What people look at.
        host: A loopback address.
        port: 0 takes any free one; `url` says which.
    """

    def __init__(
        self,
        roster: BotRoster,
        registry: CollectorRegistry,
        health: Callable[[], HostHealth],
        page: HostPage,
        *,
        host: str,
        port: int,
    ) -> None:
        self._roster = roster
        self._registry = registry
        self._host_health = health
        self._page = page
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def open(self) -> None:
        """Listen.

        Raises:
            OSError: The port is taken.
        """
        app = web.Application(middlewares=[guarded], client_max_size=_MAX_BODY_BYTES)
        app.add_routes(
            [
                *self._page.routes(),
                web.get("/metrics", self._metrics),
                web.get("/internal/bots", self._bots),
                web.get("/internal/health", self._own_health),
                web.get("/internal/health/{bot}", self._health),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        self._runner = runner
        await web.TCPSite(runner, self._host, self._port).start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._page.close()

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})

    async def _bots(self, _: web.Request) -> web.Response:
        bots = [self._roster.described(bot).model_dump() for bot in self._roster.bots]
        refused = [{"plugin": bot.plugin_name, "reason": bot.reason} for bot in self._roster.refused]
        return _json({"bots": bots, "refused": refused})

    async def _own_health(self, _: web.Request) -> web.Response:
        health = self._host_health()
        return _json(health.members(), _RED if health.status == "red" else 200)

    async def _health(self, request: web.Request) -> web.Response:
        wanted = request.match_info["bot"]
        for bot in self._roster.bots:
            if wanted in {bot.bot_id, bot.bot_id.rpartition(".")[2]}:
                return self._health_of(bot)
        return _json({"error": f"no bot {wanted}"}, 404)

    def _health_of(self, bot: RegisteredBot) -> web.Response:
        health = bot_health(self._roster, bot, self._host_health())
        return _json(health, _RED if health["status"] == "red" else 200)


def _json(value: object, status: int = 200) -> web.Response:
    try:
        text = print_json(value)
    except WireError:
        text = json.dumps(value, default=str)  # a bot's own figures may be floats; they are for eyes only
    return web.Response(body=text.encode("ascii"), status=status, content_type="application/json")
