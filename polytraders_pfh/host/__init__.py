"""The reference host: discovers bots, supplies every service, and talks to one CLOB V2 address.

    async with Host(load_config(path)) as host: ...
    run_host(path)                                  the same as a process, until SIGTERM

Bots never import this package; a host of your own replaces it by supplying `HostServices`.
"""

from polytraders_pfh.host.app import Host
from polytraders_pfh.host.config import HostConfig, load_config
from polytraders_pfh.host.errors import HostError
from polytraders_pfh.host.feed_socket import FeedTimings
from polytraders_pfh.host.placing import Placement, PlaceOrder
from polytraders_pfh.host.running import run_host
from polytraders_pfh.host.secret import Secret, SecretSource

__all__ = [
    "FeedTimings",
    "Host",
    "HostConfig",
    "HostError",
    "PlaceOrder",
    "Placement",
    "Secret",
    "SecretSource",
    "load_config",
    "run_host",
]
