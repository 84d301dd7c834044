"""Where a wallet's secrets are, in the host's config and in the signer's."""

import re
from typing import Annotated, Final, Self

from eth_utils.address import is_checksum_address
from pydantic import AfterValidator, model_validator

from polytraders_pfh.host.account import SignatureType
from polytraders_pfh.host.config_file import Section
from polytraders_pfh.host.secret import SecretSource

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError("use 0x and 40 hex digits")
    mixed = text[2:] not in {text[2:].lower(), text[2:].upper()}
    if mixed and not is_checksum_address(text):
        raise ValueError("a digit or a letter's case is wrong (EIP-55 checksum); copy the address again")
    return text


Address = Annotated[str, AfterValidator(_address)]


class ApiSection(Section):
    """`[wallet.api]`: the places of an API key, its secret and its passphrase."""

    key: SecretSource
    secret: SecretSource
    passphrase: SecretSource


class WalletSection(Section):
    """`[wallet]`: who trades. For signature types 1 to 3 `funder` is the wallet that holds the funds.

    `key` is the place of the private key; it stays out where a signer of its own process holds it.
    """

    signature_type: SignatureType = 0
    funder: Address | None = None
    key: SecretSource | None = None
    api: ApiSection | None = None

    @model_validator(mode="after")
    def _funder_fits(self) -> Self:
        if self.signature_type and self.funder is None:
            raise ValueError(f"signature_type {self.signature_type} needs funder, the wallet with the funds")
        return self
