"""The bot's settings: the card's parameters under their own names, locked bounds, overrides (SPEC 7).

The card's `default_config` loads unchanged. Unknown keys, wrong types and values out of bounds are
refused at start, all of them at once, each with its path, its value and its rule.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from polytraders_hookspecs.events import ConditionId
from polytraders_hookspecs.wire import read_amount, shown, to_micro
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, model_validator

from polytraders_pfh.core.policy import HARD_CHASE_TICKS, DepthSide, Limits, Policy
from polytraders_pfh.errors import ConfigError

BOT_ID: Final = "exec.partialfillhandler"
_HARD_MIN_REMAINDER: Final = 1
_WARN_MIN_REMAINDER: Final = 2
_WARN_CHASE_TICKS: Final = 5

Mode = Literal["shadow_only", "quarantine", "limited_live", "general_live"]
MODES: Final[tuple[Mode, ...]] = ("shadow_only", "quarantine", "limited_live", "general_live")

Usd = Annotated[Decimal, PlainValidator(read_amount)]
Remainder = Annotated[Usd, Field(ge=_HARD_MIN_REMAINDER)]
Ticks = Annotated[int, Field(ge=0, le=HARD_CHASE_TICKS)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Defaults(_Section):
    """The card's four parameters."""

    default_policy: Literal["hold", "cancel", "chase"] = "hold"
    min_remainder_size: Remainder = Decimal(5)
    chase_max_ticks: Ticks = 3
    cancel_on_book_thin: bool = True


class LockedMinimum(_Section):
    """A lower bound that no config and no strategy crosses."""

    min: Remainder = Decimal(_HARD_MIN_REMAINDER)


class LockedMaximum(_Section):
    """An upper bound that no config and no strategy crosses."""

    max: Ticks = HARD_CHASE_TICKS


class Locked(_Section):
    """The card's locked bounds. A config may draw them tighter, never wider."""

    min_remainder_size: LockedMinimum = LockedMinimum()
    chase_max_ticks: LockedMaximum = LockedMaximum()


class Execution(_Section):
    """Bounds of the work itself; every table, queue and retry has its number here."""

    max_in_flight: Annotated[int, Field(ge=1, le=10_000)] = 50
    resume_in_flight: Annotated[int, Field(ge=1)] = 40
    timeout_ms: Annotated[int, Field(ge=1, le=60_000)] = 300
    call_timeout_ms: Annotated[int, Field(ge=1, le=60_000)] = 2_000
    cancel_retries: Annotated[int, Field(ge=0, le=10)] = 2
    read_retries: Annotated[int, Field(ge=0, le=10)] = 3
    backoff_ms: Annotated[int, Field(ge=1, le=60_000)] = 50
    trades_back_ms: Annotated[int, Field(ge=1_000, le=86_400_000)] = 900_000
    reconcile_every_ms: Annotated[int, Field(ge=1, le=600_000)] = 1_000
    replay_past_ms: Annotated[int, Field(ge=1, le=600_000)] = 5_000
    replay_future_ms: Annotated[int, Field(ge=0, le=60_000)] = 1_000
    seen_events: Annotated[int, Field(ge=16, le=10_000_000)] = 10_000
    max_intents: Annotated[int, Field(ge=1, le=10_000_000)] = 200_000
    max_decision_reports: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    max_pending_reports: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    tombstone_ms: Annotated[int, Field(ge=0, le=3_600_000)] = 30_000
    cancel_batch: Annotated[int, Field(ge=1, le=1_000)] = 100

    @model_validator(mode="before")
    @classmethod
    def _resume_within_a_small_bound(cls, section: Any) -> Any:
        """A bound below the default hysteresis draws that down with it."""
        if isinstance(section, Mapping) and "resume_in_flight" not in section:
            most = section.get("max_in_flight")
            if type(most) is int and 0 < most < cls.model_fields["resume_in_flight"].default:
                return {**section, "resume_in_flight": most}
        return section

    @model_validator(mode="after")
    def _hysteresis(self) -> Self:
        if self.resume_in_flight > self.max_in_flight:
            raise ValueError(
                f"resume_in_flight was {self.resume_in_flight}; it must not exceed max_in_flight = "
                f"{self.max_in_flight}"
            )
        return self


class Book(_Section):
    """What a book must be like to be looked at."""

    levels: Annotated[int, Field(ge=1, le=100)] = 5
    max_age_ms: Annotated[int, Field(ge=1, le=600_000)] = 1_500
    depth_side: Literal["contra", "own"] = "contra"
    default_min_shares: Usd = Decimal(5)
    fill_rate_window_ms: Annotated[int, Field(ge=1_000, le=3_600_000)] = 60_000
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 5_000


class Chase(_Section):
    """The chase budget of one intent: whichever is spent first ends the chase; the remainder then rests."""

    max_reposts: Annotated[int, Field(ge=0, le=1_000)] = 5
    max_seconds: Annotated[int, Field(ge=0, le=86_400)] = 120
    max_extra_usd: Usd | None = None
    closing_margin_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 5_000


class LimitedLive(_Section):
    """Where `limited_live` acts: on these markets, and up to this much pUSD per chase."""

    markets: tuple[ConditionId, ...] = ()
    max_chase_usd: Usd = Decimal(50)


class JournalSettings(_Section):
    """Where the log stands. `durable = false` keeps it in memory: after a crash only the exchange knows."""

    durable: bool = True


