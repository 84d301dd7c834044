import os
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host.config import HostConfig, load_config
from polytraders_pfh.host.errors import SecretMissing
from polytraders_pfh.host.secret import Secret, SecretSource

GOOD: dict[str, Any] = {
    "host": {"state_dir": "state"},
    "exchange": {"rest_url": "https://clob.example/", "ws_url": "wss://ws.example/ws"},
    "wallet": {"key": {"env": "PK"}},
}
PRIVATE_KEY = "0x" + "5e" * 32


def changed(path: str, value: Any) -> dict[str, Any]:
    """GOOD with the member at a dotted path replaced."""
    first, _, rest = path.partition(".")
    section = dict(GOOD.get(first, {}))
    section[rest] = value
    return {**GOOD, first: section} if rest else {**GOOD, first: value}


def refusal(members: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        HostConfig.from_members(members)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_a_minimal_file_gets_safe_defaults(tmp_path: Path) -> None:
    config = HostConfig.from_members(GOOD, base_dir=tmp_path)

    assert config.host.http_host == "127.0.0.1"
    assert config.exchange.chain_id == 137
    assert config.exchange.heartbeat is False
    assert config.exchange.rest_url == "https://clob.example"
    assert config.kill_switch_file == tmp_path / "state" / "kill_switch"
    assert config.reports_file == tmp_path / "state" / "reports.jsonl"
    assert config.bots == {}


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("host.http_port", 70000, "host.http_port was 70000; use less than or equal to 65535"),
        ("host.http_port", "80", "host.http_port was '80'; use a valid integer"),
        ("host.http_host", "0.0.0.0", "host.http_host was '0.0.0.0'; use '127.0.0.1', '::1' or 'localhost'"),
        ("exchange.chain_id", 1, "exchange.chain_id was 1; use 137 or 80002"),
        ("exchange.rest_url", "ftp://x", "exchange.rest_url was 'ftp://x'; use a http or https address"),
        ("exchange.ws_uri", "x", "exchange.ws_uri was 'x'; no such setting exists; did you mean ws_url?"),
        ("exchange", 5, "exchange was 5; write it as a section"),
        ("wallet.signature_type", 4, "wallet.signature_type was 4; use 0, 1, 2 or 3"),
        ("wallet.signature_type", 1, "wallet was a section; signature_type 1 needs funder"),
        ("wallet.funder", "0x12", "wallet.funder was '0x12'; use 0x and 40 hex digits"),
        ("exchange.timeouts", {"post_s": 0}, "exchange.timeouts.post_s was 0; use greater than 0"),
        (
            "exchange.timeouts",
            {"heartbeat_s": 5},
            "exchange.timeouts.heartbeat_s was 5; use less than or equal to 2",
        ),
        ("exchange.heartbeat", "yes", "exchange.heartbeat was 'yes'; use a valid boolean"),
        ("hots", {}, "hots was a section; no such setting exists; did you mean host?"),
        ("bots", {"exec.partialfillhandler": {"enabled": 1}}, 'bots."exec.partialfillhandler".enabled was 1'),
        ("reports.bus", "kafka", "reports.bus was 'kafka'; use 'file', 'memory' or 'nats'"),
    ],
)
def test_a_fault_is_named_with_its_path_its_value_and_its_rule(path: str, value: Any, sentence: str) -> None:
    assert sentence in refusal(changed(path, value))


def test_every_fault_is_listed_at_once() -> None:
    message = refusal(
        {
            "host": {"http_port": -1},
            "exchange": {"rest_url": "https://x", "chain_id": 5},
            "wallet": {"key": {"env": "PK"}},
        }
    )

    assert message.splitlines() == [
        "config has 4 faults:",
        "  host.state_dir was missing; it is required",
        "  host.http_port was -1; use greater than or equal to 0",
        "  exchange.ws_url was missing; it is required",
        "  exchange.chain_id was 5; use 137 or 80002",
    ]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("wallet.key", PRIVATE_KEY),
        ("wallet.key", {"env": "A", "value": PRIVATE_KEY}),
        ("wallet.key", {"inline": PRIVATE_KEY}),
        ("wallet.private_key", PRIVATE_KEY),
        ("wallet.pk", PRIVATE_KEY),
        ("wallet.funder", PRIVATE_KEY),
        ("wallet.api", {"key": PRIVATE_KEY, "secret": PRIVATE_KEY, "passphrase": PRIVATE_KEY}),
        ("wallet", PRIVATE_KEY),
        ("events.keys", {"k1": PRIVATE_KEY}),
        ("exchange.rest_url", f"https://me:{PRIVATE_KEY}@clob.example"),
        ("exchange.api_secret", PRIVATE_KEY),
    ],
)
def test_a_secret_written_into_the_file_is_refused_and_not_repeated(path: str, value: Any) -> None:
    message = refusal(changed(path, value))

    assert "5e5e5e5e" not in message
    assert path.split(".", maxsplit=1)[0] in message


@pytest.mark.parametrize(
    ("events", "rule"),
    [
        ({"keys": {f"k{n}": {"env": "K"} for n in range(3)}}, "at most 2"),
        ({"keys": {"a": {"env": "K"}, "b": {"env": "L"}}}, "name the one that signs"),
        ({"keys": {"a": {"env": "K"}}, "signing_key": "c"}, "must be one of the ids"),
        ({"keys": {"a b": {"env": "K"}}}, "1 to 64 characters"),
        ({"keys": {"a": {"env": "K", "file": "/x"}}}, "name one place"),
    ],
)
def test_event_keys_rotate_two_at_a_time_and_one_of_them_signs(events: Any, rule: str) -> None:
    assert rule in refusal({**GOOD, "events": events})


