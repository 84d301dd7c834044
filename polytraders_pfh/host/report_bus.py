"""The report bus that a config asks for; what only one of them needs is imported for that one."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from polytraders_hookspecs import Clock

from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host.bus import FileReportBus, MemoryReportBus
from polytraders_pfh.host.config import HostConfig

if TYPE_CHECKING:
    from polytraders_pfh.host.cluster.link import BusLink
    from polytraders_pfh.host.cluster.reports import NatsReportBus

    AnyReportBus = FileReportBus | MemoryReportBus | NatsReportBus


class ReportDoor:
    """The way out for reports.

    Attributes:
        bus: Where bots publish.
        link: The connection to NATS, when there is one.

    Raises:
        ConfigError: The bus needs an extra that is not installed.
        SecretMissing: The bus's token is absent.
    """

    def __init__(self, config: HostConfig, environ: Mapping[str, str], clock: Clock) -> None:
        self.link: BusLink | None = None
        self.bus: AnyReportBus
        if config.reports.bus == "nats":
            self.link = link = nats_link(config, environ)
            self.bus = _nats_bus(config, link, clock)
        elif config.reports.bus == "memory":
            self.bus = MemoryReportBus()
        else:
            self.bus = FileReportBus(config.reports_file)

    async def open(self, stack: AsyncExitStack) -> None:
        """Connect, and make ready.

        Raises:
            BusError: Nothing that can be used is there; says what to do.
        """
        if self.link is not None:
            stack.push_async_callback(self.link.close)
            await self.link.open()
        stack.push_async_callback(self.bus.close)
        await self.bus.open()


def nats_link(config: HostConfig, environ: Mapping[str, str]) -> "BusLink":
    """Return a connection to the bus of `[nats]`, not opened yet.

    Raises:
        ConfigError: The extra is not installed.
        SecretMissing: The token is absent.
    """
    try:
        from polytraders_pfh.host.cluster.link import BusLink  # noqa: PLC0415  # needs the extra
    except ModuleNotFoundError as e:
        if (e.name or "").startswith("polytraders"):
            raise
        raise ConfigError(
            "[nats] needs nats-py, which is not installed; run: pip install 'polytraders-pfh[nats]'"
        ) from None
    assert config.nats is not None
    token = config.nats.token
    secret = "" if token is None else token.read(environ).reveal()
    return BusLink(config.nats, config.telemetry.service_name, secret)


def _nats_bus(config: HostConfig, link: "BusLink", clock: Clock) -> "NatsReportBus":
    from polytraders_pfh.host.cluster.reports import NatsReportBus  # noqa: PLC0415  # needs the extra

    assert config.nats is not None
    return NatsReportBus(link, config.reports.nats, config.nats.replicas, clock)
