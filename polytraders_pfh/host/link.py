"""The way to one exchange: session, wallet, API credentials and, when asked for, the dead-man switch."""

from collections.abc import Mapping
from contextlib import AsyncExitStack

from polytraders_hookspecs import BookSnapshot, Clock

from polytraders_pfh.host.account import KeyHolder
from polytraders_pfh.host.clob import ClobAdapter
from polytraders_pfh.host.config import HostConfig
from polytraders_pfh.host.health import HostHealth, host_health
from polytraders_pfh.host.heartbeat import Heartbeat
from polytraders_pfh.host.keys import read_credentials
from polytraders_pfh.host.metrics import HostMetrics
from polytraders_pfh.host.sidecar.preflight import Preflight
from polytraders_pfh.host.transport import ExchangeTransport


class ExchangeLink:
    """One wallet at one exchange.

    Attributes:
        holder: Who signs.
        wallet: Who trades.
        clob: The exchange's two sides.
        cut: Whether nothing may reach the exchange any more.

    Raises:
        SecretMissing: A part of the API credentials is absent or no such thing.
    """

    def __init__(
        self,
        config: HostConfig,
        holder: KeyHolder,
        environ: Mapping[str, str],
        clock: Clock,
        metrics: HostMetrics,
    ) -> None:
        exchange = config.exchange
        self.holder, self.wallet = holder, holder.account
        credentials = read_credentials(config.wallet, environ)
        self._transport = ExchangeTransport(exchange.rest_url, connect_s=exchange.timeouts.connect_s)
        self.clob = ClobAdapter(self._transport, self.wallet, clock, exchange.timeouts, credentials, metrics)
        self.cut = False
        self._log_in = credentials is None
        beside = config.sidecar is not None
        self._preflight = Preflight(config, self.clob, self.wallet, clock) if beside else None
        self._heartbeat = Heartbeat(self.clob.heartbeat, clock, metrics) if exchange.heartbeat else None

    async def open(self, stack: AsyncExitStack) -> None:
        """Open the session, log in where no credentials were given, send the first beat.

        A sidecar asks first whether this is the exchange, and the account, that the config means.

        Raises:
            ConfigError: It is another; says what to change. Nothing was sent but questions.
            ExchangeRefused: It gave no API credentials.
        """
        await self._transport.open()
        stack.push_async_callback(self._transport.close)
        if self._preflight is not None:
            await self._preflight.addresses()
        if self._log_in:
            await self.clob.log_in()
        if self._preflight is not None:
            await self._preflight.account()
        if self._heartbeat is not None:
            # Until the first accepted beat nothing is posted.
            self.clob.gate.guard = self._heartbeat.obstacle
            stack.push_async_callback(self._heartbeat.close)
            await self._heartbeat.open()

    async def cut_off(self) -> None:
        """Let nothing reach the exchange any more, as when the process dies."""
        self.cut = True
        if self._heartbeat is not None:
            await self._heartbeat.close()
        await self._transport.close()

    def health(self) -> HostHealth:
        """Return whether the host may post now, and what holds it back."""
        return host_health(self.clob, self._heartbeat)

    def complete(self, book: BookSnapshot) -> BookSnapshot:
        """Return a feed's book with what only the REST side knows: trading status and closing time."""
        trading, closes_at_ms = self.clob.trading.now(), self.clob.closes_at_ms(book.market_id)
        if trading == "open" and closes_at_ms is None:
            return book
        return book.model_copy(update={"trading": trading, "closes_at_ms": closes_at_ms})
