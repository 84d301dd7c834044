"""Exact JSON: numbers never pass through binary floating point, on the way in or on the way out.

Reading refuses what lenient parsers let through: duplicate keys, NaN and Infinity, exponents out of
range, digits that are not ASCII, underscores, booleans standing for numbers, more than six decimals.
Writing prints a Decimal as a JSON number, as the card's examples do (`250`, `0.62`).

Money and sizes have at most 12 integer digits and 6 decimals: 18 digits, which is why a double will
not do. Prices lie strictly between 0 and 1.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Annotated, Any, ClassVar, Final, Self, cast

import jiter
from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError, WithJsonSchema
from pydantic_core import to_json

from polytraders_hookspecs.errors import WireError

MAX_BODY_BYTES: Final = 64 * 1024
MICRO: Final = 1_000_000

_AMOUNT_TEXT: Final = re.compile(r"(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,6})?", re.ASCII)
_AMOUNT_RULE: Final = (
    "write a plain decimal number, not negative, with at most 12 digits before the point and 6 behind it"
)
_PRICE_RULE: Final = "write a decimal number above 0 and below 1 with at most 6 digits behind the point"
_MAX_FIGURE_DIGITS: Final = 40
_MAX_PRINTED_DIGITS: Final = 100_000
_ONE: Final = Decimal(1)
_ZERO: Final = Decimal(0)
_BEYOND: Final = Decimal(10**12)
_SMALLEST: Final = Decimal("0.000001")
_SHOWN_CHARACTERS: Final = 60
_DUPLICATE: Final = re.compile(r'Detected duplicate key "(.*)" at line', re.DOTALL)


def read_amount(value: Any) -> Decimal:
    """Return a non-negative amount exactly as it was written.

    Args:
        value: JSON number (Decimal or int after `read_json`), text, Decimal or int. Never a float.

    Raises:
        ValueError: The value, and the rule it broke.
    """
    kind = type(value)
    if kind is Decimal:
        amount = value
    elif kind is int:
        amount = Decimal(value)
    elif kind is str and _AMOUNT_TEXT.fullmatch(value):
        return Decimal(value)
    else:
        raise ValueError(f"was {shown(value)} ({kind.__name__}); {_AMOUNT_RULE}")
    if not amount.is_finite() or not _ZERO <= amount < _BEYOND or amount % _SMALLEST:
        raise ValueError(f"was {shown(value)}; {_AMOUNT_RULE}")
    return amount or _ZERO


def read_price(value: object) -> Decimal:
    """Return a price strictly between 0 and 1, exactly as it was written.

    Raises:
        ValueError: The value, and the rule it broke.
    """
    try:
        price = read_amount(value)
    except ValueError:
        price = _ZERO
    if not _ZERO < price < _ONE:
        raise ValueError(f"was {shown(value)}; {_PRICE_RULE}")
    return price


def read_figure(value: object) -> Decimal:
    """Return a signed figure that is reported and never traded on, such as ticks or seconds.

    Raises:
        ValueError: The value, and the rule it broke.
    """
    if type(value) is Decimal:
        if not _unwieldy(value, _MAX_FIGURE_DIGITS):
            return value
    elif type(value) is int and abs(value) < _BEYOND:
        return Decimal(value)
    raise ValueError(f"was {shown(value)}; write a finite decimal number of moderate length")


def _unwieldy(number: Decimal, digits: int) -> bool:
    """Return whether a number is not finite, or longer in plain digits than this on either side."""
    exponent = number.as_tuple().exponent
    return not isinstance(exponent, int) or number.adjusted() >= digits or -exponent > digits


def read_integer(value: object) -> int:
    """Return a non-negative integer below 2^63; text and booleans are refused.

    Raises:
        ValueError: The value, and the rule it broke.
    """
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"was {shown(value)}; write a whole number from 0 to 2^63 - 1")
    return value


Amount = Annotated[Decimal, PlainValidator(read_amount), WithJsonSchema({"type": "number", "minimum": 0})]
"""A non-negative exact amount: pUSD in fields ending `_usd`, shares in fields ending `_shares`."""

Price = Annotated[
    Decimal,
    PlainValidator(read_price),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}),
]
"""A price in pUSD per share, strictly between 0 and 1."""

Figure = Annotated[Decimal, PlainValidator(read_figure), WithJsonSchema({"type": "number"})]
"""A signed exact figure for people and dashboards, such as ticks or seconds."""

Millis = Annotated[int, PlainValidator(read_integer), WithJsonSchema({"type": "integer", "minimum": 0})]
"""Milliseconds since 1970-01-01 UTC, or a duration in milliseconds."""


def to_micro(amount: Decimal) -> int:
    """Return an exact amount as an integer count of millionths.

    Raises:
        ValueError: The amount has more than six decimals, or is not finite.
    """
    if amount.is_finite():
        numerator, denominator = amount.as_integer_ratio()
        micro, rest = divmod(numerator * MICRO, denominator)
        if not rest:
            return micro
    raise ValueError(f"was {shown(amount)}; {_AMOUNT_RULE}")


def from_micro(micro: int) -> Decimal:
    """Return a count of millionths as the shortest exact Decimal (250000000 is 250, never 2.5E+2)."""
    whole, rest = divmod(abs(micro), MICRO)
    size = Decimal(whole) if not rest else Decimal(f"{whole}.{rest:06d}".rstrip("0"))
    return size if micro >= 0 else -size


def shown(value: object) -> str:
    """Return a value for an error message: short, and on one line."""
    try:
        text = repr(str(value)) if isinstance(value, str | Decimal) else repr(value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} too long to show"
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def read_json(body: bytes, limit: int = MAX_BODY_BYTES) -> Any:
    """Return the JSON value in `body`, its fractions as Decimal, its integers as int.

    The parser never recurses on the C stack without a limit, so deep text crashes nothing.

    Raises:
        WireError: Too long (over `limit` bytes), not UTF-8, not JSON, too deep, a duplicate key, or half of a
            surrogate pair.
    """
    if len(body) > limit:
        raise WireError(f"the body was {len(body)} bytes; send at most {limit}")
    try:
        return jiter.from_json(body, float_mode="decimal", catch_duplicate_keys=True)
    except ValueError as e:
        raise WireError(_json_fault(str(e))) from None


def _json_fault(fault: str) -> str:
    """Return the parser's complaint as a sentence that says what to do."""
    duplicate = _DUPLICATE.match(fault)
    if duplicate:
        return f"field {shown(duplicate[1])} stands twice in one object; write each field once"
    if fault.startswith("recursion limit"):
        return "the body was nested too deeply; send a flat object"
    if "InvalidOperation" in fault or fault.startswith("number out of range"):
        return f"a JSON number was out of range; {_AMOUNT_RULE}"
    return f"the body was not JSON ({fault}); send one JSON object in UTF-8"


