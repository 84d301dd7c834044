"""Before a host looks after a real account: is it there, do the credentials hold, is it the right wallet?

Asked once at the start, with reads alone. What is wrong is a sentence that says what to change; what merely
does not answer at the moment is waited for elsewhere: an exchange that restarts is no fault of the config.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

import aiohttp
from polytraders_hookspecs import Clock, ExchangeReply, from_micro

from polytraders_pfh.errors import ConfigError, PfhError
from polytraders_pfh.host.account import SIGNATURE_TYPES, Account, SignatureType
from polytraders_pfh.host.clob import ClobAdapter
from polytraders_pfh.host.clob_bodies import OK, said
from polytraders_pfh.host.config import HostConfig
from polytraders_pfh.host.errors import PayloadError
from polytraders_pfh.host.feed_socket import channel_url, feed_session
from polytraders_pfh.host.payloads import OrderNews, decode

_T = TypeVar("_T")
_log: Final = logging.getLogger(__name__)
_VERSION: Final = 2
_TRIES: Final = 3
_PAUSE_S: Final = 0.5
_CONNECT_S: Final = 5.0
_AWAY: Final = frozenset({425, 429})
_SERVER_FAULT: Final = 500
_UNAUTHORISED: Final = 401
_KINDS: Final = ("0 (the key's own address)", "1 (Polymarket proxy)", "2 (Gnosis Safe)", "3 (deposit wallet)")


class Preflight:
    """The questions, in order; each raises a ConfigError that names the setting, its value and the remedy."""

    def __init__(self, config: HostConfig, clob: ClobAdapter, account: Account, clock: Clock) -> None:
        self._config = config
        self._clob = clob
        self._account = account
        self._clock = clock

    async def addresses(self) -> None:
        """Is there a CLOB V2 at both addresses?

        Raises:
            ConfigError: Nothing is there, or something else.
        """
        await self._rest_address()
        await self._stream_address()

    async def account(self) -> None:
        """Do the credentials hold, and do the account's orders and funds belong to this wallet?

        Raises:
            ConfigError: They are refused, or they are another wallet's.
        """
        await self._credentials()
        orders = await self._or_unknown(self._clob.open_orders)
        if orders is not None:
            self._orders_are_of_this_wallet(orders)
        if not orders:
            await self._funds_are_in_this_wallet()

    async def _rest_address(self) -> None:
        url = self._config.exchange.rest_url
        reply = await self._answered(self._clob.version)
        if reply.status is None:
            raise ConfigError(
                f"exchange.rest_url was {url}, where nothing answered ({reply.detail}); "
                "check the address and the network"
            )
        if reply.status in _AWAY or reply.status >= _SERVER_FAULT:
            return
        version = _version_in(reply)
        if version is None:
            raise ConfigError(
                f"exchange.rest_url was {url}, where no CLOB answers ({said(reply)}); "
                "Polymarket's is https://clob.polymarket.com"
            )
        if version != _VERSION:
            raise ConfigError(
                f"exchange.rest_url was {url}, which speaks version {version}; "
                f"this host signs orders of version {_VERSION}, so use an exchange of that version"
            )

    async def _stream_address(self) -> None:
        url = channel_url(self._config.exchange.ws_url, "market")
        session = feed_session()
        try:
            async with session.ws_connect(url, timeout=aiohttp.ClientWSTimeout(ws_close=1.0)) as socket:
                await socket.close()
        except (aiohttp.ClientError, OSError, TimeoutError) as e:
            raise ConfigError(
                f"exchange.ws_url was {self._config.exchange.ws_url}, where no stream opened at {url} "
                f"({type(e).__name__}: {e}); Polymarket's is wss://ws-subscriptions-clob.polymarket.com"
            ) from None
        finally:
            await session.close()

    async def _credentials(self) -> None:
        reply = await self._answered(self._clob.api_keys)
        if reply.status == _UNAUTHORISED:
            raise ConfigError(
                f"the API credentials were refused for {self._account.address} ({said(reply)}): they are "
                "expired, revoked or another key's; renew what wallet.api points at, or take [wallet.api] "
                "out and they are derived from the wallet"
            )

    def _orders_are_of_this_wallet(self, orders: Iterable[OrderNews]) -> None:
        ours = self._account.maker.lower()
        for order in orders:
            if order.maker and order.maker != ours:
                raise ConfigError(
                    f"wallet.signature_type was {self._account.signature_type}, which trades for "
                    f"{self._account.maker}, and open order {order.order_id[:12]}… is held by {order.maker}; "
                    f"set wallet.funder to that address and signature_type to its kind: {', '.join(_KINDS)}"
                )

    async def _funds_are_in_this_wallet(self) -> None:
        own = self._account.signature_type
        held = {kind: await self._balance(kind) for kind in SIGNATURE_TYPES}
        others = [kind for kind, micro in held.items() if kind != own and micro]
        if held[own] == 0 and others:
            there = f"type {_KINDS[others[0]]} holds {from_micro(held[others[0]] or 0)} pUSD"
            raise ConfigError(
                f"wallet.signature_type was {_KINDS[own]}, whose wallet holds no pUSD, while {there}; "
                f"set signature_type = {others[0]} and its wallet as funder, or put funds into this one first"
            )

    async def _balance(self, kind: SignatureType) -> int | None:
        return await self._or_unknown(lambda: self._clob.balance_micro(signature_type=kind))

    async def _answered(self, ask: Callable[[], Awaitable[ExchangeReply]]) -> ExchangeReply:
        """Ask until something answers, a few times."""
        reply = await ask()
        for _ in range(_TRIES - 1):
            if reply.status is not None:
                break
            await self._clock.sleep(_PAUSE_S)
            reply = await ask()
        return reply

    async def _or_unknown(self, ask: Callable[[], Awaitable[_T]]) -> _T | None:
        try:
            return await ask()
        except PfhError as e:
            _log.warning("the wallet was not checked: %s", e)
            return None


def _version_in(reply: ExchangeReply) -> int | None:
    if reply.status != OK:
        return None
    try:
        answer = decode(reply.body)
    except PayloadError:
        return None
    version = answer.get("version") if isinstance(answer, dict) else None
    return version if isinstance(version, int) else None
