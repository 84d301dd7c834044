"""What a host beside a real account refuses at its start: each a sentence, and only questions were sent."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.clocks import HandClock
from support.limits_stage import Wire
from support.orders import FUNDER
from support.sidecar_stage import FAST, OWNER_KEY, RAIN, config_for, wish
from support.stub_exchange import API_KEY, API_SECRET, PASSPHRASE, StubExchange
from support.stub_feed import StubFeed

from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host import Host, HostConfig, Secret
from polytraders_pfh.host.auth import ApiCredentials
from polytraders_pfh.host.clob import ClobAdapter
from polytraders_pfh.host.sidecar.preflight import Preflight
from polytraders_pfh.host.transport import ExchangeTransport
from polytraders_pfh.host.wallet import Wallet
from polytraders_pfh.paper.clock import SystemClock
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.protocol.server import PaperServer, serve
from polytraders_pfh.paper.protocol.venue import VenueOptions

SAFE: dict[str, Any] = {"key": {"env": "PK"}, "signature_type": 2, "funder": FUNDER.lower()}
API = {"key": {"env": "A"}, "secret": {"env": "S"}, "passphrase": {"env": "P"}}


@dataclass
class Stage:
    server: PaperServer
    wire: Wire
    folder: Path

    def config(self, **sections: Any) -> HostConfig:
        return config_for(self.server, self.folder / "sidecar", **({"sidecar": {}} | sections))

    async def refusal(self, config: HostConfig, **environ: str) -> str:
        """Why a host does not start, and that it only asked."""
        self.wire.answers.clear()
        with pytest.raises(ConfigError) as caught:
            async with Host(config, environ={"PK": OWNER_KEY, **environ}, timings=FAST):
                pass
        assert {call.split()[0] for call, _ in self.wire.answers} <= {"GET"}
        return str(caught.value)


@asynccontextmanager
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """An exchange that gives nobody funds."""
    clock, exchange, wire = SystemClock(), Exchange("preflight-tests"), Wire()
    exchange.add_market(RAIN, clock.now_ms())
    options = VenueOptions(starting_usd_micro=0)
    async with await serve(exchange, clock=clock, faults=wire, options=options, tick_ms=10) as server:
        yield Stage(server, wire, tmp_path)


@asynccontextmanager
async def safe_trader(s: Stage) -> AsyncIterator[tuple[Host, str]]:
    """The other tool, which trades from the key's Safe; an order of its rests."""
    config = config_for(s.server, s.folder / "tool", wallet=SAFE)
    async with Host(config, environ={"PK": OWNER_KEY}, timings=FAST) as tool:
        s.server.open_account(FUNDER, 100_000_000)
        placed = await tool.place(wish("BUY", "0.40", 10))
        assert placed.outcome == "accepted", placed.text
        yield tool, placed.order_id


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


