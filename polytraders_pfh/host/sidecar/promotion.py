"""Acting with real money takes the mode in the config and its gate passed, or a person's word on record.

Asked before a bot is built, of the journal that its own shadow and live runs have left. The paper exchange on
this machine or this network asks nothing, unless a `[sidecar]` makes it the rehearsal of a real account.
"""

import ipaddress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from polytraders_pfh.config import BOT_ID, load_settings
from polytraders_pfh.core.gates import Override, refusal
from polytraders_pfh.core.modes import Mode
from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host.config import HostConfig
from polytraders_pfh.ops.gates import evaluate

_JOURNAL: Final = "journal"


def is_gated(config: HostConfig) -> bool:
    """Return whether modes that act need their gate here: beside a real account, or at a public address."""
    section = config.bots.get(BOT_ID)
    if section is None or not section.enabled:
        return False
    return config.sidecar is not None or not _is_near(urlsplit(config.exchange.rest_url).hostname or "")


def require_gate(config: HostConfig, state_dir: Path, now_ms: int) -> None:
    """Return when the plugin's mode may be run.

    Args:
        config: The mode, the reports of the tests, the override.
        state_dir: The plugin's own directory, with its journal.
        now_ms: By which the age of a run is measured.

    Raises:
        ConfigError: The gate is not passed and not overridden; says what is missing.
        JournalFailed: The journal cannot be read, or was altered.
        EvidenceError: A report of the tests cannot be read.
    """
    settings = load_settings(config.members_of(BOT_ID))
    mode = Mode(settings.mode)
    if mode is Mode.SHADOW_ONLY:
        return
    word = config.gates.word_for(settings.mode)
    journal = state_dir if (state_dir / _JOURNAL).exists() else None
    verdicts = () if word is not None else evaluate(journal, config.gates.junit, now_ms)
    why = refusal(mode, verdicts, None if word is None else Override(word.who, word.why))
    if why:
        raise ConfigError(
            f'{why}: [gates.override] mode = "{mode.value}", who = "...", why = "...", which goes on record'
        )


def _is_near(host: str) -> bool:
    """Return whether an address is this machine's or this network's: no real exchange is there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False
