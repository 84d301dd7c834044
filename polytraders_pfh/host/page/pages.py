"""The page's addresses. Each is a template filled in here; nothing runs in the browser.

GET  /              how everything is, what rests, what was decided last; looks again every five seconds
GET  /orders/<id>   one order's story, from the journal of its bot
GET  /steer         forms to stop, lower, cancel; each takes the admin token
POST /steer         one of those forms
GET  /page.css
"""

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from polytraders_hookspecs import Clock, CommandResult

from polytraders_pfh import __version__
from polytraders_pfh.errors import PfhError
from polytraders_pfh.host.admin import AdminDesk, AdminPlace, AdminToken, OrderRefused, TokenRefused
from polytraders_pfh.host.page.facts import decision, moment, remainder
from polytraders_pfh.host.page.forms import order_in
from polytraders_pfh.host.page.guard import sent_from_elsewhere
from polytraders_pfh.host.recent import RecentReports
from polytraders_pfh.host.standing import Standing
from polytraders_pfh.ops.explain import story
from polytraders_pfh.ops.telling import Line, lines

_log: Final = logging.getLogger(__name__)
_DECISIONS: Final = 30
_MODES: Final = ("shadow_only", "quarantine", "limited_live", "general_live")
_STORY_S: Final = 10.0
_ROWS: Final = 200
_OFF: Final = 'orders by hand are off in this host; set admin.door to "socket" and restart it'
_ELSEWHERE: Final = "this form was sent from another page than this window's own; open /steer here and use it"


class HostPage:
    """One host's page.

    Args:
        standing: How everything is.
        recent: What was decided last.
        desk: Who carries orders out; None where orders by hand are off.
        place: Where the token is.
        journals: Each bot's journal, which stories are read from.
        clock: The host's.
    """

    def __init__(
        self,
        standing: Standing,
        recent: RecentReports,
        desk: AdminDesk | None,
        place: AdminPlace,
        journals: Mapping[str, Path],
        clock: Clock,
    ) -> None:
        self._standing = standing
        self._recent = recent
        self._desk = desk
        self._place = place
        self._token = AdminToken(place.token)
        self._journals = journals
        self._clock = clock
        self._reader, self._painter = (ThreadPoolExecutor(1, name) for name in ("page-story", "page-paint"))
        self._templates = Environment(
            loader=PackageLoader("polytraders_pfh.host.page"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._style = (Path(__file__).parent / "templates" / "page.css").read_text("utf-8")

    def routes(self) -> list[web.RouteDef]:
        """The addresses and who answers them."""
        return [
            web.get("/", self._board),
            web.get("/orders/{order_id}", self._order),
            web.get("/steer", self._forms),
            web.post("/steer", self._steer),
            web.get("/page.css", self._css),
            web.get("/favicon.ico", self._no_icon),
        ]

    def close(self) -> None:
        """Read and paint no more."""
        for worker in (self._reader, self._painter):
            worker.shutdown(wait=False, cancel_futures=True)

    async def _board(self, _: web.Request) -> web.Response:
        now_ms = self._clock.now_ms()
        last = self._recent.last_of_orders()
        open_ones = self._standing.remainders()
        rows = [remainder(order, last.get(order.order_id), now_ms) for order in open_ones[:_ROWS]]
        decided = [decision(report) for report in self._recent.newest(_DECISIONS)]
        return await self._page(
            "board.html", remainders=rows, more=max(len(open_ones) - _ROWS, 0), decisions=decided
        )

    async def _order(self, request: web.Request) -> web.Response:
        order_id = request.match_info["order_id"]
        loop, told, fault = asyncio.get_running_loop(), list[Line](), ""
        for bot_id, journal in self._journals.items():
            try:
                async with asyncio.timeout(_STORY_S):
                    told += await loop.run_in_executor(self._reader, _told, journal, order_id)
            except (PfhError, OSError, TimeoutError) as e:
                fault = f"the journal of {bot_id} could not be read: {e or 'it took too long'}"
        decided = [decision(report) for report in self._recent.newest(_DECISIONS, order_id)]
        return await self._page("order.html", order_id=order_id, told=told, fault=fault, decisions=decided)

    async def _forms(self, request: web.Request) -> web.Response:
        return await self._steering(request.query.get("order", ""), None)

    async def _steer(self, request: web.Request) -> web.Response:
        """Take a form. Its token is checked before anything else of it is looked at."""
        if self._desk is None:
            return await self._steering("", CommandResult(ok=False, message=_OFF), 403)
        if sent_from_elsewhere(request):
            origin = request.headers.get("Origin")
            _log.warning("a form was refused: it was sent from another page (%r)", origin)
            return await self._steering("", CommandResult(ok=False, message=_ELSEWHERE), 403)
        posted = await request.post()
        form = {name: value for name, value in posted.items() if isinstance(value, str)}
        try:
            self._token.check(form.pop("token", "").strip().encode("utf-8", "replace"))
            order = order_in(form)
        except TokenRefused as e:
            _log.warning("a form was refused: %s", e)
            return await self._steering(form.get("order", ""), CommandResult(ok=False, message=str(e)), 401)
        except OrderRefused as e:
            return await self._steering("", CommandResult(ok=False, message=str(e)), 400)
        return await self._steering(form.get("order", ""), await self._desk.obey(order))

    async def _steering(self, order_id: str, result: CommandResult | None, status: int = 200) -> web.Response:
        return await self._page(
            "steer.html",
            status=status,
            order_id=order_id,
            result=result,
            open_desk=self._desk is not None,
            modes=_MODES,
            token_file=self._place.token,
        )

    async def _css(self, _: web.Request) -> web.Response:
        return web.Response(text=self._style, content_type="text/css")

    async def _no_icon(self, _: web.Request) -> web.Response:
        return web.Response(status=204)

    async def _page(self, template: str, *, status: int = 200, **members: Any) -> web.Response:
        now, standing = moment(self._clock.now_ms()), await self._standing.members()
        members |= {"now": now, "standing": standing, "version": __version__}
        filled = self._templates.get_template(template)
        # A full page takes ten milliseconds and more, which the loop that trades does not have.
        text = await asyncio.get_running_loop().run_in_executor(self._painter, filled.render, members)
        return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")


def _told(journal: Path, order_id: str) -> list[Line]:
    found = story(journal, order_id)
    return [] if found is None else list(lines(found))
