"""Whether the exchange answers, the clocks agree, the signer signs, and the credentials are accepted."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import aiohttp
from eth_account import Account
from polytraders_hookspecs import Clock, ExchangeReply, UnsignedOrder
from polytraders_hookspecs.orders import ZERO_BYTES32

from polytraders_pfh.engine.orders import signed_fault
from polytraders_pfh.errors import PfhError
from polytraders_pfh.host.account import KeyHolder
from polytraders_pfh.host.auth import ApiCredentials, L2Auth, l1_headers
from polytraders_pfh.host.clob_bodies import credentials_in, said
from polytraders_pfh.host.config import HostConfig
from polytraders_pfh.host.doctor.finding import Finding, right, skipped, warning, wrong
from polytraders_pfh.host.errors import SecretMissing
from polytraders_pfh.host.feed_socket import channel_url
from polytraders_pfh.host.keys import key_holder, read_credentials
from polytraders_pfh.host.transport import ExchangeTransport
from polytraders_pfh.host.wallet import clob_auth_message

_CALL_S: Final = 5.0
_AMBER_MS: Final = 2_000
_RED_MS: Final = 5_000
_OK: Final = 200
_NOT_FOUND: Final = 404
_REFUSED: Final = frozenset({401, 403})
_NO_ORDER: Final = "/data/order/0x" + "0" * 64
_TRIAL: Final = UnsignedOrder(
    token_id="1",  # noqa: S106 - an outcome token that does not exist
    market_id="0x" + "0" * 64,
    side="BUY",
    price_micro=10_000,
    size_micro=5_000_000,
    maker_amount_micro=50_000,
    taker_amount_micro=5_000_000,
    builder_code=ZERO_BYTES32,
    neg_risk=False,
    trace_id="doctor",
)


async def look(read: HostConfig, environ: Mapping[str, str], clock: Clock) -> AsyncIterator[Finding]:
    """Look at everything that has to do with the exchange; each finding is yielded as it is made."""
    transport = ExchangeTransport(read.exchange.rest_url, connect_s=read.exchange.timeouts.connect_s)
    await transport.open()
    try:
        answered, findings = await _time(transport, read.exchange.rest_url, clock)
        for finding in findings:
            yield finding
        yield await _feed(read.exchange.ws_url)
        holder, found = await _signer(read, environ, clock)
        yield found
        if not answered:
            yield skipped("credentials", "the exchange has to answer first")
        else:
            yield await _credentials(transport, read, holder, environ, clock)
    finally:
        await transport.close()


async def _time(transport: ExchangeTransport, url: str, clock: Clock) -> tuple[bool, list[Finding]]:
    """Ask for the exchange's time, which is in whole seconds, and compare it with the middle of the wait."""
    asked_ns, asked_ms = clock.monotonic_ns(), clock.now_ms()
    reply = await transport.send("GET", "/time", timeout_s=_CALL_S)
    took_ms = (clock.monotonic_ns() - asked_ns) // 1_000_000
    if reply.status != _OK:
        told = f"{url} gave no time: {said(reply)}"
        return reply.status is not None, [
            wrong("exchange", told, "mend exchange.rest_url, or the way there"),
            skipped("clock", "the exchange has to tell its time first"),
        ]
    answers = right("exchange", f"{url} answers within {took_ms} ms")
    text = reply.body.decode("utf-8", "replace").strip()
    if not (text.isascii() and text.isdigit()):
        return True, [answers, wrong("clock", f"GET /time gave {text[:40]!r}", "mend exchange.rest_url")]
    return True, [answers, _clock(int(text) * 1000, asked_ms, asked_ms + took_ms)]


