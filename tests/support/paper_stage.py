"""A paper server on loopback with markets, and traders who reach it through the official SDK."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse
from py_clob_client_v2 import ApiCreds, ClobClient
from py_clob_client_v2.config import get_contract_config
from py_clob_client_v2.exceptions import PolyApiException
from py_clob_client_v2.order_utils import ExchangeOrderBuilderV2, OrderDataV2, SignedOrderV2
from py_clob_client_v2.signer import Signer

from polytraders_pfh.paper.clock import ManualClock
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import MICRO, ExchangeConfig, Market, Outcome
from polytraders_pfh.paper.protocol.faults import FaultPlan
from polytraders_pfh.paper.protocol.server import PaperServer, serve
from polytraders_pfh.paper.protocol.stream_faults import StreamPlan
from polytraders_pfh.paper.protocol.venue import POLYGON, VenueOptions
from support.sdk_connections import own_sdk_connections

START_MS = 1_790_000_000_000
YES, NO = "11111111111111111111", "22222222222222222222"
WINNER, LOSER = "33333333333333333333", "44444444444444444444"
RAIN = Market("0x" + "ab" * 32, "Will it rain?", (Outcome(YES, "Yes"), Outcome(NO, "No")))
CUP = Market(
    "0x" + "cd" * 32, "Who takes the cup?", (Outcome(WINNER, "Yes"), Outcome(LOSER, "No")), neg_risk=True
)
CONTRACTS = get_contract_config(POLYGON)


def private_key(number: int) -> str:
    """The private key of test wallet `number`."""
    return f"0x{number:064x}"


@dataclass
class Trader:
    """One wallet with API credentials and an unmodified SDK client. `wallet` holds the funds."""

    client: ClobClient
    wallet: str
    signature_type: int
    clock: ManualClock
    salts: "itertools.count[int]"

    @property
    def creds(self) -> ApiCreds:
        """The L2 credentials."""
        return self.client.creds

    @property
    def key(self) -> str:
        """The API key's uuid."""
        return str(self.client.creds.api_key)

    def order(
        self,
        side: str,
        shares: int,
        price_micro: int,
        *,
        token: str = YES,
        neg_risk: bool = False,
        expiration_s: int = 0,
        contract: str | None = None,
        version: str = "2",
    ) -> SignedOrderV2:
        """A signed order with a counted salt and the stage's time: its id is the same on every run."""
        usd, size = shares * price_micro, shares * MICRO
        signer: Signer = self.client.signer
        builder = ExchangeOrderBuilderV2(
            contract or (CONTRACTS.neg_risk_exchange_v2 if neg_risk else CONTRACTS.exchange_v2),
            POLYGON,
            signer,
            generate_salt=lambda: str(next(self.salts)),
            domain_version=version,
        )
        return builder.build_signed_order(
            OrderDataV2(
                maker=self.wallet,
                tokenId=token,
                makerAmount=str(usd if side == "BUY" else size),
                takerAmount=str(size if side == "BUY" else usd),
                side=0 if side == "BUY" else 1,
                signer=self.wallet if self.signature_type == 3 else signer.address(),
                signatureType=self.signature_type,
                timestamp=str(self.clock.now_ms()),
                expiration=str(expiration_s),
            )
        )

    async def post(
        self, order: SignedOrderV2, order_type: str = "GTC", *, post_only: bool = False
    ) -> dict[str, Any]:
        """Post through the SDK, without its wait for settlement."""
        return await asyncio.to_thread(self.client.post_order, order, order_type, post_only, True)

    async def rest(self, side: str, shares: int, price_micro: int, *, token: str = YES) -> str:
        """Post a GTC order, and return its id."""
        return str((await self.post(self.order(side, shares, price_micro, token=token)))["orderID"])


@dataclass
class Stage:
    """Everything a protocol test needs."""

    server: PaperServer
    exchange: Exchange
    clock: ManualClock
    http: ClientSession
    salts: "itertools.count[int]"

    def client(self, number: int, signature_type: int = 0, funder: str | None = None) -> ClobClient:
        """An SDK client for wallet `number`, without API credentials."""
        return ClobClient(
            self.server.url,
            POLYGON,
            key=private_key(number),
            signature_type=signature_type,
            funder=funder,
        )

    async def trader(self, number: int, signature_type: int = 0, funder: str | None = None) -> Trader:
        """A trader whose API key was bought through the SDK."""
        client = self.client(number, signature_type, funder)
        client.set_api_creds(await asyncio.to_thread(client.create_api_key))
        return Trader(client, funder or client.get_address(), signature_type, self.clock, self.salts)

    async def listen_user(self, trader: Trader, **fields: object) -> ClientWebSocketResponse:
        """A user stream of this trader, subscribed."""
        socket = await self.http.ws_connect(self.server.ws_url + "/user")
        creds = trader.creds
        auth = {
            "apiKey": creds.api_key,
            "secret": creds.api_secret,
            "passphrase": creds.api_passphrase,
        }
        await socket.send_json({"auth": auth, "type": "user", **fields})
        await settle(socket)
        return socket

    async def listen_market(self, *tokens: str, **fields: object) -> ClientWebSocketResponse:
        """A market stream of these tokens; the initial dump is still to be read."""
        socket = await self.http.ws_connect(self.server.ws_url + "/market")
        await socket.send_json({"assets_ids": list(tokens), "type": "market", **fields})
        return socket

    def advance(self, duration_ms: int) -> None:
        """Let time pass and everything due in it happen."""
        self.clock.advance(duration_ms)
        self.server.tick()


async def settle(socket: ClientWebSocketResponse) -> None:
    """Return once the server has handled everything sent so far: it answers in order."""
    await socket.send_str("PING")
    reply = await socket.receive_str()
    assert reply == "PONG", f"expected PONG, was {reply}"


async def received(socket: ClientWebSocketResponse) -> list[Any]:
    """Every message the server had queued until now."""
    await socket.send_str("PING")
    messages: list[Any] = []
    while (text := await socket.receive_str()) != "PONG":
        decoded = json.loads(text)
        messages.extend(decoded if isinstance(decoded, list) else [decoded])
    return messages


async def refusal(call: Callable[..., object], *arguments: object) -> tuple[int, Any]:
    """Status and body of the SDK call that the exchange must refuse."""
    try:
        answer = await asyncio.to_thread(call, *arguments)
    except PolyApiException as refused:
        return refused.status_code, refused.error_msg
    raise AssertionError(f"the exchange should have refused, but answered {answer!r}")


@asynccontextmanager
async def paper_stage(
    *,
    config: ExchangeConfig | None = None,
    options: VenueOptions | None = None,
    faults: FaultPlan | None = None,
    stream_faults: StreamPlan | None = None,
    markets: tuple[Market, ...] = (RAIN, CUP),
    tick_ms: int = 100,
) -> AsyncIterator[Stage]:
    """Run a server on a free port under a clock that the test moves; closes everything afterwards."""
    exchange, clock = Exchange("protocol-tests", config), ManualClock(START_MS)
    for market in markets:
        exchange.add_market(market, START_MS)
    with own_sdk_connections():
        server = await serve(
            exchange,
            clock=clock,
            options=options,
            faults=faults,
            stream_faults=stream_faults,
            tick_ms=tick_ms,
        )
        async with server, ClientSession() as session:
            yield Stage(server, exchange, clock, session, itertools.count(1))
