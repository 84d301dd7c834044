"""The signer as a true process, and a host on the paper exchange that posts with its signatures or not."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from polytraders_hookspecs import Strategy, read_json
from support.canaries import RIVAL_KEY
from support.eventually import eventually
from support.orders import FUNDER
from support.signer_process import KEY, signer_file, signer_process

from polytraders_pfh.host import FeedTimings, Host, HostConfig, PlaceOrder
from polytraders_pfh.host.account import SignatureType
from polytraders_pfh.host.clock import SystemClock as HostClock
from polytraders_pfh.host.errors import SignerAway, SigningRefused
from polytraders_pfh.host.secret import Secret
from polytraders_pfh.host.signer import WalletSigner
from polytraders_pfh.host.signing.limits import SigningLimits
from polytraders_pfh.host.signing.server import SigningServer
from polytraders_pfh.host.wallet import Wallet
from polytraders_pfh.paper.clock import SystemClock
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import Market, Outcome
from polytraders_pfh.paper.protocol.server import PaperServer, serve

YES, NO = "11111111111111111111", "22222222222222222222"
RAIN = Market("0x" + "ab" * 32, "Will it rain?", (Outcome(YES, "Yes"), Outcome(NO, "No")))
FAST = FeedTimings(first_pause_s=0.01, longest_pause_s=0.05)
CHASE = Strategy(id="momentum", partial_fill_policy="chase")


def wish(side: Any, price: str, shares: int, **more: Any) -> PlaceOrder:
    return PlaceOrder(
        token_id=YES,
        market_id=RAIN.condition_id,
        side=side,
        price=Decimal(price),
        size_shares=Decimal(shares),
        **more,
    )


def config_for(server: PaperServer, state_dir: Path, **sections: Any) -> HostConfig:
    return HostConfig.from_members(
        {
            "host": {"state_dir": str(state_dir), "http_port": 0},
            "exchange": {"rest_url": server.url, "ws_url": server.ws_url},
            "reports": {"bus": "memory"},
            **sections,
        }
    )


@asynccontextmanager
async def paper() -> AsyncIterator[PaperServer]:
    clock, exchange = SystemClock(), Exchange("signer-tests")
    exchange.add_market(RAIN, clock.now_ms())
    async with await serve(exchange, clock=clock, tick_ms=10) as server:
        yield server


def reports(host: Host) -> list[dict[str, Any]]:
    found = [read_json(message.payload) for message in host.bus.messages]  # type: ignore[union-attr]
    return [report for report in found if report.get("final")]


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
async def test_orders_of_every_wallet_type_signed_apart_are_taken_by_the_exchange(
    tmp_path: Path, kind: SignatureType
) -> None:
    socket, funder = tmp_path / "run" / "signer.sock", FUNDER if kind else None
    wallet = Wallet(Secret(KEY), chain_id=137, signature_type=kind, funder=funder)
    limits = SigningLimits(tokens=frozenset({YES}), max_size_micro=10_000_000, orders_per_minute=5)
    signer = SigningServer(socket, WalletSigner(wallet, HostClock()), limits, HostClock())
    await signer.open()
    try:
        async with paper() as server:
            here = config_for(server, tmp_path / "host", signer={"socket": str(socket)})
            async with Host(here, environ={}, timings=FAST) as host:
                placed = await host.place(wish("BUY", "0.40", 10))
            record = server.exchange.order(placed.order_id)
    finally:
        await signer.close()

    assert placed.outcome == "accepted", placed.text
    assert record is not None
    assert record.request.maker.lower() == (funder or wallet.address).lower()


def test_a_stopped_signer_leaves_no_socket_and_ends_with_zero(tmp_path: Path) -> None:
    with signer_process(signer_file(tmp_path)) as signer:
        signer.send_signal(signal.SIGTERM)
        out, err = signer.communicate(timeout=60)

    assert (signer.returncode, out, err) == (0, "", "")
    assert not (tmp_path / "run" / "signer.sock").exists()


_KNOCK = """
import os, socket, sys
os.setgid(65534), os.setuid(65534)
with socket.socket(socket.AF_UNIX) as s:
    try:
        s.connect(sys.argv[1])
        s.sendall(b'{"ask":"account"}\\n')
        print("answer", s.recv(100))
    except OSError as e:
        print(type(e).__name__)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_users_process_gets_no_answer_even_where_the_modes_were_loosened() -> None:
    def knock(path: Path) -> str:
        asked = [sys.executable, "-c", _KNOCK, str(path)]
        return subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout.strip()

    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with signer_process(signer_file(folder)):
            path = folder / "run" / "signer.sock"
            shut = knock(path)
            path.parent.chmod(0o755)
            path.chmod(0o666)
            loosened = knock(path)

    assert shut == "PermissionError"
    assert loosened in {"answer b''", "ConnectionResetError", "BrokenPipeError"}


