"""Whether the config and the bots' sections of it are right, and the secrets where it says."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from polytraders_pfh.config import BOT_ID, load_settings
from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host.config import HostConfig, load_config
from polytraders_pfh.host.doctor.finding import Finding, right, skipped, warning, wrong
from polytraders_pfh.host.errors import SecretMissing
from polytraders_pfh.host.keys import EPHEMERAL_KEY_ID, read_credentials, read_event_keys, read_wallet


def config(path: Path) -> tuple[HostConfig | None, Finding]:
    """Return the config, None when it has faults, and what was found."""
    try:
        read = load_config(path)
    except ConfigError as e:
        return None, wrong("config", e)
    return read, right("config", f"{path} has no fault")


def bot_sections(read: HostConfig) -> Iterator[Finding]:
    """Look at the section of each enabled bot."""
    enabled = {name: section for name, section in read.bots.items() if section.enabled}
    if not enabled:
        yield warning("bots", "the config enables none", f'add a section [bots."{BOT_ID}"]')
    for name, section in enabled.items():
        check = f"settings of {name}"
        if name != BOT_ID:
            yield skipped(check, "the bot itself reads them when it starts")
            continue
        try:
            settings = load_settings(section.members())
        except ConfigError as e:
            yield wrong(check, e)
            continue
        yield right(check, f"no fault; mode {settings.mode}")
        for sentence in settings.warnings():
            yield warning(check, sentence, "set it on purpose or mend it")


def secrets(read: HostConfig, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look into each place of a secret; what stands there is not part of any finding."""
    if read.signer is None:
        try:
            wallet = read_wallet(read.wallet, read.exchange.chain_id, environ)
        except SecretMissing as e:
            yield wrong("wallet", e)
        else:
            yield right("wallet", f"{wallet.address} trades for {wallet.maker} on chain {wallet.chain_id}")
    try:
        given = read_credentials(read.wallet, environ)
    except SecretMissing as e:
        yield wrong("API credentials", e)
    else:
        told = "in their places" if given else "derived from the wallet at every start"
        yield right("API credentials", told)
    try:
        keys, signing = read_event_keys(read.events, environ)
    except SecretMissing as e:
        yield wrong("event keys", e)
        return
    if EPHEMERAL_KEY_ID in keys:
        yield right("event keys", "none configured; one is made up at every start and dies with the host")
    else:
        yield right("event keys", f"{', '.join(keys)}; {signing.key_id} signs")
