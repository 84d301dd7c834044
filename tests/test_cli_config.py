"""`config check` and `config example`: what a file means, which rule takes an order, one sentence else."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from polytraders_pfh.cli import main
from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host import load_config
from polytraders_pfh.host.sidecar.check import read_order
from polytraders_pfh.host.sidecar.example_files import EXAMPLES, example
from polytraders_pfh.host.signing.config import load_signer_config

LIVE = example("live")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["config", *arguments])


def live(folder: Path, old: str = "", new: str = "") -> str:
    path = folder / "live.toml"
    path.write_text(LIVE.replace(old, new) if old else LIVE)
    return str(path)


def test_the_example_of_a_host_beside_any_bot_loads_and_starts_in_shadow(tmp_path: Path) -> None:
    config = load_config(Path(live(tmp_path)))

    assert config.sidecar is not None
    assert [rule.name for rule in config.sidecar.rules] == ["small-buys", "big-sells"]
    assert config.members_of("exec.partialfillhandler")["mode"] == "shadow_only"
    assert config.exchange.heartbeat is False


@pytest.mark.parametrize(
    "lines",
    [
        (
            "# [wallet.api]",
            '# key = { env = "POLYMARKET_API_KEY" }',
            '# secret = { file = "api.secret" }',
            '# passphrase = { file = "api.passphrase" }',
        ),
    ],
)
def test_what_the_example_comments_out_loads_when_it_is_taken_in(
    tmp_path: Path, lines: tuple[str, ...]
) -> None:
    text = LIVE
    for line in lines:
        assert line in text
        text = text.replace(line, line.removeprefix("# "))
    path = tmp_path / "live.toml"
    path.write_text(text)

    api = load_config(path).wallet.api

    assert api is not None
    assert api.secret.file == tmp_path / "api.secret"


def test_the_example_works_with_a_signer_in_place_of_the_key(tmp_path: Path) -> None:
    text = LIVE.replace('key = { env = "POLYMARKET_KEY" }', "").replace("signature_type = 0 ", "# ")
    text = text.replace("# [signer]\n# socket", "[signer]\nsocket")
    path = tmp_path / "live.toml"
    path.write_text(text)
    (tmp_path / "signer.toml").write_text(example("signer"))

    signer = load_config(path).signer

    assert signer is not None
    assert signer.socket == load_signer_config(tmp_path / "signer.toml").signer.socket


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_command_prints_the_example_as_it_is(name: str) -> None:
    ended = run("example", name)

    assert (ended.exit_code, ended.output) == (0, example(name))  # type: ignore[arg-type]


def test_check_says_what_the_file_means(tmp_path: Path) -> None:
    path = live(tmp_path)

    ended = run("check", path)

    assert ended.exit_code == 0
    assert ended.output.splitlines() == [
        f"{path}: no fault",
        "exec.partialfillhandler: mode shadow_only",
        "orders without a strategy, the first rule that fits:",
        (
            "  1. small-buys: BUY, size to 200, price from 0.05 to 0.95 -> chase, min_remainder_size 5, "
            "chase_max_ticks 2"
        ),
        "  2. big-sells: SELL, size from 1000 -> cancel",
        "  otherwise default: hold",
    ]


def test_check_explains_which_rule_takes_an_order_and_why_no_earlier_one(tmp_path: Path) -> None:
    ended = run("check", live(tmp_path), "--order", "side=SELL,price=0.42,size=1500")

    assert ended.output.splitlines()[-3:] == [
        "order side=SELL,price=0.42,size=1500:",
        "  not small-buys: it is a SELL",
        "  taken by big-sells: cancel; strategy rule.big-sells",
    ]


def test_check_says_that_an_order_with_an_end_is_not_chased(tmp_path: Path) -> None:
    ended = run("check", live(tmp_path), "--order", "side=BUY,price=0.42,size=15,expires=yes")

    assert ended.output.splitlines()[-1] == (
        "  taken by small-buys: hold, since it expires and a chase order would not; strategy rule.small-buys"
    )


def test_check_warns_of_a_rule_that_never_takes_an_order_and_of_codes_nobody_tells(tmp_path: Path) -> None:
    code = "0x" + "bd" * 32
    path = live(
        tmp_path, 'name = "big-sells"\nside = "SELL"', f'name = "b"\nside = "BUY"\nbuilder_code = "{code}"'
    )
    Path(path).write_text(Path(path).read_text().replace("min_size_shares = 1000", "max_size_shares = 9"))
    Path(path).write_text(Path(path).read_text().replace("min_price = 0.05\nmax_price = 0.95\n", ""))

    ended = run("check", path)

    assert "  warning: b never takes an order, since small-buys before it takes all of them" in ended.output
    assert "sidecar.builder_code" in ended.output


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ("", "--order had ''; write side=BUY,price=0.42,size=100"),
        ("side=BUY", "--order lacked price, size; write"),
        ("side=UP,price=0.4,size=1", "--order had side 'UP'; write it as in"),
        ("side=BUY,price=1.4,size=1", "--order had price '1.4'"),
        ("side=BUY,price=0.4,size=-1", "--order had size '-1'"),
        ("side=BUY,price=0.4,size=1,market=7", "--order had market '7'"),
        ("side=BUY,price=0.4,size=1,colour=red", "--order had 'colour=red'"),
        ("side=BUY,price=0.4,size=1,expires=soon", "--order had expires 'soon'"),
    ],
)
def test_an_order_that_cannot_be_read_is_one_sentence(tmp_path: Path, order: str, sentence: str) -> None:
    ended = run("check", live(tmp_path), "--order", order)

    assert (ended.exit_code, ended.output.count("\n")) == (2, 1)
    assert sentence in ended.output


def test_an_order_is_read_with_everything_rules_may_ask_for() -> None:
    market, builder = "0x" + "ab" * 32, "0x" + "bd" * 32

    order = read_order(
        f"side=BUY, price=0.42, size=15.5, market={market}, token=7, builder={builder}, expires=no"
    )

    assert (order.market_id, order.token_id, order.builder_code) == (market, "7", builder)
    assert (order.price_micro, order.size_micro, order.unchaseable) == (420_000, 15_500_000, "")


def test_check_without_rules_says_whose_policy_holds_and_takes_no_order(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    text = LIVE[: LIVE.index("[sidecar]")]
    path.write_text(text)

    plain, asked = run("check", str(path)), run("check", str(path), "--order", "side=BUY,price=0.4,size=1")

    assert "no [sidecar]: orders without a strategy follow the bot's default_policy" in plain.output
    assert 'has no section [bots."exec.partialfillhandler"]' in plain.output
    assert (asked.exit_code, "the file has no [sidecar]" in asked.output) == (2, True)


def test_check_names_every_fault_and_shows_no_secret(tmp_path: Path) -> None:
    secret = "31" * 32
    path = live(tmp_path, 'key = { env = "POLYMARKET_KEY" }', f'key = "{secret}"')

    ended = run("check", path)

    assert ended.exit_code == 2
    assert "a secret never stands in the file" in ended.output
    assert secret not in ended.output


def test_check_names_a_fault_of_the_bots_own_section(tmp_path: Path) -> None:
    ended = run("check", live(tmp_path, 'mode = "shadow_only"', 'mode = "wild"'))

    assert ended.exit_code == 2
    assert "mode was 'wild'" in ended.output


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    ended = run("check", str(tmp_path / "none.toml"))

    assert (ended.exit_code, "give a readable path" in ended.output) == (2, True)


def test_readers_of_orders_raise_the_configs_own_error() -> None:
    with pytest.raises(ConfigError):
        read_order("price")


def test_check_says_what_a_mode_that_acts_still_needs(tmp_path: Path) -> None:
    acting = LIVE.replace('mode = "shadow_only" ', 'mode = "limited_live" ')
    path = tmp_path / "live.toml"
    path.write_text(acting)
    shut = run("check", str(path))
    commented = (
        "[gates.override]",
        'mode = "limited_live"',
        'who = "ann"',
        'why = "ten small orders under my eyes"',
    )
    for line in commented:
        assert f"# {line}" in acting
        acting = acting.replace(f"# {line}", line)
    path.write_text(acting)
    overridden = run("check", str(path))

    assert "  it starts only when the gate of this mode is passed; see `polytraders-pfh gates`" in shut.output
    assert "  its gate is overridden by ann: ten small orders under my eyes; on record at every start" in (
        overridden.output
    )
