"""A paper exchange, a bus, several hosts of one wallet in one process, and a rival who trades with them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from nats.js.errors import NotFoundError
from polytraders_hookspecs import Strategy, read_json

from polytraders_pfh.host import FeedTimings, Host, HostConfig, Placement, PlaceOrder
from polytraders_pfh.host.cluster.link import BusLink
from polytraders_pfh.host.cluster.member import ClusterMember
from polytraders_pfh.host.config_nats import NatsSection
from polytraders_pfh.paper.clock import SystemClock
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import Market, Outcome
from polytraders_pfh.paper.protocol.server import PaperServer, serve
from support.nats_server import NatsServer, nats_server

YES, NO = "11111111111111111111", "22222222222222222222"
RAIN = Market("0x" + "ab" * 32, "Will it rain?", (Outcome(YES, "Yes"), Outcome(NO, "No")))
FAST = FeedTimings(first_pause_s=0.01, longest_pause_s=0.05)
CHASE = Strategy(id="momentum", partial_fill_policy="chase")
HOLD = Strategy(id="patient", partial_fill_policy="hold")
LIMIT = Decimal("0.43")
PARTITIONS = 4


class ClusterTown:
    """What stands there."""

    def __init__(self, server: PaperServer, bus: NatsServer, rival: Host, root: Path, lease_s: float) -> None:
        self.server = server
        self.bus = bus
        self.rival = rival
        self._root = root
        self._lease_s = lease_s

    def host(self, name: str, **changes: Any) -> Host:
        """Return a host that is not started yet."""
        members: dict[str, Any] = {
            "host": {"state_dir": str(self._root / name), "http_port": 0},
            "exchange": {"rest_url": self.server.url, "ws_url": self.server.ws_url},
            "wallet": {"key": {"env": "PK"}},
            "reports": {"bus": "nats"},
            "nats": {"servers": [self.bus.url], "answer_s": 1.0},
            "cluster": {"host": name, "partitions": PARTITIONS, "lease_s": self._lease_s},
            "bots": {
                "exec.partialfillhandler": {
                    "mode": "general_live",
                    "defaults": {"cancel_on_book_thin": False, "min_remainder_size": 2},
                }
            },
            **changes,
        }
        return Host(HostConfig.from_members(members), environ={"PK": "21" * 32}, timings=FAST)

    def wish(self, side: Any, price: str, shares: int, **more: Any) -> PlaceOrder:
        return PlaceOrder(
            token_id=YES,
            market_id=RAIN.condition_id,
            side=side,
            price=Decimal(price),
            size_shares=Decimal(shares),
            **more,
        )

    async def trades(self, side: Any, price: str, shares: int) -> Placement:
        """Have the rival place an order."""
        placed = await self.rival.place(self.wish(side, price, shares))
        assert placed.outcome == "accepted", placed.text
        return placed

    async def reports(self) -> list[dict[str, Any]]:
        """Return every report on the bus, in the order in which they came."""
        link = BusLink(NatsSection(servers=(self.bus.url,)), "reader")
        await link.open()
        found, seq = [], 1
        try:
            while True:
                msg = await link.jetstream.get_msg("POLYTRADERS_REPORTS", seq)
                found.append(read_json(msg.data or b""))
                seq += 1
        except NotFoundError:
            return found
        finally:
            await link.close()

    def live(self) -> list[str]:
        """Return the ids of our orders that may still fill."""
        return [order_id for order_id, record in self.ours().items() if record.status == "LIVE"]

    def ours(self) -> dict[str, Any]:
        """Return every order of our wallet, by the exchange's own books."""
        rival = self.rival.wallet.maker.lower()
        orders = self.server.exchange._floor.registry._orders.values()
        return {order.order_id: order.record() for order in orders if order.request.maker.lower() != rival}


def member_of(host: Host) -> ClusterMember:
    assert host._cluster is not None
    return host._cluster


def ready(host: Host) -> list[int]:
    """Return the partitions whose bots hear of events at this host."""
    return sorted(room.partition for room in member_of(host).rooms.open if room.ready and room.log.held())


@asynccontextmanager
async def cluster_town(tmp_path: Path, lease_s: float = 3.0) -> AsyncIterator[ClusterTown]:
    clock = SystemClock()
    exchange = Exchange("cluster-tests")
    exchange.add_market(RAIN, clock.now_ms())
    async with AsyncExitStack() as stack:
        bus = stack.enter_context(nats_server(tmp_path / "nats"))
        server = await stack.enter_async_context(await serve(exchange, clock=clock, tick_ms=10))
        config = {
            "host": {"state_dir": str(tmp_path / "rival"), "http_port": 0},
            "exchange": {"rest_url": server.url, "ws_url": server.ws_url},
            "wallet": {"key": {"env": "PK"}},
            "reports": {"bus": "memory"},
        }
        rival = Host(HostConfig.from_members(config), environ={"PK": "22" * 32}, timings=FAST)
        await stack.enter_async_context(rival)
        server.open_account(rival.wallet.maker)
        exchange.mint(rival.wallet.maker.lower(), RAIN.condition_id, 5_000_000_000)
        yield ClusterTown(server, bus, rival, tmp_path, lease_s)