class Override(_Section):
    """One strategy's own parameters; what is left out comes from `defaults`."""

    default_policy: Literal["hold", "cancel", "chase"] | None = None
    min_remainder_size: Remainder | None = None
    chase_max_ticks: Ticks | None = None
    cancel_on_book_thin: bool | None = None


class GateOverride(_Section):
    """Who overrode the promotion gate of `mode`, and why. The host decides whether one is needed."""

    who: Annotated[str, Field(min_length=1, max_length=200)]
    why: Annotated[str, Field(min_length=1, max_length=200)]


class Settings(_Section):
    """Everything that can be set, validated once."""

    bot_id: Literal["exec.partialfillhandler"] = BOT_ID
    version: str = "0.1.0"
    enabled: bool = True
    mode: Mode = "shadow_only"
    gate_override: GateOverride | None = None
    defaults: Defaults = Defaults()
    locked: Locked = Locked()
    execution: Execution = Execution()
    book: Book = Book()
    chase: Chase = Chase()
    limited_live: LimitedLive = LimitedLive()
    journal: JournalSettings = JournalSettings()
    overrides: dict[str, Override] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _inside_locked_bounds(self) -> Self:
        floor, ceiling = self.locked.min_remainder_size.min, self.locked.chase_max_ticks.max
        sections: dict[str, Defaults | Override] = {"defaults": self.defaults}
        sections |= {f"overrides.{name}": override for name, override in self.overrides.items()}
        faults = []
        for path, section in sections.items():
            if section.min_remainder_size is not None and section.min_remainder_size < floor:
                faults.append(
                    f"{path}.min_remainder_size was {section.min_remainder_size}; "
                    f"locked.min_remainder_size.min is {floor}"
                )
            if section.chase_max_ticks is not None and section.chase_max_ticks > ceiling:
                faults.append(
                    f"{path}.chase_max_ticks was {section.chase_max_ticks}; "
                    f"locked.chase_max_ticks.max is {ceiling}"
                )
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def warnings(self) -> tuple[str, ...]:
        """Return a sentence for each value past the card's warning threshold."""
        found = []
        sections: dict[str, Defaults | Override] = {"defaults": self.defaults}
        sections |= {f"overrides.{name}": override for name, override in self.overrides.items()}
        for path, section in sections.items():
            smallest, ticks = section.min_remainder_size, section.chase_max_ticks
            if smallest is not None and smallest < _WARN_MIN_REMAINDER:
                found.append(
                    f"{path}.min_remainder_size is {smallest}: below {_WARN_MIN_REMAINDER} pUSD the cost "
                    "of a fill exceeds what it is worth"
                )
            if ticks is not None and ticks > _WARN_CHASE_TICKS:
                found.append(
                    f"{path}.chase_max_ticks is {ticks}: beyond {_WARN_CHASE_TICKS} ticks the remainder "
                    "costs much more than was intended"
                )
        return tuple(found)

    def limits(self, strategy_id: str | None = None) -> Limits:
        """Return the parameters in force for a strategy, in the core's own units."""
        over = self.overrides.get(strategy_id, Override()) if strategy_id is not None else Override()
        base = self.defaults
        smallest = base.min_remainder_size if over.min_remainder_size is None else over.min_remainder_size
        ticks = base.chase_max_ticks if over.chase_max_ticks is None else over.chase_max_ticks
        thin = base.cancel_on_book_thin if over.cancel_on_book_thin is None else over.cancel_on_book_thin
        extra = self.chase.max_extra_usd
        return Limits(
            default_policy=Policy(over.default_policy or base.default_policy),
            min_remainder_usd_micro=to_micro(smallest),
            chase_max_ticks=ticks,
            cancel_on_book_thin=thin,
            depth_levels=self.book.levels,
            depth_side=DepthSide(self.book.depth_side),
            max_book_age_ms=self.book.max_age_ms,
            closing_margin_ms=self.chase.closing_margin_ms,
            chase_max_reposts=self.chase.max_reposts,
            chase_max_seconds=self.chase.max_seconds,
            chase_max_extra_usd_micro=None if extra is None else to_micro(extra),
        )


def load_settings(section: Mapping[str, Any]) -> Settings:
    """Return validated settings from the bot's section of the host's config.

    Raises:
        ConfigError: One sentence per fault, each with path, value and rule.
    """
    try:
        return Settings.model_validate(_tuples(section))
    except ValidationError as e:
        faults = [
            _fault_sentence(fault, section) for fault in e.errors(include_url=False, include_input=False)
        ]
        raise ConfigError("\n".join(faults)) from None


def _tuples(value: Any) -> Any:
    """Return a config value with its lists as tuples, since strict models want what they declare."""
    if isinstance(value, Mapping):
        return {key: _tuples(member) for key, member in value.items()}
    return tuple(_tuples(member) for member in value) if isinstance(value, list) else value


def _fault_sentence(fault: Any, section: Mapping[str, Any]) -> str:
    path = ".".join(str(part) for part in fault["loc"])
    message = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        return f"{path} is not a setting; remove it or mend its name"
    if message.startswith("was "):
        return f"{path} {message}"
    if fault["type"] == "value_error":
        return f"{path}.{message}" if path else message
    value: Any = section
    for part in fault["loc"]:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            break
    return f"{path} was {shown(value)}; {message[0].lower()}{message[1:]}"
