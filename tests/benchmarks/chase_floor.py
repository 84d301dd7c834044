"""The floor of a chase: its requests by bare aiohttp, and one durable commit, two ways."""

import asyncio
import os
from pathlib import Path
from time import perf_counter_ns

import aiohttp
from chase_exchange import MARKET, Stamp
from chase_figures import Figures, order_ids
from polytraders_hookspecs import SignedOrder
from support.fake_host import TOKEN
from support.stub_exchange import API_KEY

from polytraders_pfh.engine.journal import Kind, Record, SqliteJournal
from polytraders_pfh.host.auth import L2Auth
from polytraders_pfh.host.clob_bodies import compact, order_body


class Floor:
    """The same requests by the same client with the same settings, by hand, and one durable commit."""

    def __init__(self, url: str, directory: Path, auth: L2Auth) -> None:
        self._url = url
        self._auth = auth
        self._next_id = order_ids(1)
        self._fd = os.open(directory / "bare", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self._journal = SqliteJournal(directory / "journal")
        self._found: list[dict[str, int]] = []

    async def open(self, signed: SignedOrder) -> None:
        self._body = order_body(signed, API_KEY)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=64, limit_per_host=64, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=2.0),
        )
        await self._journal.open()

    def begin(self) -> None:
        self._found.clear()

    async def chase(self) -> None:
        order_id = self._next_id()
        stamps = [perf_counter_ns()]

        def stamp() -> None:
            stamps.append(perf_counter_ns())

        await self._request("GET", f"/book?token_id={TOKEN}")
        stamp()
        await self._request("DELETE", "/order", compact({"orderID": order_id}))
        stamp()
        await asyncio.gather(
            self._request("GET", f"/data/order/{order_id}"),
            self._request("GET", f"/book?token_id={TOKEN}"),
            self._request("GET", "/data/trades", query=f"?market={MARKET}&after=1746770100&next_cursor=MA=="),
        )
        stamp()
        os.write(self._fd, b"x" * 420)
        os.fdatasync(self._fd)
        stamp()
        await self._journal.append(_intended(order_id))
        stamp()
        await self._request("POST", "/order", self._body)
        stamp()
        names = ("event", "book", "cancel", "read", "fdatasync", "sqlite", "post")
        self._found.append(dict(zip(names, stamps, strict=True)))

    def figures(self, log: list[Stamp]) -> Figures:
        """Return the figures; `bare` is the round trips alone, without either commit."""
        received = [stamp[2] for stamp in log if stamp[0] == "DELETE"]
        found = Figures()
        for one, cancel_ns in zip(self._found, received, strict=True):
            fdatasync, sqlite = one["fdatasync"] - one["read"], one["sqlite"] - one["fdatasync"]
            bare = one["post"] - one["event"] - fdatasync - sqlite
            spans = {
                "to cancel, bare": cancel_ns - one["event"],
                "to cancel, fdatasync": cancel_ns - one["event"] + fdatasync,
                "to cancel, sqlite": cancel_ns - one["event"] + sqlite,
                "whole, bare": bare,
                "whole, fdatasync": bare + fdatasync,
                "whole, sqlite": bare + sqlite,
                "confirm book": one["book"] - one["event"],
                "cancel": one["cancel"] - one["book"],
                "prove, read": one["read"] - one["cancel"],
                "fdatasync": fdatasync,
                "journal": sqlite,
                "post": one["post"] - one["sqlite"],
            }
            for name, span in spans.items():
                found.setdefault(name, []).append(span / 1e3)
        return found

    async def close(self) -> None:
        await self._session.close()
        await self._journal.close()
        os.close(self._fd)

    async def _request(self, method: str, path: str, body: bytes = b"", query: str = "") -> bytes:
        headers = {} if path.startswith("/book") else self._auth.headers(method, path, body)
        if body:
            headers["Content-Type"] = "application/json"
        async with self._session.request(
            method, self._url + path + query, data=body or None, headers=headers, allow_redirects=False
        ) as answer:
            return await answer.read()


def _intended(order_id: str) -> Record:
    facts: dict[str, str | int | bool | None] = {
        "price_micro": 630_000,
        "size_micro": 396_820_000,
        "replaces": order_id,
        "digest": "0" * 64,
    }
    return Record(Kind.POST_RECORDED, 1, "trc_0123456789abcdef", order_id, order_id[::-1], facts)
