"""A last word against a post: asked when the connection is there, and nothing is sent."""

from polytraders_hookspecs import ExchangeReply
from support.orders import TEST_KEY, unsigned
from support.stub_exchange import StubExchange

from polytraders_pfh.host.clock import SystemClock
from polytraders_pfh.host.fenced import FencedClob
from polytraders_pfh.host.signer import WalletSigner
from polytraders_pfh.host.transport import ExchangeTransport
from polytraders_pfh.host.wallet import Wallet


class OneCall:
    """A trading side whose posts are one request."""

    def __init__(self, transport: ExchangeTransport) -> None:
        self._transport = transport

    async def post_order(self, order: object) -> ExchangeReply:
        return await self._transport.send("POST", "/order", timeout_s=5, body=b"{}")

    async def cancel_orders(self, order_ids: tuple[str, ...]) -> ExchangeReply:
        return await self._transport.send("DELETE", "/order", timeout_s=5, body=b"{}")


async def posted_with(words: list[str], posts: int = 1) -> tuple[list[ExchangeReply], list[str]]:
    """Post with a last word that says these in turn, and return the answers and what arrived."""
    said = iter(words)
    order = await WalletSigner(Wallet(TEST_KEY, chain_id=137), SystemClock()).sign_order(unsigned())
    async with StubExchange() as exchange:
        exchange.answer_json("POST /order", {"success": True})
        exchange.answer_json("DELETE /order", {"canceled": []})
        transport = ExchangeTransport(exchange.url)
        await transport.open()
        clob = FencedClob(OneCall(transport), lambda: next(said))  # type: ignore[arg-type]
        replies = [await clob.post_order(order) for _ in range(posts)]
        replies.append(await clob.cancel_orders(("0x1",)))
        await transport.close()
        return replies, [f"{request.method} {request.path}" for request in exchange.seen]


async def test_a_post_that_nothing_speaks_against_is_sent() -> None:
    replies, arrived = await posted_with(["", ""])

    assert [reply.status for reply in replies] == [200, 200]
    assert arrived == ["POST /order", "DELETE /order"]


async def test_a_post_that_is_refused_before_the_call_is_not_sent_and_cancels_go_on() -> None:
    replies, arrived = await posted_with(["the lease is lost"])

    assert (replies[0].status, replies[0].sent) == (400, False)
    assert "was not sent: the lease is lost" in replies[0].detail
    assert arrived == ["DELETE /order"]


async def test_a_lease_that_is_lost_while_the_connection_is_made_sends_nothing() -> None:
    replies, arrived = await posted_with(["", "the lease is lost"])

    assert (replies[0].status, replies[0].sent) == (400, False)
    assert arrived == ["DELETE /order"]


async def test_a_lease_that_is_lost_before_a_kept_connection_is_used_again_sends_nothing() -> None:
    replies, arrived = await posted_with(["", "", "", "the lease is lost"], posts=2)

    assert [(reply.status, reply.sent) for reply in replies[:2]] == [(200, True), (400, False)]
    assert arrived == ["POST /order", "DELETE /order"]
