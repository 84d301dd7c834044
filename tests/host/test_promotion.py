"""A mode that acts beside a real account: only with its gate passed, or with a word that is on record."""

from pathlib import Path
from typing import Any

import pytest
from support.eventually import eventually
from support.fake_host import NOW_MS
from support.long_runs import fills
from support.sidecar_stage import FAST, OWNER_KEY, PLUGIN, config_for, finals, sidecar_stage

from polytraders_pfh.core.gates import HOUR_MS
from polytraders_pfh.engine.journal import Kind
from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host import Host, HostConfig
from polytraders_pfh.host.sidecar.promotion import is_gated, require_gate
from polytraders_pfh.ops.sources import records

HOURLY = [NOW_MS + n * HOUR_MS for n in range(49)]
REAL = "https://clob.polymarket.com"


def config(mode: str, *, url: str = REAL, sidecar: bool = True, **gates: Any) -> HostConfig:
    return HostConfig.from_members(
        {
            "host": {"state_dir": "state"},
            "exchange": {"rest_url": url, "ws_url": "wss://ws.example"},
            "wallet": {"key": {"env": "PK"}},
            "gates": gates,
            "bots": {PLUGIN: {"mode": mode}},
            **({"sidecar": {}} if sidecar else {}),
        }
    )


def test_shadow_asks_for_nothing(tmp_path: Path) -> None:
    require_gate(config("shadow_only"), tmp_path, NOW_MS)


@pytest.mark.parametrize(
    ("mode", "gate"),
    [
        ("quarantine", "to_shadow"),
        ("limited_live", "to_limited_live"),
        ("general_live", "to_general_live"),
    ],
)
def test_a_mode_that_acts_is_refused_without_evidence_and_told_how_to_override(
    tmp_path: Path, mode: str, gate: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        require_gate(config(mode), tmp_path, NOW_MS)

    assert f"mode {mode} needs the gate {gate}, and it is not passed" in str(caught.value)
    assert f'[gates.override] mode = "{mode}"' in str(caught.value)


def test_the_journal_of_48_hours_in_shadow_opens_limited_live_and_no_more(tmp_path: Path) -> None:
    fills(tmp_path, "shadow_only", HOURLY)

    require_gate(config("limited_live"), tmp_path, HOURLY[-1])
    with pytest.raises(ConfigError, match="to_general_live"):
        require_gate(config("general_live"), tmp_path, HOURLY[-1])


def test_a_word_counts_for_the_mode_that_it_names(tmp_path: Path) -> None:
    word = {"mode": "limited_live", "who": "ann", "why": "ten small orders under my eyes"}

    require_gate(config("limited_live", override=word), tmp_path, NOW_MS)
    with pytest.raises(ConfigError):
        require_gate(config("general_live", override=word), tmp_path, NOW_MS)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ({"mode": "limited_live", "who": "ann"}, "gates.override.why was missing"),
        ({"mode": "limited_live", "who": " ", "why": "x"}, "gates.override.who"),
        ({"mode": "shadow_only", "who": "ann", "why": "x"}, "gates.override.mode was 'shadow_only'"),
    ],
)
def test_a_word_without_a_name_or_a_reason_is_none(override: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config("limited_live", override=override)

    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("url", "sidecar", "gated"),
    [
        (REAL, False, True),
        (REAL, True, True),
        ("http://127.0.0.1:8081", True, True),
        ("http://127.0.0.1:8081", False, False),
        ("http://[::1]:8081", False, False),
        ("http://localhost:8081", False, False),
        ("http://10.7.0.2:8081", False, False),
        ("http://8.8.8.8:8081", False, True),
    ],
)
def test_gates_hold_beside_an_account_and_wherever_the_exchange_may_be_real(
    url: str, sidecar: bool, gated: bool
) -> None:
    assert is_gated(config("general_live", url=url, sidecar=sidecar)) is gated


def test_a_host_without_the_plugin_has_no_gate() -> None:
    without = config("general_live").model_copy(update={"bots": {}})

    assert not is_gated(without)


async def test_a_host_whose_gate_is_shut_starts_no_bot_and_sends_nothing(tmp_path: Path) -> None:
    async with sidecar_stage(tmp_path) as s:
        order_id = await s.rests("BUY", "0.40", 100)
        sections: dict[str, Any] = {"sidecar": {}, "bots": {PLUGIN: {"mode": "general_live"}}}
        shut = config_for(s.server, tmp_path / "sidecar", **sections)
        with pytest.raises(ConfigError, match="to_general_live"):
            async with Host(shut, environ={"PK": OWNER_KEY}, timings=FAST):
                pass
        status = s.status(order_id)

    assert status == "LIVE"
    assert not (tmp_path / "sidecar" / "bots" / PLUGIN / "journal").exists()


async def test_an_override_stands_in_the_journal_before_anything_that_was_done_on_it(tmp_path: Path) -> None:
    rules = {"rules": [{"name": "all", "policy": "cancel"}]}
    async with sidecar_stage(tmp_path) as s:
        order_id = await s.rests("BUY", "0.40", 100)
        await s.trades("SELL", "0.50", 500)
        await s.trades("SELL", "0.40", 30)
        async with s.sidecar(rules, mode="general_live") as host:
            await eventually(lambda: order_id in finals(host), 20)
        status = s.status(order_id)
    kept = [record for _, record, _ in records(tmp_path / "sidecar")]

    word, sent = (
        next(number for number, record in enumerate(kept) if record.kind is kind)
        for kind in (Kind.COMMAND, Kind.CANCEL_STARTED)
    )
    assert status == "CANCELED"
    assert word < sent
    assert kept[word].facts == {
        "command": "override-gate",
        "actor": "ann",
        "peer": "config",
        "reason": "a test",
        "mode": "general_live",
    }
