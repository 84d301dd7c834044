"""The official SDK's side of the chase benchmark, used as its README shows."""

import asyncio
from time import perf_counter_ns
from typing import Any

from chase_exchange import CHAIN_ID, Stamp
from chase_figures import Figures, order_ids
from py_clob_client_v2 import (
    ApiCreds,
    ClobClient,
    OrderArgs,
    OrderPayload,
    OrderType,
    PartialCreateOrderOptions,
    Side,
)
from support.fake_host import TOKEN
from support.orders import TEST_KEY
from support.stub_exchange import API_KEY, API_SECRET, PASSPHRASE


class Sdk:
    """The official client as its README shows it, in a thread: cancel, then create and post."""

    def __init__(self, url: str) -> None:
        creds = ApiCreds(api_key=API_KEY, api_secret=API_SECRET, api_passphrase=PASSPHRASE)
        self._client = ClobClient(host=url, chain_id=CHAIN_ID, key=TEST_KEY.reveal(), creds=creds)
        self._next_id = order_ids(3)
        self._found: list[tuple[int, int]] = []

    def begin(self) -> None:
        self._found.clear()

    async def chase(self) -> None:
        began = perf_counter_ns()
        answer = await asyncio.to_thread(self._react, self._next_id())
        self._found.append((began, perf_counter_ns()))
        assert answer["success"], answer

    def figures(self, log: list[Stamp]) -> Figures:
        received = [stamp[2] for stamp in log if stamp[0] == "DELETE"]
        pairs = list(zip(self._found, received, strict=True))
        return {
            "to cancel on the wire": [(cancel_ns - began) / 1e3 for (began, _), cancel_ns in pairs],
            "to post acknowledged": [(ended - began) / 1e3 for began, ended in self._found],
        }

    async def close(self) -> None:
        """Nothing of its own is open."""

    def _react(self, order_id: str) -> Any:
        self._client.cancel_order(OrderPayload(orderID=order_id))
        return self._client.create_and_post_order(
            order_args=OrderArgs(token_id=TOKEN, price=0.63, side=Side.BUY, size=396.82),
            options=PartialCreateOrderOptions(tick_size="0.01"),
            order_type=OrderType.GTC,
        )
