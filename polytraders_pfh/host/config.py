"""The host's settings: one TOML file, every fault of it named at once, no secret in it.

Relative paths are taken from the file's own directory. The section of a bot is handed on as it is: only
the bot knows its keys.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from polytraders_pfh.config import BOT_ID
from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host.config_admin import AdminSection
from polytraders_pfh.host.config_faults import fault_list
from polytraders_pfh.host.config_file import Section as _Section
from polytraders_pfh.host.config_file import read_toml
from polytraders_pfh.host.config_nats import ClusterSection, NatsSection, ReportsNatsSection
from polytraders_pfh.host.secret import SecretSource, rooted_secrets
from polytraders_pfh.host.sidecar.config import STRATEGY_PREFIX, SidecarSection
from polytraders_pfh.host.sidecar.gates_config import GatesSection
from polytraders_pfh.host.wallet_config import WalletSection

_KEY_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)
_MAX_EVENT_KEYS: Final = 2
SERVICE_NAME: Final = "polytraders-host"
"""Under which spans are found, unless the config names another."""


def _url(*schemes: str) -> AfterValidator:
    def check(text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in schemes or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"use a {' or '.join(schemes)} address without query")
        if parts.username or parts.password:
            raise ValueError("leave user name and password out of the address")
        return text.rstrip("/")

    return AfterValidator(check)


Seconds = Annotated[float, Field(gt=0, le=60)]


class HostSection(_Section):
    """`[host]`: where the host keeps its state and where it can be looked at."""

    state_dir: Path
    http_host: Literal["127.0.0.1", "::1", "localhost"] = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535, strict=True)] = 9464
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class TimeoutsSection(_Section):
    """`[exchange.timeouts]`: seconds that each call may take, from the connection to the last byte."""

    connect_s: Seconds = 2.0
    book_s: Seconds = 2.0
    post_s: Seconds = 5.0
    cancel_s: Seconds = 3.0
    read_s: Seconds = 3.0
    trades_s: Seconds = 10.0
    heartbeat_s: Annotated[float, Field(gt=0, le=2)] = 2.0
    """Two tries have to fit between the beat that is due and the tenth second of silence."""


class ExchangeSection(_Section):
    """`[exchange]`: which CLOB to talk to, real or paper.

    With `heartbeat` the exchange cancels this API key's orders when the host falls silent, a clean stop
    included; one host per key.
    """

    rest_url: Annotated[str, _url("http", "https")]
    ws_url: Annotated[str, _url("ws", "wss")]
    chain_id: Literal[137, 80002] = 137
    heartbeat: Annotated[bool, Field(strict=True)] = False
    timeouts: TimeoutsSection = TimeoutsSection()


class SignerSection(_Section):
    """`[signer]`: the socket of a signer process, which then holds the key in this host's place."""

    socket: Path


class EventsSection(_Section):
    """`[events]`: the keys that sign events. Without any, one is made up and dies with the host."""

    keys: dict[str, SecretSource] = Field(default_factory=dict, max_length=_MAX_EVENT_KEYS)
    signing_key: str | None = None

    @model_validator(mode="after")
    def _signing_key_exists(self) -> Self:
        for key_id in self.keys:
            if not _KEY_ID.fullmatch(key_id):
                raise ValueError("a key id takes 1 to 64 characters of A-Z a-z 0-9 _ . : -")
        if self.signing_key is not None and self.signing_key not in self.keys:
            raise ValueError("signing_key must be one of the ids in keys")
        if self.signing_key is None and len(self.keys) > 1:
            raise ValueError("with two keys, name the one that signs as signing_key")
        return self


class KillSwitchSection(_Section):
    """`[kill_switch]`: the file whose existence stops all posting; `state_dir/kill_switch` by default."""

    file: Path | None = None


class ReportsSection(_Section):
    """`[reports]`: where reports go: `file` is a JSON-lines file, fsynced before a report counts as sent.

    `nats` is a stream on the bus of `[nats]`, acknowledged before a report counts as sent.
    """

    bus: Literal["file", "memory", "nats"] = "file"
    file: Path | None = None
    nats: ReportsNatsSection = ReportsNatsSection()


class TelemetrySection(_Section):
    """`[telemetry]`: where spans go. Without an address they are made and dropped."""

    otlp_endpoint: Annotated[str, _url("http", "https")] | None = None
    service_name: str = SERVICE_NAME


