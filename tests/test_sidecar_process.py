"""Everything apart, as true processes: an exchange, another tool (the official SDK), a signer, a sidecar."""

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import Any

from py_clob_client_v2 import ClobClient, OrderArgs
from support.eventually import eventually
from support.processes import PATIENCE_S, line_with, process
from support.sdk_connections import own_sdk_connections
from support.signer_process import KEY, signer_file, signer_process

from polytraders_pfh.host.sidecar.example_files import example


def live_file(folder: Path, rest_url: str, ws_url: str) -> Path:
    """The package's own example, pointed at the paper exchange and at a signer."""
    text = example("live").replace("https://clob.polymarket.com", rest_url)
    text = text.replace("wss://ws-subscriptions-clob.polymarket.com", ws_url)
    text = text.replace('key = { env = "POLYMARKET_KEY" }', "").replace("signature_type = 0 ", "# ")
    text = text.replace("# [signer]\n# socket", "[signer]\nsocket")
    text = text.replace('state_dir = "state"', 'http_port = 0\nstate_dir = "state"')
    path = folder / "live.toml"
    path.write_text(text)
    return path


def adopted(folder: Path) -> dict[str, dict[str, Any]]:
    """What the sidecar keeps of its orders."""
    lines = (folder / "state" / "orders.jsonl").read_text().splitlines()
    known = [line["known"] for line in map(json.loads, lines) if "known" in line]
    return {order["order_id"]: order for order in known}


async def test_orders_of_the_official_sdk_are_adopted_at_the_start_and_while_the_sidecar_runs(
    tmp_path: Path,
) -> None:
    with process("paper", "--synthetic", "4") as exchange, own_sdk_connections():
        line = line_with(exchange.stdout, "paper exchange: http")
        found = re.search(r"(http://127\.0\.0\.1:\d+)\s.*(ws://127\.0\.0\.1:\d+/ws)/market", line)
        token = re.search(r"token (\d+)", line_with(exchange.stdout, "token"))
        assert found is not None
        assert token is not None
        client = ClobClient(found[1], 137, key="0x" + KEY)
        client.set_api_creds(await asyncio.to_thread(client.create_or_derive_api_key))

        async def rests(price: float, size: float) -> str:
            order = OrderArgs(token_id=token[1], price=price, size=size, side="BUY")
            answer = await asyncio.to_thread(client.create_and_post_order, order)
            return str(answer["orderID"])

        before = await rests(0.05, 20)
        with (
            signer_process(signer_file(tmp_path)),
            process("host", "--config", str(live_file(tmp_path, found[1], found[2]))) as sidecar,
        ):
            line_with(sidecar.stderr, "host is up at")
            at_start = adopted(tmp_path)
            later = await rests(0.02, 30)
            await eventually(lambda: later in adopted(tmp_path), 30)
            after = adopted(tmp_path)[later]
            sidecar.send_signal(signal.SIGTERM)
            sidecar.communicate(timeout=PATIENCE_S)

    assert sidecar.returncode == 0
    assert list(at_start) == [before]
    assert (at_start[before]["adopted"], at_start[before]["strategy"]["id"]) == (True, "rule.small-buys")
    assert (after["adopted"], after["strategy"]["id"]) == (True, "rule.default")
