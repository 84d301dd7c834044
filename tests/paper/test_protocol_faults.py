"""The seam for trouble: a request that never landed, one that landed without an answer, and plain answers."""

import asyncio
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientConnectionError
from py_clob_client_v2.exceptions import PolyApiException
from support.paper_stage import YES, paper_stage

from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.protocol.faults import Answer, Call, Cut
from polytraders_pfh.paper.protocol.server import serve


@dataclass
class OrderTrouble:
    """Troubles the next POST /order, at the point that is set."""

    before: Answer | Cut | None = None
    after: Answer | Cut | None = None
    calls: list[Call] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    async def before_commit(self, call: Call) -> Answer | Cut | None:
        self.calls.append(call)
        return self.before if call.path == "/order" else None

    async def before_answer(self, call: Call, answer: Answer) -> Answer | Cut:
        self.answers.append(answer)
        return self.after if self.after is not None and call.path == "/order" else answer


GATEWAY = Answer(502, b"<html>bad gateway</html>")


@pytest.mark.parametrize("trouble", [GATEWAY, Cut()])
async def test_trouble_before_the_commit_leaves_nothing_behind(trouble: Answer | Cut) -> None:
    plan = OrderTrouble(before=trouble)
    async with paper_stage(faults=plan) as stage:
        trader = await stage.trader(1)
        with pytest.raises(PolyApiException):
            await trader.rest("BUY", 10, 400_000)

        assert stage.exchange.open_orders(trader.key) == ()


@pytest.mark.parametrize("trouble", [GATEWAY, Cut()])
async def test_trouble_before_the_answer_hides_an_order_that_lives(trouble: Answer | Cut) -> None:
    plan = OrderTrouble(after=trouble)
    async with paper_stage(faults=plan) as stage:
        trader = await stage.trader(1)
        with pytest.raises(PolyApiException):
            await trader.rest("BUY", 10, 400_000)

        assert len(stage.exchange.open_orders(trader.key)) == 1
        assert plan.answers[-1].status == 200


async def test_a_plan_sees_every_request_with_its_number_key_and_bytes() -> None:
    plan = OrderTrouble()
    async with paper_stage(faults=plan) as stage:
        trader = await stage.trader(1)
        await trader.rest("BUY", 10, 400_000)

    assert [(call.number, call.method, call.path, call.api_key) for call in plan.calls] == [
        (1, "POST", "/auth/api-key", None),
        (2, "POST", "/order", trader.key),
    ]
    assert b'"orderType":"GTC"' in plan.calls[1].body


async def test_an_answer_is_sent_as_it_stands_with_its_headers() -> None:
    plan = OrderTrouble(before=Answer(503, b'{"error":"busy"}', {"Retry-After": "3"}))
    async with paper_stage(faults=plan) as stage, stage.http.post(stage.server.url + "/order") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "3")
        assert await answer.json() == {"error": "busy"}


async def test_rate_limit_headers_reach_the_client() -> None:
    async with paper_stage() as stage:
        client = (await stage.trader(1)).client
        headers = client._l2_headers("DELETE", "/cancel-all")
        async with stage.http.delete(stage.server.url + "/cancel-all", headers=headers) as answer:
            sent = {name: value for name, value in answer.headers.items() if name.startswith("Poly-")}

    assert sent == {
        "Poly-RateLimit-Remaining": "1799",
        "Poly-RateLimit-Reset": "1790000000",
        "Poly-RateLimit-Tier": "Elite",
    }


async def test_a_closed_server_frees_its_port_and_may_be_closed_again() -> None:
    async with paper_stage() as stage:
        url = stage.server.url
        port = int(url.rsplit(":", 1)[1])
        await stage.server.close()
        await stage.server.close()
        with pytest.raises(ClientConnectionError):
            await stage.http.get(url)
        async with await serve(Exchange(), port=port) as again:
            assert again.url == url


async def test_the_server_lets_time_pass_by_itself() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        user = await stage.listen_user(trader)
        soon = stage.clock.now_ms() // 1_000 + 240
        await trader.post(trader.order("BUY", 10, 400_000, token=YES, expiration_s=soon), "GTD")
        placed = await user.receive_json()
        stage.clock.advance(180_000)
        async with asyncio.timeout(5):
            gone = await user.receive_json()
        await user.close()

    assert (placed["type"], gone["type"]) == ("PLACEMENT", "CANCELLATION")
