"""`[sidecar]`: what becomes of other tools' orders, by rules in order; the first that fits decides."""

from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from polytraders_hookspecs import to_micro
from polytraders_hookspecs.events import BuilderCode, ConditionId, Side, TokenId
from polytraders_hookspecs.wire import read_amount, read_price
from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from polytraders_pfh.config import Remainder, Ticks
from polytraders_pfh.core.market import Side as CoreSide
from polytraders_pfh.core.order_rules import Rule, RuleBook
from polytraders_pfh.core.policy import Policy
from polytraders_pfh.host.config_file import Section

DEFAULT: Final = "default"
STRATEGY_PREFIX: Final = "rule."
_MAX_RULES: Final = 1_000


def _several(value: Any) -> Any:
    """One value may stand where several may."""
    return value if isinstance(value, list | tuple) else (value,)


_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
_Price = Annotated[Decimal, PlainValidator(read_price)]
_Shares = Annotated[Decimal, PlainValidator(read_amount)]
_Markets = Annotated[tuple[ConditionId, ...], BeforeValidator(_several), Field(min_length=1)]
_Tokens = Annotated[tuple[TokenId, ...], BeforeValidator(_several), Field(min_length=1)]
_Codes = Annotated[tuple[BuilderCode, ...], BeforeValidator(_several), Field(min_length=1)]


class RuleLimits(Section):
    """`limits`: the bot's parameters for orders of this rule; what is left out comes from its defaults."""

    min_remainder_size: Remainder | None = None
    chase_max_ticks: Ticks | None = None
    cancel_on_book_thin: Annotated[bool, Field(strict=True)] | None = None


class Outcome(Section):
    """What a rule leads to."""

    policy: Literal["hold", "cancel", "chase"] = "hold"
    allow_wide_chase: Annotated[bool, Field(strict=True)] = False
    limits: RuleLimits = RuleLimits()

    def override(self) -> dict[str, Any]:
        """Return it as one of the bot's overrides."""
        return {"default_policy": self.policy, **self.limits.model_dump(exclude_none=True)}


class RuleSection(Outcome):
    """One of `[[sidecar.rules]]`: conditions, all of which must hold, and what follows."""

    name: _Name
    policy: Literal["hold", "cancel", "chase"]
    market: _Markets | None = None
    token: _Tokens | None = None
    side: Side | None = None
    min_size_shares: _Shares | None = None
    max_size_shares: _Shares | None = None
    min_price: _Price | None = None
    max_price: _Price | None = None
    builder_code: _Codes | None = None

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        for what, least, most in (
            ("size_shares", self.min_size_shares, self.max_size_shares),
            ("price", self.min_price, self.max_price),
        ):
            if least is not None and most is not None and least > most:
                raise ValueError(f"min_{what} was {least}; it must not exceed max_{what} {most}")
        return self

    def rule(self) -> Rule:
        """Return it in millionths."""
        return Rule(
            name=self.name,
            policy=Policy(self.policy),
            allow_wide_chase=self.allow_wide_chase,
            market_ids=_set(self.market),
            token_ids=_set(self.token),
            side=None if self.side is None else CoreSide(self.side),
            min_size_micro=_micro(self.min_size_shares),
            max_size_micro=_micro(self.max_size_shares),
            min_price_micro=_micro(self.min_price),
            max_price_micro=_micro(self.max_price),
            builder_codes=_set(self.builder_code),
        )


class SidecarSection(Section):
    """`[sidecar]`: rules for orders without a strategy of their own.

    `builder_code` is what the account's other tools attach to their orders, which the exchange's records do
    not tell. Rules may ask for it, and chase orders carry it.
    """

    rules: Annotated[tuple[RuleSection, ...], Field(max_length=_MAX_RULES)] = ()
    default: Outcome = Outcome()
    builder_code: BuilderCode | None = None

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [rule.name for rule in self.rules]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two rules were named {twice!r}; give each a name of its own")
        if DEFAULT in names:
            raise ValueError(f"a rule was named {DEFAULT!r}; write it as [sidecar.{DEFAULT}]")
        return self

    def book(self) -> RuleBook:
        """Return the rules, in order."""
        default = Rule(DEFAULT, Policy(self.default.policy), self.default.allow_wide_chase)
        return RuleBook(tuple(rule.rule() for rule in self.rules), default)

    def overrides(self) -> dict[str, dict[str, Any]]:
        """Return each rule's parameters under its strategy's id, as the bot's config takes them."""
        named = {rule.name: rule.override() for rule in self.rules}
        return {strategy_id(name): override for name, override in named.items()} | {
            strategy_id(DEFAULT): self.default.override()
        }


def strategy_id(rule: str) -> str:
    """Return the strategy that orders of a rule count as."""
    return STRATEGY_PREFIX + rule


def _set(values: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)


def _micro(value: Decimal | None) -> int | None:
    return None if value is None else to_micro(value)
