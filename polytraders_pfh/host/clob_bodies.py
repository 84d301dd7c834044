"""The bodies of single calls: what is sent, and what comes back, in exact values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from polytraders_hookspecs import ExchangeReply, SignedOrder
from polytraders_hookspecs.wire import shown

from polytraders_pfh.host.auth import ApiCredentials
from polytraders_pfh.host.errors import ExchangeRefused, PayloadError
from polytraders_pfh.host.payloads import decode, maybe_micro, members_of, millis
from polytraders_pfh.host.replies import reply_text
from polytraders_pfh.host.secret import Secret

LAST_PAGE: Final = "LTE="
OK: Final = 200


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """A market's standing parameters. `closes_at_ms` is None when the exchange does not say."""

    market_id: str
    token_ids: tuple[str, ...]
    tick_micro: int | None
    min_size_micro: int | None
    neg_risk: bool
    closes_at_ms: int | None


def order_body(order: SignedOrder, owner: str) -> bytes:
    """Return the body of POST /order: a function of the signed order and the API key, and nothing else."""
    return compact(
        {
            "order": order.wire_order(),
            "owner": owner,
            "orderType": order.order_type,
            "deferExec": False,
            "postOnly": order.post_only,
        }
    )


def compact(value: object) -> bytes:
    """Return JSON without white space: the bytes that are signed and sent."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def said(reply: ExchangeReply) -> str:
    """Return what the exchange answered, for an error message."""
    return f"status {reply.status}, {reply_text(reply)}" if reply.status else reply.detail


def body_of(call: str, reply: ExchangeReply) -> bytes:
    """Return the body of a 200.

    Raises:
        ExchangeRefused: Anything else came.
    """
    if reply.status != OK:
        raise ExchangeRefused(f"{call}: {said(reply)}; ask again later")
    return reply.body


def page_in(reply: ExchangeReply) -> tuple[list[Any] | None, str]:
    """Return one page and the next cursor; None when the answer holds no page."""
    if reply.status != OK:
        return None, LAST_PAGE
    try:
        answer = decode(reply.body)
    except PayloadError:
        return None, LAST_PAGE
    if isinstance(answer, list):
        return answer, LAST_PAGE
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list):
        return None, LAST_PAGE
    return data, str(answer.get("next_cursor") or LAST_PAGE)


def credentials_in(reply: ExchangeReply) -> ApiCredentials:
    """Return API credentials.

    Raises:
        PayloadError: A part is missing.
    """
    members = members_of(decode(reply.body), "the credentials")
    key, secret, passphrase = (members.get(name) for name in ("apiKey", "secret", "passphrase"))
    if not (isinstance(key, str) and isinstance(secret, str) and isinstance(passphrase, str)):
        raise PayloadError("the credentials lacked apiKey, secret or passphrase; ask again")
    return ApiCredentials(key, Secret(secret), Secret(passphrase))


def market_facts(market_id: str, members: Mapping[str, Any]) -> MarketFacts:
    """Return the parameters in GET /clob-markets.

    Raises:
        PayloadError: A parameter is unreadable.
    """
    tokens = members.get("t") or []
    if not isinstance(tokens, list):
        raise PayloadError(f"t was {shown(tokens)}; a list of tokens belongs there")
    return MarketFacts(
        market_id=market_id,
        token_ids=tuple(str(members_of(token, "a token").get("t")) for token in tokens),
        tick_micro=maybe_micro(members.get("mts"), "mts"),
        min_size_micro=maybe_micro(members.get("mos"), "mos"),
        neg_risk=members.get("nr") is True,
        closes_at_ms=millis(members.get("gst")),
    )