def _print_decimal(value: Decimal) -> str:
    text = str(value)
    if "E" in text or len(text) > _MAX_PRINTED_DIGITS or not text[-1].isdigit():
        if _unwieldy(value, _MAX_PRINTED_DIGITS):
            raise WireError(f"a value was {shown(value)}; it has no exact JSON form of moderate length")
        text = format(value, "f")
    return text.rstrip("0").rstrip(".") if text[-1] == "0" and "." in text else text


def _print_sequence(values: tuple[Any, ...]) -> str:
    return "[" + ",".join([print_json(value) for value in values]) + "]"


def _print_object(members: dict[str, Any]) -> str:
    return "{" + ",".join([f"{_print_key(key)}:{print_json(value)}" for key, value in members.items()]) + "}"


def _print_key(key: object) -> str:
    if not isinstance(key, str):
        raise WireError(f"a field name was {shown(key)} ({type(key).__name__}); use text")
    return encode_basestring_ascii(key)


_PRINTERS: dict[type, Callable[[Any], str]] = {
    str: encode_basestring_ascii,
    int: str,
    Decimal: _print_decimal,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
    tuple: _print_sequence,
    list: _print_sequence,
    dict: _print_object,
}


def print_json(value: Any) -> str:
    """Return a value as JSON text: Decimals as exact JSON numbers, models by their set fields.

    Raises:
        WireError: A type with no exact JSON form, such as float.
    """
    printer = _PRINTERS.get(type(value))
    if printer is not None:
        return printer(value)
    if isinstance(value, WireModel):
        return value.print()
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    raise WireError(f"a value was {shown(value)} ({type(value).__name__}); it has no exact JSON form")