async def test_an_address_where_nothing_answers(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        url = f"http://127.0.0.1:{free_port()}"
        said = await s.refusal(s.config(exchange={"rest_url": url, "ws_url": s.server.ws_url}))

    assert said.startswith(f"exchange.rest_url was {url}, where nothing answered (")
    assert said.endswith("; check the address and the network")


@pytest.mark.parametrize(
    ("answer", "status", "sentence"),
    [
        ({"hello": "world"}, 200, "where no CLOB answers (status 200"),
        ({"error": "not found"}, 404, "where no CLOB answers (status 404, not found)"),
        ({"version": 3}, 200, "which speaks version 3; this host signs orders of version 2"),
    ],
)
async def test_an_address_where_something_else_answers(
    tmp_path: Path, answer: dict[str, Any], status: int, sentence: str
) -> None:
    async with stage(tmp_path) as s, StubExchange() as other:
        other.answer_json("GET /version", answer, status=status)
        said = await s.refusal(s.config(exchange={"rest_url": other.url, "ws_url": s.server.ws_url}))
        asked = [seen.path for seen in other.seen]

    assert sentence in said
    assert asked == ["/version"]


async def test_a_stream_address_where_no_stream_opens(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        url = f"ws://127.0.0.1:{free_port()}"
        said = await s.refusal(s.config(exchange={"rest_url": s.server.url, "ws_url": url}))

    assert said.startswith(f"exchange.ws_url was {url}, where no stream opened at {url}/ws/market (")


async def test_an_exchange_that_restarts_is_no_fault_of_the_config(tmp_path: Path) -> None:
    async with stage(tmp_path) as s, StubExchange() as other, StubFeed() as feed:
        other.answer_json("GET /version", {"error": "restarting"}, status=425)
        other.answer_json("GET /auth/derive-api-key", {"error": "restarting"}, status=425)
        config = s.config(exchange={"rest_url": other.url, "ws_url": feed.url})
        with pytest.raises(Exception, match="no API credentials: status") as caught:
            async with Host(config, environ={"PK": OWNER_KEY}, timings=FAST):
                pass

    assert not isinstance(caught.value, ConfigError)


async def test_credentials_that_were_revoked(tmp_path: Path) -> None:
    async with stage(tmp_path) as s, safe_trader(s) as (tool, _):
        held = tool.clob.credentials
        secrets = {"A": held.key, "S": held.secret.reveal(), "P": held.passphrase.reveal()}
        s.server.venue.keys.revoke(held.key)
        said = await s.refusal(s.config(wallet={**SAFE, "api": API}), **secrets)

    assert said == (
        f"the API credentials were refused for {tool.wallet.address} (status 401, Unauthorized/Invalid api "
        "key): they are expired, revoked or another key's; renew what wallet.api points at, or take "
        "[wallet.api] out and they are derived from the wallet"
    )
    assert not any(secret in said for secret in secrets.values())


async def test_credentials_of_another_key(tmp_path: Path) -> None:
    async with stage(tmp_path) as s, safe_trader(s) as (tool, _):
        held = tool.clob.credentials
        secrets = {"A": held.key, "S": held.secret.reveal(), "P": held.passphrase.reveal(), "PK": "33" * 32}
        said = await s.refusal(s.config(wallet={**SAFE, "api": API}), **secrets)

    assert "expired, revoked or another key's" in said


async def test_a_wallet_of_the_wrong_type_is_told_by_an_open_order(tmp_path: Path) -> None:
    async with stage(tmp_path) as s, safe_trader(s) as (tool, order_id):
        said = await s.refusal(s.config(wallet={"key": {"env": "PK"}}))

    assert said == (
        f"wallet.signature_type was 0, which trades for {tool.wallet.address}, and open order "
        f"{order_id[:12]}… is held by {FUNDER.lower()}; set wallet.funder to that address and "
        "signature_type to its kind: 0 (the key's own address), 1 (Polymarket proxy), 2 (Gnosis Safe), "
        "3 (deposit wallet)"
    )


async def test_a_wallet_of_the_wrong_type_is_told_by_where_the_funds_are(tmp_path: Path) -> None:
    async with stage(tmp_path) as s, safe_trader(s) as (tool, order_id):
        await tool.clob.cancel_orders((order_id,))
        said = await s.refusal(s.config(wallet={"key": {"env": "PK"}}))

    assert said == (
        "wallet.signature_type was 0 (the key's own address), whose wallet holds no pUSD, while type "
        "2 (Gnosis Safe) holds 100 pUSD; set signature_type = 2 and its wallet as funder, or put funds "
        "into this one first"
    )


async def test_the_right_wallet_starts_and_adopts_its_order(tmp_path: Path) -> None:
    async with stage(tmp_path) as s, safe_trader(s) as (_, order_id):
        config = s.config(wallet=SAFE)
        async with Host(config, environ={"PK": OWNER_KEY}, timings=FAST) as host:
            known = [order.order_id for order in host.lifecycle.open_orders()]

    assert known == [order_id]


async def test_an_order_that_another_wallet_of_the_key_places_later_is_left_alone(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        own = s.config(wallet={"key": {"env": "PK"}})
        async with (
            Host(own, environ={"PK": OWNER_KEY}, timings=FAST) as host,
            safe_trader(s) as (_, order_id),
        ):
            await host._room.reconciler.run_once()
            known = host.lifecycle.order(order_id)

    assert known is None


@pytest.mark.parametrize("status", [425, 429, 500, 503])
async def test_what_cannot_be_asked_at_the_moment_refuses_nobody(tmp_path: Path, status: int) -> None:
    async with StubExchange() as other, StubFeed() as feed:
        for call in ("/version", "/auth/api-keys", "/data/orders", "/balance-allowance"):
            other.answer_json(f"GET {call}", {"error": "busy"}, status=status)
        sections = {"exchange": {"rest_url": other.url, "ws_url": feed.url}, "sidecar": {}}
        config = HostConfig.from_members(
            {"host": {"state_dir": str(tmp_path)}, "wallet": {"key": {"env": "PK"}}, **sections}
        )
        transport, clock = ExchangeTransport(other.url), HandClock()
        await transport.open()
        wallet = Wallet(Secret(OWNER_KEY), chain_id=137)
        held = ApiCredentials(API_KEY, Secret(API_SECRET), Secret(PASSPHRASE))
        clob = ClobAdapter(transport, wallet, clock, config.exchange.timeouts, held)
        ahead = Preflight(config, clob, wallet, clock)
        await ahead.addresses()
        if status != 429:  # a known limit of reads is waited out, which this clock does not do
            await ahead.account()
        await transport.close()
        asked = {seen.path for seen in other.seen}

    assert "/version" in asked
