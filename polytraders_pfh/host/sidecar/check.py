"""What a config means, in words: the bot's mode, the rules in order, and which one takes a given order."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from polytraders_hookspecs import from_micro, to_micro
from polytraders_hookspecs.events import BuilderCode, ConditionId, TokenId
from polytraders_hookspecs.wire import read_amount, read_price
from pydantic import TypeAdapter, ValidationError

from polytraders_pfh.config import BOT_ID, Settings, load_settings
from polytraders_pfh.core.market import Side
from polytraders_pfh.core.order_rules import Rule, RuleBook, Traits
from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host.config import HostConfig
from polytraders_pfh.host.sidecar.adoption import EXPIRES
from polytraders_pfh.host.sidecar.config import DEFAULT, SidecarSection, strategy_id
from polytraders_pfh.host.sidecar.promotion import is_gated

_NEEDED: Final = ("side", "price", "size")
_ANY_HASH: Final = "0x" + "0" * 64
_EXAMPLE: Final = "side=BUY,price=0.42,size=100,token=123"


def config_words(config: HostConfig) -> Iterator[str]:
    """Yield what the config means, a line each.

    Raises:
        ConfigError: The plugin's own section has faults.
    """
    if BOT_ID in config.bots:
        settings = load_settings(config.members_of(BOT_ID))
        yield f"{BOT_ID}: mode {settings.mode}" + ("" if settings.enabled else ", not enabled")
        yield from _gate_words(config, settings)
        yield from (f"  warning: {warning}" for warning in settings.warnings())
    else:
        yield f'{BOT_ID}: has no section [bots."{BOT_ID}"], so nothing looks after partial fills'
    if config.sidecar is None:
        yield "no [sidecar]: orders without a strategy follow the bot's default_policy"
        return
    yield from _rule_words(config.sidecar)


def order_words(section: SidecarSection, text: str) -> Iterator[str]:
    """Yield which rule takes an order, and why each one before it does not.

    Args:
        section: The rules.
        text: The order: `side=BUY,price=0.42,size=100` and, where rules ask, `market=`, `token=`, `builder=`,
            `expires=yes`.

    Raises:
        ConfigError: Names the part that cannot be read.
    """
    order = read_order(text)
    choice = section.book().choose(order)
    yield f"order {text}:"
    yield from (f"  not {name}: {reason}" for name, reason in choice.passed)
    policy = choice.rule.policy_for(order)
    held = f", since {order.unchaseable}" if policy is not choice.rule.policy else ""
    yield f"  taken by {choice.rule.name}: {policy.value}{held}; strategy {strategy_id(choice.rule.name)}"


def read_order(text: str) -> Traits:
    """Return the order in `name=value,name=value`.

    Raises:
        ConfigError: A part is missing, unknown or unreadable.
    """
    parts: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if name not in _READERS:
            raise ConfigError(f"--order had {part.strip()!r}; write {_EXAMPLE} ({', '.join(_READERS)})")
        try:
            parts[name] = _READERS[name](value.strip())
        except (ValueError, ValidationError):
            raise ConfigError(f"--order had {name} {value.strip()!r}; write it as in {_EXAMPLE}") from None
    missing = [name for name in _NEEDED if name not in parts]
    if missing:
        raise ConfigError(f"--order lacked {', '.join(missing)}; write {_EXAMPLE}")
    return Traits(
        market_id=parts.get("market", _ANY_HASH),
        token_id=parts.get("token", "0"),
        side=parts["side"],
        price_micro=to_micro(parts["price"]),
        size_micro=to_micro(parts["size"]),
        builder_code=parts.get("builder"),
        unchaseable=EXPIRES if parts.get("expires") else "",
    )


def _gate_words(config: HostConfig, settings: Settings) -> Iterator[str]:
    word = settings.gate_override
    if word is not None:
        yield f"  its gate is overridden by {word.who}: {word.why}; on record at every start"
    elif settings.mode != "shadow_only" and is_gated(config):
        yield "  it starts only when the gate of this mode is passed; see `polytraders-pfh gates`"


def _rule_words(section: SidecarSection) -> Iterator[str]:
    book = section.book()
    yield "orders without a strategy, the first rule that fits:"
    for number, (rule, written) in enumerate(zip(book.rules, section.rules, strict=True), 1):
        yield f"  {number}. {rule.name}: {_conditions(rule)} -> {_outcome(written.override(), rule)}"
    yield f"  otherwise {DEFAULT}: {_outcome(section.default.override(), book.default)}"
    yield from _warnings(section, book)


def _warnings(section: SidecarSection, book: RuleBook) -> Iterator[str]:
    for name, earlier in book.unreachable():
        yield f"  warning: {name} never takes an order, since {earlier} before it takes all of them"
    if section.builder_code is None and any(rule.builder_codes for rule in book.rules):
        yield (
            "  warning: the exchange's records do not tell builder codes; name what your tools attach as "
            "sidecar.builder_code, or such rules take only orders that this host signed"
        )


def _conditions(rule: Rule) -> str:
    words = [
        _listed("market", rule.market_ids),
        _listed("token", rule.token_ids),
        rule.side.value if rule.side else "",
        _range("size", rule.min_size_micro, rule.max_size_micro),
        _range("price", rule.min_price_micro, rule.max_price_micro),
        _listed("builder code", rule.builder_codes),
    ]
    return ", ".join(word for word in words if word) or "every order"


def _listed(what: str, values: Any) -> str:
    if not values:
        return ""
    return f"{what} {next(iter(values))[:12]}…" if len(values) == 1 else f"{len(values)} {what}s"


def _range(what: str, least: int | None, most: int | None) -> str:
    ends = (("from", least), ("to", most))
    words = [f"{word} {from_micro(end)}" for word, end in ends if end is not None]
    return " ".join([what, *words]) if words else ""


def _outcome(override: dict[str, Any], rule: Rule) -> str:
    limits = [f"{name} {_plain(value)}" for name, value in override.items() if name != "default_policy"]
    wide = ["wide chases allowed"] if rule.allow_wide_chase else []
    return ", ".join([rule.policy.value, *wide, *limits])


def _plain(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value).lower()


def _yes(text: str) -> bool:
    if text not in {"yes", "no"}:
        raise ValueError
    return text == "yes"


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "side": Side,
    "price": read_price,
    "size": read_amount,
    "market": TypeAdapter(ConditionId).validate_python,
    "token": TypeAdapter(TokenId).validate_python,
    "builder": TypeAdapter(BuilderCode).validate_python,
    "expires": _yes,
}
