"""An exchange that costs next to nothing: the routes of a chase, in a process of its own.

A raw asyncio protocol on loopback TCP answers with bodies of the right shape, each after a set delay. It
checks no signature; a posted order's id is its real EIP-712 hash, so a caller that compares is satisfied.
GET /log returns what arrived since the last time: method, path, and when it came and was answered, in ns
of the machine's monotonic clock, which every process shares.
"""

import asyncio
import json
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from time import perf_counter_ns, time_ns
from typing import Any, Final

from eth_utils.crypto import keccak
from py_clob_client_v2.config import get_contract_config

Stamp = tuple[str, str, int, int]
"""Method, path, received, answered."""
CHAIN_ID: Final = 137
SIZE: Final = "725.806451"
MATCHED: Final = "322.580645"
MARKET: Final = "0x" + "c1" * 32
_PLAIN: Final = {
    "/version": {"version": 2},
    "/tick-size": {"minimum_tick_size": "0.01"},
    "/neg-risk": {"neg_risk": False},
    "/data/trades": {"limit": 300, "count": 0, "next_cursor": "LTE=", "data": []},
}
_ORDER: Final = keccak(
    text="Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,"
    "uint256 takerAmount,uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)"
)
_DOMAIN: Final = keccak(
    keccak(text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    + keccak(text="Polymarket CTF Exchange")
    + keccak(text="2")
    + CHAIN_ID.to_bytes(32, "big")
    + bytes.fromhex(get_contract_config(CHAIN_ID).exchange_v2[2:]).rjust(32, b"\0")
)


class Routes:
    """What each request is answered with."""

    def __init__(self) -> None:
        self.log: list[Stamp] = []
        levels = [{"price": f"0.{63 + i}", "size": "1000"} for i in range(4, -1, -1)]
        bids = [{"price": f"0.{57 + i}", "size": "1000"} for i in range(5)]
        self._book = (
            f'{{"market":"{MARKET}","asset_id":"%s","timestamp":"%d","hash":"","bids":{json.dumps(bids)},'
            f'"asks":{json.dumps(levels)},"min_order_size":"5","tick_size":"0.01","neg_risk":false,'
            '"last_trade_price":"0.62"}'
        )

    def answer(self, method: str, path: str, body: bytes) -> bytes:
        """Return the body of a 200."""
        if path.startswith("/book?"):
            return (self._book % (path.rpartition("=")[2], time_ns() // 1_000_000)).encode()
        if method == "DELETE":
            return _dump({"canceled": [json.loads(body)["orderID"]], "not_canceled": {}})
        if path.startswith("/data/order/"):
            return self._record(path.rpartition("/")[2])
        if method == "POST":
            return self._posted(json.loads(body)["order"])
        if path == "/log":
            log, self.log = self.log, []
            return _dump(log)
        return _dump(_PLAIN[path.partition("?")[0]])

    @staticmethod
    def _record(order_id: str) -> bytes:
        return _dump(
            {
                "id": order_id,
                "status": "CANCELED",
                "market": MARKET,
                "side": "BUY",
                "original_size": SIZE,
                "size_matched": MATCHED,
                "price": "0.62",
                "order_type": "GTC",
                "associate_trades": [],
                "created_at": 1_746_770_100,
            }
        )

    @staticmethod
    def _posted(order: dict[str, Any]) -> bytes:
        return _dump(
            {
                "errorMsg": "",
                "orderID": order_hash(order),
                "takingAmount": "",
                "makingAmount": "",
                "status": "live",
                "transactionsHashes": [],
                "tradeIDs": [],
                "success": True,
            }
        )


class Connected(asyncio.Protocol):
    """One kept-alive connection, one request at a time."""

    def __init__(self, routes: Routes, delay_s: float) -> None:
        self._routes = routes
        self._delay_s = delay_s
        self._waiting = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        received = perf_counter_ns()
        self._waiting += data
        head, separator, rest = self._waiting.partition(b"\r\n\r\n")
        if not separator or len(rest) < (length := _length(head)):
            return
        self._waiting = rest[length:]
        method, path, _ = head.partition(b"\r\n")[0].decode().split(" ")
        body = self._routes.answer(method, path, rest[:length])
        reply = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        ) + body
        if self._delay_s and path != "/log":
            loop = asyncio.get_running_loop()
            loop.call_later(self._delay_s, self._send, reply, method, path, received)
        else:
            self._send(reply, method, path, received)

    def _send(self, reply: bytes, method: str, path: str, received: int) -> None:
        assert self._transport is not None
        self._transport.write(reply)
        if path != "/log":
            self._routes.log.append((method, path, received, perf_counter_ns()))


def order_hash(order: dict[str, Any]) -> str:
    """Return an order's EIP-712 hash from its JSON, in two Keccaks."""
    words = (
        int(order["salt"]),
        int(order["maker"], 16),
        int(order["signer"], 16),
        int(order["tokenId"]),
        int(order["makerAmount"]),
        int(order["takerAmount"]),
        0 if order["side"] == "BUY" else 1,
        int(order["signatureType"]),
        int(order["timestamp"]),
        int(order["metadata"], 16),
        int(order["builder"], 16),
    )
    struct = keccak(_ORDER + b"".join([word.to_bytes(32, "big") for word in words]))
    return "0x" + keccak(b"\x19\x01" + _DOMAIN + struct).hex()


def start(delay_s: float, cpu: int | None) -> tuple[BaseProcess, str]:
    """Start an exchange in a process of its own; return it and its URL. `cpu` pins it."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_run, args=(theirs, delay_s, cpu), daemon=True
    )
    process.start()
    return process, f"http://127.0.0.1:{ours.recv()}"


def _run(tell: Connection, delay_s: float, cpu: int | None) -> None:
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    asyncio.run(_serve(tell.send, delay_s))


async def _serve(tell: Callable[[int], None], delay_s: float) -> None:
    routes = Routes()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connected(routes, delay_s), "127.0.0.1", 0)
    tell(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