class BotSection(BaseModel):
    """`[bots."<entry point>"]`: `enabled`, and whatever the bot itself reads."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    enabled: Annotated[bool, Field(strict=True)] = True

    def members(self) -> Mapping[str, Any]:
        """Return the section as written, `enabled` included."""
        return MappingProxyType({"enabled": self.enabled, **(self.model_extra or {})})


class HostConfig(_Section):
    """The whole file."""

    host: HostSection
    exchange: ExchangeSection
    wallet: WalletSection = WalletSection()
    signer: SignerSection | None = None
    events: EventsSection = EventsSection()
    kill_switch: KillSwitchSection = KillSwitchSection()
    reports: ReportsSection = ReportsSection()
    admin: AdminSection = AdminSection()
    nats: NatsSection | None = None
    cluster: ClusterSection | None = None
    telemetry: TelemetrySection = TelemetrySection()
    sidecar: SidecarSection | None = None
    gates: GatesSection = GatesSection()
    bots: dict[str, BotSection] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _bus_is_named(self) -> Self:
        if self.reports.bus == "nats" and self.nats is None:
            raise ValueError('reports.bus "nats" needs a section [nats] with its servers')
        if self.cluster is not None and (self.nats is None or self.reports.bus != "nats"):
            raise ValueError('the section [cluster] needs [nats] with its servers, and reports.bus "nats"')
        if self.cluster is not None and sum(bot.enabled for bot in self.bots.values()) > 1:
            raise ValueError(
                "the section [cluster] takes one enabled bot; give each bot a cluster of its own"
            )
        return self

    @model_validator(mode="after")
    def _one_owner_of_heartbeats(self) -> Self:
        if self.cluster is not None and self.exchange.heartbeat:
            raise ValueError(
                "exchange.heartbeat was true beside [cluster]; hosts of one API key share one chain of "
                "heartbeats, so the living would hide a dead one: take it out, the leases watch over hosts"
            )
        return self

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        """The key is here or in a signer's process, never in both and never in neither."""
        wallet = self.wallet
        if self.signer is None and wallet.key is None:
            raise ValueError("wallet.key was missing; name its place there, or a signer as signer.socket")
        if self.signer is not None and (wallet.key or wallet.funder or wallet.signature_type):
            raise ValueError(
                "signer.socket was given beside wallet.key, funder or signature_type; the signer knows them, "
                "take them out"
            )
        return self

    @model_validator(mode="after")
    def _rules_own_their_strategies(self) -> Self:
        for name, section in self.bots.items():
            taken = [key for key in _overrides(section) if key.startswith(STRATEGY_PREFIX)]
            if self.sidecar is not None and taken:
                raise ValueError(
                    f'bots."{name}".overrides."{taken[0]}" stood beside [sidecar]; names with '
                    f"{STRATEGY_PREFIX!r} are its rules', so write limits there"
                )
        return self

    def members_of(self, bot: str) -> Mapping[str, Any]:
        """Return a bot's section as written; the plugin's with its rules' limits and its gate's override."""
        section = self.bots[bot]
        members = dict(section.members())
        if bot == BOT_ID and self.sidecar is not None:
            members["overrides"] = {**_overrides(section), **self.sidecar.overrides()}
        word = self.gates.word_for(members.get("mode", "shadow_only")) if bot == BOT_ID else None
        if word is not None:
            members["gate_override"] = {"who": word.who, "why": word.why}
        return MappingProxyType(members)

    @classmethod
    def from_members(
        cls, members: Mapping[str, Any], *, base_dir: Path | None = None, name: str = "config"
    ) -> Self:
        """Return the settings in `members`.

        Args:
            members: As `tomllib` gives them.
            base_dir: What relative paths are relative to; the working directory when None.
            name: What to call the source in an error.

        Raises:
            ConfigError: Every fault, one sentence each: path, value, rule.
        """
        try:
            config = cls.model_validate(members)
        except ValidationError as e:
            raise ConfigError(fault_list(name, e, members, cls)) from None
        return config.rooted(base_dir or Path.cwd())

    @property
    def kill_switch_file(self) -> Path:
        return self.kill_switch.file or self.host.state_dir / "kill_switch"

    @property
    def reports_file(self) -> Path:
        return self.reports.file or self.host.state_dir / "reports.jsonl"

    def rooted(self, base_dir: Path) -> Self:
        """Return the settings with their relative paths taken from `base_dir`."""

        def under(section: _Section, *names: str) -> _Section:
            paths = {name: value for name in names if (value := getattr(section, name)) is not None}
            return section.model_copy(update={name: base_dir / path for name, path in paths.items()})

        secrets = ("wallet", "events", "nats")
        return self.model_copy(
            update={
                **{name: rooted_secrets(getattr(self, name), base_dir) for name in secrets},
                "host": under(self.host, "state_dir"),
                "gates": self.gates.model_copy(
                    update={"junit": tuple(base_dir / path for path in self.gates.junit)}
                ),
                "signer": self.signer and under(self.signer, "socket"),
                "kill_switch": under(self.kill_switch, "file"),
                "reports": under(self.reports, "file"),
            }
        )


def _overrides(section: BotSection) -> Mapping[str, Any]:
    overrides = section.members().get("overrides")
    return overrides if isinstance(overrides, Mapping) else {}


def load_config(path: Path) -> HostConfig:
    """Return the settings in a TOML file.

    Raises:
        ConfigError: The file cannot be read, is not TOML, or has faults; all of them are listed.
    """
    members = read_toml(path)
    return HostConfig.from_members(members, base_dir=path.absolute().parent, name=str(path))
