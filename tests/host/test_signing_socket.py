"""Host and signer over a Unix socket: who is answered, what comes back, and what is made of nonsense."""

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from polytraders_hookspecs.orders import ZERO_BYTES32
from support.clocks import HandClock
from support.orders import FUNDER, TEST_KEY, TOKEN, unsigned

from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host.account import SignatureType
from polytraders_pfh.host.errors import SignerAway, SigningRefused
from polytraders_pfh.host.signer import WalletSigner
from polytraders_pfh.host.signing.client import SocketSigner
from polytraders_pfh.host.signing.limits import SigningLimits
from polytraders_pfh.host.signing.server import SigningServer
from polytraders_pfh.host.wallet import Wallet

PLAIN = {"builder_code": ZERO_BYTES32}


def limits(**changes: Any) -> SigningLimits:
    return SigningLimits(**({"tokens": None, "max_size_micro": 10**9, "orders_per_minute": 100} | changes))


def holder_of(kind: SignatureType = 0, salt: int = 42) -> WalletSigner:
    wallet = Wallet(TEST_KEY, chain_id=137, signature_type=kind, funder=FUNDER if kind else None)
    return WalletSigner(wallet, HandClock(), new_salt=lambda: salt)


@asynccontextmanager
async def served(
    folder: Path,
    *,
    kind: SignatureType = 0,
    clock: HandClock | None = None,
    uid: int | None = None,
    **caps: Any,
) -> AsyncIterator[Path]:
    path = folder / "run" / "signer.sock"
    server = SigningServer(path, holder_of(kind), limits(**caps), clock or HandClock(), uid=uid)
    await server.open()
    try:
        yield path
    finally:
        await server.close()