def test_a_bots_section_reaches_the_bot_as_it_was_written() -> None:
    section = {"enabled": True, "min_remainder_size": 2, "book": {"levels": 5}}

    config = HostConfig.from_members({**GOOD, "bots": {"exec.partialfillhandler": section}})

    assert dict(config.bots["exec.partialfillhandler"].members()) == section


def test_a_file_is_read_and_its_relative_paths_start_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    path.write_text(
        '[host]\nstate_dir = "var"\n[exchange]\nrest_url = "http://127.0.0.1:1"\nws_url = "ws://127.0.0.1:1/ws"\n'
        '[wallet]\nkey = { file = "/run/key" }\n[kill_switch]\nfile = "/run/stop"\n'
        '[bots."exec.partialfillhandler"]\nenabled = true\n'
    )

    config = load_config(path)

    assert config.host.state_dir == tmp_path / "var"
    assert config.kill_switch_file == Path("/run/stop")


def test_fractions_reach_the_bot_exactly_and_the_host_as_seconds(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    path.write_text(
        '[host]\nstate_dir = "var"\n[exchange]\nrest_url = "http://127.0.0.1:1"\nws_url = "ws://127.0.0.1:1"\n'
        '[exchange.timeouts]\npost_s = 1.5\n[wallet]\nkey = { env = "PK" }\n'
        "[bots.b]\nmin_remainder_size = 2.1\n"
    )

    config = load_config(path)

    assert config.bots["b"].members()["min_remainder_size"] == Decimal("2.1")
    assert config.exchange.timeouts.post_s == 1.5


@pytest.mark.parametrize("content", [b"[host", b"\xff\xfe", b'[host]\nstate_dir = "x"\nstate_dir = "y"\n'])
def test_a_file_that_is_no_toml_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "host.toml"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"host\.toml"):
        load_config(path)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml was unreadable"):
        load_config(tmp_path / "nowhere.toml")


def test_a_secret_shows_nowhere_but_through_reveal() -> None:
    secret = SecretSource(env="PK").read({"PK": f" {PRIVATE_KEY}\n"})

    assert secret.reveal() == PRIVATE_KEY
    assert f"{secret} {secret!r} {[secret]}" == "Secret(hidden) Secret(hidden) [Secret(hidden)]"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff", b"x" * 5000])
def test_a_place_without_a_usable_secret_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)

    with pytest.raises(SecretMissing, match=str(path)):
        SecretSource(file=path).read({})
    with pytest.raises(SecretMissing, match="environment variable PK"):
        SecretSource(env="PK").read({})


def test_a_secret_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("value\n")
    (tmp_path / "key").chmod(0o400)

    assert SecretSource(file=tmp_path / "key").read({}).reveal() == Secret("value").reveal()


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620, 0o660, 0o601])
def test_a_secret_that_others_may_read_or_change_is_not_taken(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.write_text("value")
    path.chmod(mode)

    with pytest.raises(SecretMissing) as caught:
        SecretSource(file=path).read({})

    assert str(caught.value) == f"file {path} was mode {mode:04o}, open to others; run: chmod 600 {path}"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_secret_that_another_user_owns_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("value")
    path.chmod(0o600)
    os.chown(path, 65_534, 65_534)

    with pytest.raises(SecretMissing, match="belonged to user 65534, who can change it"):
        SecretSource(file=path).read({})


def test_secret_files_lie_where_the_config_lies(tmp_path: Path) -> None:
    wallet = {"key": {"file": "wallet.key"}}
    keys = {"k1": {"file": "/run/k1"}}
    config = HostConfig.from_members({**GOOD, "wallet": wallet, "events": {"keys": keys}}, base_dir=tmp_path)

    assert config.wallet.key == SecretSource(file=tmp_path / "wallet.key")
    assert config.events.keys == {"k1": SecretSource(file=Path("/run/k1"))}


def test_hosts_that_share_a_wallet_have_no_heartbeat_of_their_own() -> None:
    shared = {
        **GOOD,
        "exchange": {**GOOD["exchange"], "heartbeat": True},
        "nats": {"servers": ["nats://127.0.0.1:4222"]},
        "reports": {"bus": "nats"},
        "cluster": {"name": "c1", "host": "h1"},
    }

    assert "exchange.heartbeat was true beside [cluster]; hosts of one API key share one chain" in refusal(
        shared
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"wallet": {}}, "wallet.key was missing; name its place there, or a signer as signer.socket"),
        ({"signer": {"socket": "s"}}, "signer.socket was given beside wallet.key, funder or signature_type"),
        ({"signer": {"socket": "s"}, "wallet": {"signature_type": 0}}, ""),
    ],
)
def test_the_key_is_in_one_place(change: dict[str, Any], sentence: str) -> None:
    members = {**GOOD, **change}

    if sentence:
        assert sentence in refusal(members)
    else:
        assert HostConfig.from_members(members, base_dir=Path("/etc")).signer is not None


def test_a_funder_with_a_wrong_digit_is_told_by_its_checksum() -> None:
    funder = "0x" + "Ab" * 20

    assert "a digit or a letter's case is wrong (EIP-55 checksum)" in refusal(
        changed("wallet", {**GOOD["wallet"], "signature_type": 2, "funder": funder})
    )
