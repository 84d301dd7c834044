"""The signer's own settings: its socket, its key's place, its limits. It trusts no host's config."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from polytraders_hookspecs import to_micro
from polytraders_hookspecs.events import BuilderCode, Side, TokenId
from polytraders_hookspecs.orders import ZERO_BYTES32
from polytraders_hookspecs.wire import read_amount, read_price
from pydantic import Field, PlainValidator, ValidationError, model_validator

from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host.config_faults import fault_list
from polytraders_pfh.host.config_file import Section, read_toml
from polytraders_pfh.host.secret import rooted_secrets
from polytraders_pfh.host.signing.limits import SigningLimits
from polytraders_pfh.host.wallet_config import WalletSection

_ANY: Final = "any"
_Price = Annotated[Decimal, PlainValidator(read_price)]
_Shares = Annotated[Decimal, PlainValidator(read_amount)]


class SocketSection(Section):
    """`[signer]`: where it listens, and for which chain it signs."""

    socket: Path
    chain_id: Literal[137, 80002] = 137
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class LimitsSection(Section):
    """`[limits]`: what is signed at most. `tokens = "any"` has to be written to allow every token."""

    tokens: Annotated[tuple[TokenId, ...], Field(min_length=1, max_length=10_000)] | Literal["any"]
    max_size_shares: _Shares
    orders_per_minute: Annotated[int, Field(ge=1, le=10_000, strict=True)]
    sides: Annotated[tuple[Side, ...], Field(min_length=1)] = ("BUY", "SELL")
    min_price: _Price = Decimal("0.0001")
    max_price: _Price = Decimal("0.9999")
    builder_codes: tuple[BuilderCode, ...] = (ZERO_BYTES32,)

    @model_validator(mode="after")
    def _band(self) -> Self:
        if self.min_price > self.max_price:
            raise ValueError(f"min_price was {self.min_price}; it must not exceed max_price {self.max_price}")
        return self

    def limits(self) -> SigningLimits:
        """Return them in millionths."""
        return SigningLimits(
            tokens=None if self.tokens == _ANY else frozenset(self.tokens),
            max_size_micro=to_micro(self.max_size_shares),
            orders_per_minute=self.orders_per_minute,
            sides=frozenset(self.sides),
            min_price_micro=to_micro(self.min_price),
            max_price_micro=to_micro(self.max_price),
            builder_codes=frozenset(self.builder_codes),
        )


class SignerConfig(Section):
    """The whole file."""

    signer: SocketSection
    wallet: WalletSection
    limits: LimitsSection

    @model_validator(mode="after")
    def _key_alone(self) -> Self:
        if self.wallet.key is None:
            raise ValueError('wallet.key was missing; name its place, { env = "NAME" } or { file = "/path" }')
        if self.wallet.api is not None:
            raise ValueError("wallet.api was given; API credentials belong to the host alone, take them out")
        return self


def load_signer_config(path: Path) -> SignerConfig:
    """Return the settings in a TOML file; relative paths start where the file lies.

    Raises:
        ConfigError: The file cannot be read, is not TOML, or has faults; all of them are listed.
    """
    members = read_toml(path)
    try:
        config = SignerConfig.model_validate(members)
    except ValidationError as e:
        raise ConfigError(fault_list(str(path), e, members, SignerConfig)) from None
    base = path.absolute().parent
    socket = config.signer.model_copy(update={"socket": base / config.signer.socket})
    return config.model_copy(update={"signer": socket, "wallet": rooted_secrets(config.wallet, base)})