def print_members(members: dict[str, Any]) -> str:
    """Return an object with these members as JSON text, in their order.

    Raises:
        WireError: A value has no exact JSON form.
    """
    printers = _PRINTERS
    texts = [printers.get(type(value), print_json)(value) for value in members.values()]
    return _template(tuple(members)) % tuple(texts)


def flat_json(members: dict[str, Any], numbers: dict[str, Decimal]) -> bytes:
    """Return one object of `members` (texts, integers, booleans, lists) and exact `numbers`, as JSON.

    `members` go through pydantic's own serialiser, which is several times faster than `print_members`
    and would write a Decimal as a text; the numbers are printed exactly and stand last.

    Raises:
        WireError: A number has no exact JSON form of moderate length.
    """
    printed = "".join([f',"{name}":{_print_decimal(value)}' for name, value in numbers.items()])
    return to_json(members)[:-1] + (printed if members else printed[1:]).encode("ascii") + b"}"


@lru_cache(maxsize=1024)
def _template(names: tuple[str, ...]) -> str:
    """Return the text of an object with these names, with a %s for each value."""
    keys = [encode_basestring_ascii(name).replace("%", "%%") for name in names]
    return "{" + ",".join([f"{key}:%s" for key in keys]) + "}"


class WireModel(BaseModel):
    """A frozen message with exact numbers. Fields that are None are absent from its JSON."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, hide_input_in_errors=True)

    _blank: ClassVar[dict[str, Any]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls._blank = {name: field.default for name, field in cls.model_fields.items()}

    @classmethod
    def from_checked(cls, members: dict[str, Any]) -> Self:
        """Return the message with these members without validating them again.

        Only for members that were computed from validated values: nothing is checked, nothing is
        converted, and every required field must be there. Twice as fast as validating.
        """
        model = cls.__new__(cls)
        object.__setattr__(model, "__dict__", cls._blank | members)
        object.__setattr__(model, "__pydantic_fields_set__", set(members))
        object.__setattr__(model, "__pydantic_extra__", None)
        object.__setattr__(model, "__pydantic_private__", None)
        return model

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Return the message in `body`.

        Raises:
            WireError: Names the field, its value and the rule.
        """
        return cls.from_members(read_json(body))

    @classmethod
    def from_members(cls, members: object) -> Self:
        """Return the message with these members, as `read_json` gives them.

        Raises:
            WireError: Names the field, its value and the rule.
        """
        if type(members) is not dict:
            raise WireError(f"{cls.__name__} was {shown(members)}; send one JSON object")
        try:
            return cast(Self, cls.__pydantic_validator__.validate_python(members))
        except ValidationError as e:
            raise WireError(_sentence(cls.__name__, e, members)) from None

    def print(self) -> str:
        """Return the message as JSON text, in field order, without absent fields."""
        return print_members({name: value for name, value in self.__dict__.items() if value is not None})

    def to_json(self) -> bytes:
        """Return the message as JSON bytes."""
        return self.print().encode("ascii")


def _sentence(name: str, error: ValidationError, members: dict[str, Any]) -> str:
    """Return the first fault as one sentence: message, field, value, rule."""
    fault = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(str(part) for part in fault["loc"]) or "(the object)"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "missing":
        return f"{name}.{path} was missing; it is required"
    if message.startswith("was "):
        return f"{name}.{path} {message}"
    value: Any = members
    for part in fault["loc"]:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            break
    rule = message[0].lower() + message[1:]
    return f"{name}.{path} was {shown(value)}; {rule}"
