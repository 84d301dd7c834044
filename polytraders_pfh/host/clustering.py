"""The host's part in a cluster, where its config has one; what only a cluster needs is imported for it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from polytraders_hookspecs import Clock

from polytraders_pfh.host.config import HostConfig
from polytraders_pfh.host.report_bus import nats_link
from polytraders_pfh.host.trade_room import TradeRoom

if TYPE_CHECKING:
    from polytraders_pfh.host.cluster.member import ClusterMember


def cluster_member(
    config: HostConfig,
    environ: Mapping[str, str],
    plugins: Mapping[str, object] | None,
    room: TradeRoom,
    clock: Clock,
) -> "ClusterMember | None":
    """Return this host as a member, with its orders shared and its posts fenced; None without `[cluster]`.

    Raises:
        ConfigError: The extra is not installed.
        SecretMissing: The bus's token is absent.
    """
    if config.cluster is None:
        return None
    link = nats_link(config, environ)
    from polytraders_pfh.host.cluster.member import ClusterMember  # noqa: PLC0415  # needs the extra

    assert config.nats is not None
    member = ClusterMember(
        config.cluster,
        config.nats.replicas,
        link,
        room.lifecycle,
        room.kill_switch,
        room.events,
        clock,
        environ,
        plugins,
    )
    room.lifecycle.sharing = room.dispatcher.sharing = member.rooms
    room.desk.fenced_by(member.last_word)
    return member
