"""The signer's own file: what it refuses, before a socket is opened."""

from pathlib import Path

import pytest
from support.orders import FUNDER
from support.signer_process import signer_file

from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host.signing.config import load_signer_config
from polytraders_pfh.host.signing.process import run_signer


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"tokens": "[]"}, "limits.tokens"),
        ({"min_price": "0.7", "max_price": "0.6"}, "min_price was 0.7; it must not exceed max_price 0.6"),
        ({"orders_per_minute": "0"}, "limits.orders_per_minute was 0"),
        ({"max_sizes": "5"}, "limits.max_sizes was 5; no such setting exists; did you mean max_size_shares?"),
    ],
)
def test_a_signer_with_wrong_limits_does_not_start_and_says_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], sentence: str
) -> None:
    code = run_signer(signer_file(tmp_path, **change))

    assert (code, sentence in capsys.readouterr().err) == (2, True)
    assert not (tmp_path / "run").exists()


def test_limits_say_what_is_allowed_and_default_to_no_builder_code(tmp_path: Path) -> None:
    limits = load_signer_config(signer_file(tmp_path, tokens='["7"]', min_price="0.05")).limits.limits()

    assert limits.tokens == frozenset({"7"})
    assert (limits.min_price_micro, limits.max_price_micro) == (50_000, 999_900)
    assert limits.builder_codes == frozenset({"0x" + "0" * 64})


def test_the_socket_lies_where_the_file_lies(tmp_path: Path) -> None:
    config = load_signer_config(signer_file(tmp_path))

    assert config.signer.socket == tmp_path / "run" / "signer.sock"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('key = { env = "SIGNER_KEY" }', "", "wallet.key was missing; name its place"),
        (
            'key = { env = "SIGNER_KEY" }',
            (
                'key = { env = "K" }\napi = { key = { env = "A" }, secret = { env = "B" }, '
                'passphrase = { env = "C" } }'
            ),
            "API credentials belong to the host alone",
        ),
        ('key = { env = "SIGNER_KEY" }', f'key = "{"31" * 32}"', "a secret never stands in the file"),
        (
            "[wallet]",
            f'[wallet]\nsignature_type = 2\nfunder = "{FUNDER}"',
            "(EIP-55 checksum); copy the address again",
        ),
    ],
)
def test_a_wallet_that_cannot_sign_is_refused(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    path = signer_file(tmp_path)
    path.write_text(path.read_text().replace(old, new))

    with pytest.raises(ConfigError) as caught:
        load_signer_config(path)

    assert sentence in str(caught.value)
    assert "31" * 32 not in str(caught.value)