def test_another_process_of_this_user_cannot_read_the_signers_memory(tmp_path: Path) -> None:
    with signer_process(signer_file(tmp_path)) as signer:
        owner = os.stat(f"/proc/{signer.pid}/mem").st_uid
        limits = Path(f"/proc/{signer.pid}/limits").read_text()

    assert owner == 0  # the kernel hands a process that may not be dumped to root
    assert limits.split("Max core file size")[1].split()[:2] == ["0", "0"]


async def test_a_killed_signer_signs_nothing_and_the_next_one_is_found_by_itself(tmp_path: Path) -> None:
    config = signer_file(tmp_path)
    async with paper() as server:
        here = config_for(server, tmp_path / "host", signer={"socket": str(tmp_path / "run/signer.sock")})
        with signer_process(config) as first:
            async with Host(here, environ={}, timings=FAST) as host:
                await host.place(wish("BUY", "0.40", 10))
                first.kill()
                first.wait()
                with pytest.raises(SignerAway, match="start it: polytraders-pfh signer"):
                    await host.place(wish("BUY", "0.41", 10))
                with signer_process(config):
                    again = await host.place(wish("BUY", "0.42", 10))
        orders = list(server.exchange.open_orders(host.clob.credentials.key))

    assert again.outcome == "accepted"
    assert sorted(record.request.price_micro for record in orders) == [400_000, 420_000]


Trouble = Callable[[subprocess.Popen[str]], None]


def kill(signer: subprocess.Popen[str]) -> None:
    signer.kill()
    signer.wait()


def stop(signer: subprocess.Popen[str]) -> None:
    signer.send_signal(signal.SIGSTOP)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [(kill, "was not there"), (stop, "did not answer within 0.75 s"), (None, "size was 66.66 shares")],
)
async def test_a_chase_without_a_signature_posts_nothing_and_its_report_says_why(
    tmp_path: Path, trouble: Trouble | None, words: str
) -> None:
    config = signer_file(tmp_path, max_size_shares="100" if trouble else "60")
    plugin = {"exec.partialfillhandler": {"mode": "general_live", "defaults": {"default_policy": "chase"}}}
    async with paper() as server:
        rival_config = config_for(server, tmp_path / "rival", wallet={"key": {"env": "PK"}})
        owner_config = config_for(server, tmp_path / "owner", wallet={"key": {"env": "PK"}})
        here = config_for(
            server, tmp_path / "host", signer={"socket": str(tmp_path / "run/signer.sock")}, bots=plugin
        )
        with signer_process(config) as signer:
            async with (
                Host(rival_config, environ={"PK": RIVAL_KEY}, timings=FAST) as rival,
                Host(owner_config, environ={"PK": KEY}, timings=FAST) as owner,
                Host(here, environ={}, timings=FAST) as host,
            ):
                server.open_account(rival.wallet.maker)
                server.exchange.mint(rival.wallet.maker.lower(), RAIN.condition_id, 1_000_000_000)
                root = await owner.place(wish("BUY", "0.40", 100))
                await eventually(lambda: host.lifecycle.order(root.order_id))
                await rival.place(wish("SELL", "0.42", 200))
                if trouble:
                    trouble(signer)
                await rival.place(wish("SELL", "0.40", 30))
                await eventually(lambda: reports(host), 20)
                (report,) = reports(host)
                key = owner.clob.credentials.key
                live = list(server.exchange.open_orders(key))

    assert live == []
    assert report["order_id"] == root.order_id
    assert words in report["detail"]


async def test_a_refusal_of_a_true_signer_is_its_own_sentence(tmp_path: Path) -> None:
    with signer_process(signer_file(tmp_path, sides='["SELL"]')):
        async with paper() as server:
            here = config_for(server, tmp_path / "host", signer={"socket": str(tmp_path / "run/signer.sock")})
            async with Host(here, environ={}, timings=FAST) as host:
                with pytest.raises(SigningRefused, match=r"side was BUY; limits\.sides allows SELL"):
                    await host.place(wish("BUY", "0.40", 5))
                assert list(server.exchange.open_orders(host.clob.credentials.key)) == []
