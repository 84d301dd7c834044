"""Whether the config and the bots' sections of it are right, and the secrets where it says."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from polytraders_pfh.config import BOT_ID, load_settings
from polytraders_pfh.errors import ConfigError, PfhError
from polytraders_pfh.host.config import HostConfig, load_config
from polytraders_pfh.host.doctor.finding import Finding, right, skipped, warning, wrong
from polytraders_pfh.host.errors import SecretMissing
from polytraders_pfh.host.keys import EPHEMERAL_KEY_ID, read_credentials, read_event_keys, read_wallet
from polytraders_pfh.host.sidecar.promotion import is_gated, require_gate


def config(path: Path) -> tuple[HostConfig | None, Finding]:
    """Return the config, None when it has faults, and what was found."""
    try:
        read = load_config(path)
    except ConfigError as e:
        return None, wrong("config", e)
    return read, right("config", f"{path} has no fault")


def bot_sections(read: HostConfig) -> Iterator[Finding]:
    """Look at the section of each enabled bot."""
    enabled = [name for name, section in read.bots.items() if section.enabled]
    if not enabled:
        yield warning("bots", "the config enables none", f'add a section [bots."{BOT_ID}"]')
    for name in enabled:
        check = f"settings of {name}"
        if name != BOT_ID:
            yield skipped(check, "the bot itself reads them when it starts")
            continue
        try:
            settings = load_settings(read.members_of(name))
        except ConfigError as e:
            yield wrong(check, e)
            continue
        yield right(check, f"no fault; mode {settings.mode}")
        for sentence in settings.warnings():
            yield warning(check, sentence, "set it on purpose or mend it")


def gate(read: HostConfig, now_ms: int) -> Iterator[Finding]:
    """Look whether the mode's promotion gate is passed where one is asked for: without, no host starts."""
    if not is_gated(read):
        return
    try:
        mode = load_settings(read.members_of(BOT_ID)).mode
        require_gate(read, read.host.state_dir / "bots" / BOT_ID, now_ms)
    except PfhError as e:
        yield wrong("gate", e)
        return
    word = read.gates.word_for(mode)
    by = f"overridden by {word.who}: {word.why}" if word else "passed, or none is asked for"
    yield right("gate", f"of mode {mode}: {by}")


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
