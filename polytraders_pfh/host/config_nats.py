"""The settings that have to do with the bus: where it is, and how reports stand in it."""

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from polytraders_pfh.host.secret import SecretSource

_SCHEMES: Final = ("nats", "tls")
_NAME: Final = r"^[A-Za-z0-9_-]{1,64}$"


def _bus_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("use a nats or tls address such as nats://127.0.0.1:4222")
    if parts.username or parts.password:
        raise ValueError("leave user name and password out of the address; name a token's place instead")
    return text.rstrip("/")


def _at_least_one(servers: tuple[str, ...]) -> tuple[str, ...]:
    if not servers:
        raise ValueError("name at least one address such as nats://127.0.0.1:4222")
    return servers


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class NatsSection(_Section):
    """`[nats]`: the servers of one bus with JetStream, and on how many of them streams are kept."""

    servers: Annotated[
        tuple[Annotated[str, AfterValidator(_bus_address)], ...], AfterValidator(_at_least_one)
    ]
    token: SecretSource | None = None
    replicas: Literal[1, 3, 5] = 1
    connect_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    answer_s: Annotated[float, Field(gt=0, le=60)] = 2.0


class ReportsNatsSection(_Section):
    """`[reports.nats]`: the stream of reports, one subject `<topic>.<n>` for each partition of `trace_id`.

    Every host that writes to the stream has to have the same section.
    """

    stream: Annotated[str, Field(pattern=_NAME)] = "POLYTRADERS_REPORTS"
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", max_length=128)] = (
        "polytraders.reports.execution"
    )
    partitions: Annotated[int, Field(ge=1, le=4_096, strict=True)] = 16
    dedup_window_s: Annotated[float, Field(ge=1, le=86_400)] = 120.0


class ClusterSection(_Section):
    """`[cluster]`: several hosts of one wallet that share its orders.

    All but `host` has to be the same for every host. `host` is this one's own name. A host that could not
    renew its lease for `lease_s` posts nothing, and the others take its orders over.
    """

    name: Annotated[str, Field(pattern=_NAME)] = "polytraders"
    host: Annotated[str, Field(pattern=_NAME)]
    partitions: Annotated[int, Field(ge=1, le=4_096, strict=True)] = 16
    lease_s: Annotated[float, Field(ge=0.5, le=60)] = 2.0
    remember_days: Annotated[int, Field(ge=1, le=3_650, strict=True)] = 90