@asynccontextmanager
async def impostor(folder: Path, answer: Callable[[bytes], Awaitable[bytes]] | bytes) -> AsyncIterator[Path]:
    """Something that listens where a signer should, and answers every question in its own way."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = await reader.readline()
        writer.write(answer if isinstance(answer, bytes) else await answer(question))
        writer.close()

    path = folder / "signer.sock"
    async with await asyncio.start_unix_server(serve, path):
        yield path


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
@pytest.mark.parametrize("neg_risk", [False, True])
async def test_a_signature_over_the_socket_is_the_one_made_in_process(
    tmp_path: Path, kind: SignatureType, neg_risk: bool
) -> None:
    order = unsigned(neg_risk=neg_risk, **PLAIN)
    async with served(tmp_path, kind=kind) as path:
        signer = await SocketSigner.connect(path)
        signed = await signer.sign_order(order)

    here = holder_of(kind)
    assert signed == await here.sign_order(order)
    facts = ("address", "maker", "signature_type", "chain_id")
    assert [getattr(signer, name) for name in facts] == [getattr(here.account, name) for name in facts]


async def test_the_l1_signature_over_the_socket_is_the_one_made_in_process(tmp_path: Path) -> None:
    async with served(tmp_path) as path:
        signature = await (await SocketSigner.connect(path)).clob_auth(1_700_000_000, 0)

    assert signature == Wallet(TEST_KEY, chain_id=137).sign_clob_auth(1_700_000_000, 0)


async def test_a_log_in_stamped_at_another_time_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as path:
        signer = await SocketSigner.connect(path)
        with pytest.raises(SigningRefused, match="100 s off this machine's clock"):
            await signer.clob_auth(1_700_000_100, 0)


async def test_socket_and_directory_are_this_users_alone(tmp_path: Path) -> None:
    async with served(tmp_path) as path:
        modes = [stat.S_IMODE(part.stat().st_mode) for part in (path, path.parent)]

    assert modes == [0o600, 0o700]
    assert not path.exists()


async def test_a_directory_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)

    with pytest.raises(ConfigError, match=r"was mode 0755 .*; make it 0700"):
        async with served(tmp_path):
            pass


async def test_a_process_of_another_user_gets_no_answer(tmp_path: Path) -> None:
    async with served(tmp_path, uid=os.getuid() + 1) as path:
        with pytest.raises(SignerAway, match="was not there"):
            await SocketSigner.connect(path)


async def test_a_dead_signers_socket_is_taken_over_and_a_living_ones_is_not(tmp_path: Path) -> None:
    async with served(tmp_path) as path:
        with pytest.raises(ConfigError, match="where another signer listens; stop it"):
            async with served(tmp_path):
                pass
        os.link(path, path.with_name("kept"))
    os.rename(path.with_name("kept"), path)
    async with served(tmp_path) as path:
        signer = await SocketSigner.connect(path)

    assert signer.address == holder_of().account.address


async def test_a_file_in_the_sockets_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "run" / "signer.sock").write_text("notes")

    with pytest.raises(ConfigError, match="a file is that is no socket"):
        async with served(tmp_path):
            pass


async def test_a_path_that_no_socket_can_have_is_refused_with_the_bound(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at most 107 bytes"):
        async with served(tmp_path / ("x" * 100)):
            pass


async def test_an_order_beyond_the_signers_limits_is_refused_with_its_sentence(tmp_path: Path) -> None:
    async with served(tmp_path, tokens=frozenset({"7"})) as path:
        signer = await SocketSigner.connect(path)
        with pytest.raises(SigningRefused) as caught:
            await signer.sign_order(unsigned(**PLAIN))

    assert str(caught.value) == (
        f"the signer refused: token {TOKEN} is not in limits.tokens; add it there if it is meant; "
        "nothing was signed"
    )


async def test_orders_per_minute_are_counted_by_the_signers_own_clock(tmp_path: Path) -> None:
    clock = HandClock()
    async with served(tmp_path, clock=clock, orders_per_minute=2) as path:
        signer = await SocketSigner.connect(path)
        for _ in range(2):
            await signer.sign_order(unsigned(**PLAIN))
        with pytest.raises(SigningRefused, match="2 orders were signed within a minute"):
            await signer.sign_order(unsigned(**PLAIN))
        clock.advance(60)
        await signer.sign_order(unsigned(**PLAIN))


async def test_numbers_that_contradict_each_other_are_refused_there_too(tmp_path: Path) -> None:
    async with served(tmp_path) as path:
        signer = await SocketSigner.connect(path)
        with pytest.raises(SigningRefused, match="they must be"):
            await signer.sign_order(unsigned(maker_amount_micro=1, **PLAIN))


@pytest.mark.parametrize(
    "question",
    [
        b"",
        b"\n",
        b"hello\n",
        b"[1]\n",
        b'{"ask":"key"}\n',
        b'{"ask":"order"}\n',
        b'{"ask":"order","order":{"token_id":"1"}}\n',
        b'{"ask":"clob_auth","timestamp_s":1e999,"nonce":0}\n',
        b'{"ask":"order","order":' + b"[" * 9_000 + b"\n",
        b"x" * 40_000 + b"\n",
    ],
)
async def test_nonsense_gets_a_refusal_or_nothing_and_the_next_question_is_answered(
    tmp_path: Path, question: bytes
) -> None:
    async with served(tmp_path) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(question)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        signer = await SocketSigner.connect(path)

    assert not answer or set(json.loads(answer)) == {"refused"}
    assert "11" * 32 not in answer.decode()
    assert signer.signature_type == 0


async def test_no_signer_at_all_is_told_with_the_command_that_starts_one(tmp_path: Path) -> None:
    with pytest.raises(SignerAway, match=r"was not there .*; start it: polytraders-pfh signer --config"):
        await SocketSigner.connect(tmp_path / "none.sock")


async def _signed_as(order: Any, **changes: Any) -> bytes:
    signed = await holder_of().sign_order(order)
    return b'{"signed":' + signed.model_copy(update=changes).to_json() + b"}\n"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"maker_amount_micro": 1}, "maker_amount_micro was 1"),
        ({"token_id": "7"}, "token_id was 7"),
        ({"order_id": "0x" + "00" * 32}, "its hash is 0x"),
        ({"exchange_contract": FUNDER}, "the order was signed for contract"),
    ],
)
async def test_a_signed_order_that_was_not_asked_for_is_never_used(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    async with served(tmp_path) as path:
        facts = (await SocketSigner.connect(path))._facts
    order = unsigned(**PLAIN)

    async def lie(_: bytes) -> bytes:
        return await _signed_as(order, **change)

    async with impostor(tmp_path, lie) as path:
        with pytest.raises(SignerAway, match="answered with something else") as caught:
            await SocketSigner(path, facts).sign_order(order)

    assert words in str(caught.value)


async def test_another_wallets_order_is_never_used(tmp_path: Path) -> None:
    async with served(tmp_path, kind=2) as path:
        facts = (await SocketSigner.connect(path))._facts
    order = unsigned(**PLAIN)

    async def other_wallet(_: bytes) -> bytes:
        return await _signed_as(order)

    async with impostor(tmp_path, other_wallet) as path:
        with pytest.raises(SignerAway, match="and its account is"):
            await SocketSigner(path, facts).sign_order(order)


@pytest.mark.parametrize(
    "answer", [b"", b"ok\n", b"{}\n", b"[]\n", b'{"signed":{}}\n', b"\xff\n", b"x" * 40_000]
)
async def test_garbage_in_a_signers_place_is_named_as_such(tmp_path: Path, answer: bytes) -> None:
    async with served(tmp_path) as path:
        facts = (await SocketSigner.connect(path))._facts
    async with impostor(tmp_path, answer) as path:
        with pytest.raises(SignerAway, match=r"answered with something else|was not there"):
            await SocketSigner(path, facts).sign_order(unsigned(**PLAIN))


async def test_a_signer_that_hangs_is_waited_for_no_longer_than_said(tmp_path: Path) -> None:
    never = asyncio.Event()

    async def hang(_: bytes) -> bytes:
        await never.wait()
        return b""

    async with impostor(tmp_path, hang) as path:
        with pytest.raises(SignerAway, match=r"did not answer within 0.05 s; see whether it hangs"):
            await SocketSigner.connect(path, patience_s=0.05)
        never.set()


async def test_a_library_that_fails_over_the_key_is_told_by_its_kind_and_never_quoted(tmp_path: Path) -> None:
    class Broken(WalletSigner):
        async def sign_order(self, order: Any) -> Any:
            raise RuntimeError(f"bad key {TEST_KEY.reveal()}")

    path = tmp_path / "run" / "signer.sock"
    broken = Broken(Wallet(TEST_KEY, chain_id=137), HandClock())
    server = SigningServer(path, broken, limits(), HandClock())
    await server.open()
    try:
        signer = await SocketSigner.connect(path)
        with pytest.raises(SigningRefused) as caught:
            await signer.sign_order(unsigned(**PLAIN))
    finally:
        await server.close()

    assert str(caught.value) == "the signer refused: the signer failed with RuntimeError"