def _clock(second_ms: int, asked_ms: int, answered_ms: int) -> Finding:
    """Judge the clock by the smallest offset that an answer in whole seconds allows."""
    ahead, behind = asked_ms - (second_ms + 999), second_ms - answered_ms
    off_ms = max(ahead, behind, 0)
    direction = "ahead of" if ahead > behind else "behind"
    if off_ms == 0:
        return right("clock", "agrees with the exchange's, to the second")
    told = f"at least {off_ms} ms {direction} the exchange's"
    if off_ms > _RED_MS:
        return wrong("clock", told, "let NTP set it: signed calls are refused and events look stale")
    if off_ms > _AMBER_MS:
        return warning("clock", told, "let NTP set it")
    return right("clock", told)


async def _feed(ws_url: str) -> Finding:
    url = channel_url(ws_url, "market")
    try:
        async with (
            asyncio.timeout(_CALL_S),
            aiohttp.ClientSession() as session,
            session.ws_connect(url, autoping=False),
        ):
            return right("feed", f"{url} takes connections")
    except (aiohttp.ClientError, OSError, TimeoutError) as e:
        why = str(e) or f"no answer within {_CALL_S:g} s"
        return wrong("feed", f"{url} takes no connection: {why}", "mend exchange.ws_url, or the way there")


async def _signer(
    read: HostConfig, environ: Mapping[str, str], clock: Clock
) -> tuple[KeyHolder | None, Finding]:
    """Have the L1 message signed, and a trial order by a key in this process; both are thrown away."""
    try:
        holder = await key_holder(read, environ, clock)
        account, now_s = holder.account, clock.now_ms() // 1000
        signature = await account.clob_auth(now_s, 0)
        message = clob_auth_message(account.address, account.chain_id, now_s, 0)
        by: Any = Account.recover_message(message, signature=signature)
        if by != account.address:
            return None, wrong("signer", f"it says it is {account.address} and signs as {by}", "mend its key")
        if read.signer is not None:
            return holder, right("signer", f"{read.signer.socket} signs as {account.address}")
        fault = signed_fault(_TRIAL, await holder.sign_order(_TRIAL))
    except PfhError as e:
        return None, wrong("signer", e)
    if fault:
        return None, wrong("signer", fault, "report it: nothing can be posted")
    return holder, right("signer", f"the key in this process signs as {account.address}")


async def _credentials(
    transport: ExchangeTransport,
    read: HostConfig,
    holder: KeyHolder | None,
    environ: Mapping[str, str],
    clock: Clock,
) -> Finding:
    """Read an order that nobody has with the credentials; a trading call without consequences."""
    check = "credentials"
    if holder is None:
        return skipped(check, "the signer has to sign first")
    try:
        given = read_credentials(read.wallet, environ)
        if given is None:
            derived = await _derived(transport, holder, clock)
            if isinstance(derived, Finding):
                return derived
            given = derived
        auth = L2Auth(given, holder.account.address, clock)
    except SecretMissing as e:
        return wrong(check, e)
    reply = await transport.send("GET", _NO_ORDER, timeout_s=_CALL_S, headers=auth.headers("GET", _NO_ORDER))
    if reply.status in {_OK, _NOT_FOUND}:
        return right(check, f"the exchange accepts them for {holder.account.address}")
    return _unaccepted(check, reply)


async def _derived(transport: ExchangeTransport, holder: KeyHolder, clock: Clock) -> ApiCredentials | Finding:
    headers = await l1_headers(holder.account, clock.now_ms() // 1000)
    reply = await transport.send("GET", "/auth/derive-api-key", timeout_s=_CALL_S, headers=headers)
    if reply.status == _OK:
        return credentials_in(reply)
    if reply.status in _REFUSED or reply.status is None:
        return _unaccepted("credentials", reply)
    told = f"the wallet has no API key yet ({said(reply)})"
    return warning("credentials", told, "the host makes one at its first start")


def _unaccepted(check: str, reply: ExchangeReply) -> Finding:
    if reply.status in _REFUSED:
        mend = "copy [wallet.api] as it was issued for this wallet, or leave it out"
        return wrong(check, f"the exchange refuses them: {said(reply)}", mend)
    return wrong(check, f"the exchange neither took nor refused them: {said(reply)}", "ask again later")
