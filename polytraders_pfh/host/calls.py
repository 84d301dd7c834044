"""One request to the exchange: signed, sent once, and its answer learnt from before it is passed on.

What the exchange said about its limits is respected for reads here: they wait, within their own deadline.
Posts are kept back before they come here (`post_gate`), cancels never are.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Literal

from polytraders_hookspecs import Clock, ExchangeReply

from polytraders_pfh.host.auth import L2Auth
from polytraders_pfh.host.clob_bodies import LAST_PAGE, page_in
from polytraders_pfh.host.rate_limits import Group, RateLimits
from polytraders_pfh.host.trading_status import TradingStatusBoard
from polytraders_pfh.host.transport import ExchangeTransport, Lane
from polytraders_pfh.host.unsent import over_limit

Reach = Literal["reachable", "unreachable", "not asked yet"]

_FIRST_PAGE: Final = "MA=="
_MAX_PAGES: Final = 200
_NO_ANSWER: Final = ExchangeReply(status=None, detail="the call was cancelled before an answer came")
_NS: Final = 1_000_000_000


class ExchangeCalls:
    """Sends requests and listens to what their answers say beside the point.

    Args:
        transport: An open session.
        clock: For waits.

    Attributes:
        trading: The exchange's mode, as far as it has said.
        limits: The exchange's rate limits, as far as it has said.
        killed: Whether the kill switch is on.
        reach: Whether its trading side and its public side answered the last request.
    """

    def __init__(self, transport: ExchangeTransport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        self.trading = TradingStatusBoard(clock)
        self.limits = RateLimits(clock)
        self.killed: Callable[[], bool] = lambda: False
        self.reach: dict[Literal["clob_auth", "clob_public"], Reach] = {
            "clob_auth": "not asked yet",
            "clob_public": "not asked yet",
        }

    async def read(
        self, auth: L2Auth | None, path: str, timeout_s: float, query: dict[str, str] | None = None
    ) -> ExchangeReply:
        """Read, after any known limit of its group; when that outlasts `timeout_s`, answer so at once."""
        started_ns = self._clock.monotonic_ns()
        left_s = timeout_s
        group: Group = "reads" if auth else "books"
        while (limited_ms := self.limits.left_ms(group)) > 0:
            if limited_ms >= left_s * 1000:
                return over_limit(f"GET {path}", limited_ms, self._clock.now_ms())
            await self._clock.sleep(limited_ms / 1000)
            left_s = timeout_s - (self._clock.monotonic_ns() - started_ns) / _NS
        return await self.send("GET", path, b"", left_s, auth=auth, query=query, group=group)

    async def read_pages(
        self, auth: L2Auth, path: str, query: dict[str, str], timeout_s: float
    ) -> AsyncIterator[tuple[ExchangeReply, list[Any] | None]]:
        """Read page after page, each within `timeout_s`; one that did not come is None, and the last."""
        cursor = _FIRST_PAGE
        for _ in range(_MAX_PAGES):
            reply = await self.read(auth, path, timeout_s, {**query, "next_cursor": cursor})
            page, cursor = page_in(reply)
            yield reply, page
            if page is None or cursor == LAST_PAGE:
                return
        yield ExchangeReply(status=None, detail=f"GET {path}: more than {_MAX_PAGES} pages"), None

    async def send(
        self,
        method: str,
        path: str,
        body: bytes,
        timeout_s: float,
        *,
        auth: L2Auth | None,
        query: dict[str, str] | None = None,
        group: Group | None = None,
        cost: int = 1,
        lane: Lane = "ordinary",
    ) -> ExchangeReply:
        """Send one request now. `group` None spends of no budget that the exchange counts for trading.

        While the kill switch is on nothing is posted, and whatever is sent serves its cancels.
        """
        headers = auth.headers(method, path, body) if auth else {}
        if group is not None:
            self.limits.sending(group, cost)
        reply = _NO_ANSWER
        try:
            reply = await self._transport.send(
                method,
                path,
                timeout_s=timeout_s,
                query=query,
                body=body,
                headers=headers,
                lane="first" if self.killed() else lane,
            )
        finally:
            if group is not None:
                self.limits.answered(group, reply, cost)
        self.reach["clob_auth" if auth else "clob_public"] = "reachable" if reply.status else "unreachable"
        self.trading.heard(reply)
        return reply
