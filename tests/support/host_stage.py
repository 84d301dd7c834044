"""A whole host between a stub exchange and a stub feed."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from polytraders_hookspecs import Strategy

from polytraders_pfh.host import FeedTimings, Host, HostConfig, PlaceOrder
from support.canaries import EVENT_KEY
from support.host_bots import ScribeBot, plugin_with
from support.orders import BUILDER, MARKET, TEST_KEY, TOKEN
from support.stub_exchange import API_KEY, API_SECRET, PASSPHRASE, StubExchange
from support.stub_feed import StubFeed

FAST = FeedTimings(first_pause_s=0.01, longest_pause_s=0.05)
ENVIRON = {
    "PK": TEST_KEY.reveal(),
    "API_KEY": API_KEY,
    "API_SECRET": API_SECRET,
    "API_PASS": PASSPHRASE,
    "EVENT_KEY": EVENT_KEY,
}


WISH = PlaceOrder(
    token_id=TOKEN,
    market_id=MARKET,
    side="BUY",
    price=Decimal("0.5"),
    size_shares=Decimal(100),
    strategy=Strategy(id="momentum", partial_fill_policy="chase"),
    builder_code=BUILDER,
)
ACCEPTED = {"success": True, "orderID": "0x1", "errorMsg": "", "status": "live"}


def order_event(order_id: str, matched: str, status: str = "LIVE", ts: int = 1) -> dict[str, Any]:
    """An `order` message of the user channel for the order that WISH describes."""
    return {
        "event_type": "order",
        "id": order_id,
        "market": MARKET,
        "asset_id": TOKEN,
        "side": "BUY",
        "price": "0.5",
        "original_size": "100",
        "size_matched": matched,
        "status": status,
        "order_type": "GTC",
        "timestamp": str(1_700_000_000_000 + ts),
    }


def config_for(
    state_dir: Path, exchange: StubExchange, feed: StubFeed, bots: Mapping[str, Any], **changes: Any
) -> HostConfig:
    """A config for the two stubs, its sections replaced by `changes`."""
    return HostConfig.from_members(
        {
            "host": {"state_dir": str(state_dir), "http_port": 0},
            "exchange": {"rest_url": exchange.url, "ws_url": feed.url},
            "wallet": {
                "key": {"env": "PK"},
                "api": {
                    "key": {"env": "API_KEY"},
                    "secret": {"env": "API_SECRET"},
                    "passphrase": {"env": "API_PASS"},
                },
            },
            "events": {"keys": {"k1": {"env": "EVENT_KEY"}}},
            "bots": bots,
            **changes,
        }
    )


def answer_as_an_empty_exchange(exchange: StubExchange) -> None:
    """No open orders, no trades, one market."""
    exchange.answer_json("GET /data/orders", {"data": [], "next_cursor": "LTE="})
    exchange.answer_json("GET /data/trades", {"data": [], "next_cursor": "LTE="})
    exchange.answer_json(f"GET /clob-markets/{MARKET}", {"t": [{"t": TOKEN}], "nr": True})


@dataclass
class HostStage:
    """The pieces of a running host."""

    exchange: StubExchange
    feed: StubFeed
    bot: ScribeBot
    host: Host


@asynccontextmanager
async def host_stage(
    tmp_path: Path, bot: ScribeBot | None = None, **changes: Any
) -> AsyncIterator[HostStage]:
    """Run a host with one scribe bot."""
    scribe = bot or ScribeBot()
    async with StubExchange() as exchange, StubFeed() as feed:
        answer_as_an_empty_exchange(exchange)
        config = config_for(tmp_path / "state", exchange, feed, {"exec.scribe": {"enabled": True}}, **changes)
        host = Host(config, environ=ENVIRON, plugins={"exec.scribe": plugin_with(scribe)}, timings=FAST)
        async with host:
            yield HostStage(exchange, feed, scribe, host)
