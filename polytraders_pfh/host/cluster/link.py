"""The connection to the bus: made once before anything is sent, and remade for as long as the host lives."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from polytraders_pfh.host.cluster.whole import whole
from polytraders_pfh.host.config_nats import NatsSection
from polytraders_pfh.host.errors import BusError

_log: Final = logging.getLogger(__name__)
_AGAIN_S: Final = 0.1
_PING_S: Final = 2


class BusLink:
    """One host's connection.

    Args:
        section: Where the bus is.
        name: Who this is, for the server's own lists.
        token: What the servers ask for, or empty.
    """

    def __init__(self, section: NatsSection, name: str, token: str = "") -> None:
        self._section = section
        self._name = name
        self._token = token
        self._client: Client | None = None
        self.on_connected: Callable[[], None] = lambda: None

    async def open(self) -> None:
        """Connect.

        Raises:
            BusError: No server answered, or it refused; says which addresses were tried.
        """
        where, client = ", ".join(self._section.servers), Client()
        try:
            async with asyncio.timeout(self._section.connect_s):
                await client.connect(
                    servers=list(self._section.servers),
                    name=self._name,
                    token=self._token or None,
                    connect_timeout=self._section.connect_s,  # type: ignore[arg-type]  # seconds, not whole ones
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=_AGAIN_S,  # type: ignore[arg-type]  # as above
                    ping_interval=_PING_S,
                    allow_reconnect=True,
                    error_cb=_show,
                    reconnected_cb=self._reconnected,
                )
        except (TimeoutError, OSError, NatsError) as e:
            await client.close()
            why = f"no answer within {self._section.connect_s:g} s" if isinstance(e, TimeoutError) else str(e)
            raise BusError(
                f"nats.servers was {where}, where no bus could be reached ({why}); "
                "start nats-server with JetStream there, or mend the address"
            ) from None
        self._client = client
        await self._require_jetstream(where)

    @property
    def connected(self) -> bool:
        """Whether the bus can be talked to now."""
        return self._client is not None and self._client.is_connected

    @property
    def client(self) -> Client:
        """The connection.

        Raises:
            BusError: There is none now.
        """
        if self._client is None or not self._client.is_connected:
            raise BusError("the bus is not connected; offer it again later")
        return self._client

    @property
    def jetstream(self) -> JetStreamContext:
        """The bus's streams.

        Raises:
            BusError: There is no connection now.
        """
        return self.client.jetstream(timeout=self._section.answer_s)

    async def close(self) -> None:
        """Let go of the connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _require_jetstream(self, where: str) -> None:
        try:
            await whole(self.jetstream.account_info())
        except (TimeoutError, NatsError):
            await self.close()
            raise BusError(
                f"the bus at {where} was without JetStream; start nats-server with -js and a store directory"
            ) from None

    async def _reconnected(self) -> None:
        _log.warning("the bus is connected again")
        self.on_connected()


async def _show(error: Exception) -> None:
    _log.warning("the bus: %s: %s", type(error).__name__, error)
