"""Reading the secrets that the config points at: event keys and API credentials."""

import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from polytraders_hookspecs import Clock
from polytraders_hookspecs.signing import MIN_KEY_BYTES

from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host.account import KeyHolder
from polytraders_pfh.host.auth import ApiCredentials
from polytraders_pfh.host.config import EventsSection, HostConfig
from polytraders_pfh.host.dispatch import EventSigner
from polytraders_pfh.host.errors import SecretMissing
from polytraders_pfh.host.signer import WalletSigner
from polytraders_pfh.host.signing.client import SocketSigner
from polytraders_pfh.host.wallet import Wallet
from polytraders_pfh.host.wallet_config import WalletSection

EPHEMERAL_KEY_ID: Final = "host-ephemeral"


async def key_holder(config: HostConfig, environ: Mapping[str, str], clock: Clock) -> KeyHolder:
    """Return who signs: a wallet in this process, or the signer whose socket the config names.

    Raises:
        SecretMissing: The key is absent or no key, or the funder does not fit.
        SignerAway: The signer does not answer.
        ConfigError: It signs for another chain.
    """
    chain_id = config.exchange.chain_id
    if config.signer is None:
        return WalletSigner(read_wallet(config.wallet, chain_id, environ), clock)
    signer = await SocketSigner.connect(config.signer.socket)
    if signer.chain_id != chain_id:
        raise ConfigError(
            f"exchange.chain_id was {chain_id}, and the signer at {config.signer.socket} signs for chain "
            f"{signer.chain_id}; give both the same"
        )
    return signer


def read_wallet(section: WalletSection, chain_id: int, environ: Mapping[str, str]) -> Wallet:
    """Return the wallet, its key read once.

    Raises:
        SecretMissing: The key is absent or no key, or the funder does not fit.
    """
    if section.key is None:
        raise SecretMissing('wallet.key was missing; name its place, { env = "NAME" } or { file = "/path" }')
    return Wallet(
        section.key.read(environ),
        chain_id=chain_id,
        signature_type=section.signature_type,
        funder=section.funder,
    )


def read_credentials(section: WalletSection, environ: Mapping[str, str]) -> ApiCredentials | None:
    """Return the configured API credentials, or None when they are to be derived from the wallet.

    Raises:
        SecretMissing: A part is absent.
    """
    api = section.api
    if api is None:
        return None
    return ApiCredentials(
        api.key.read(environ).reveal(), api.secret.read(environ), api.passphrase.read(environ)
    )


def read_event_keys(
    section: EventsSection, environ: Mapping[str, str]
) -> tuple[Mapping[str, bytes], EventSigner]:
    """Return the active event keys, and the signer that uses one of them.

    Without configured keys one is made up; events signed with it mean nothing after a restart.

    Raises:
        SecretMissing: A key is absent, not hex, or shorter than 32 bytes.
    """
    sources = section.keys.items()
    keys = {key_id: _event_key(key_id, source.read(environ).reveal()) for key_id, source in sources}
    if not keys:
        keys = {EPHEMERAL_KEY_ID: secrets.token_bytes(MIN_KEY_BYTES)}
    signing = section.signing_key or next(iter(keys))
    return MappingProxyType(keys), EventSigner(signing, keys[signing])


def _event_key(key_id: str, text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) < MIN_KEY_BYTES:
        raise SecretMissing(f"event key {key_id!r} was no {2 * MIN_KEY_BYTES} or more hex digits") from None
    return key
