"""A whole host with the real plugin and one partly filled order, steered through its door."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from polytraders_pfh.cli import main
from polytraders_pfh.engine.journal import Kind, Record
from polytraders_pfh.engine.journal.reading import rows_of
from polytraders_pfh.engine.journal.records import decode
from polytraders_pfh.host import Host
from support.eventually import eventually
from support.host_stage import (
    ACCEPTED,
    ENVIRON,
    FAST,
    WISH,
    answer_as_an_empty_exchange,
    config_for,
    order_event,
)
from support.stub_exchange import StubExchange, json_answer
from support.stub_feed import StubFeed

BOT = "exec.partialfillhandler"


@dataclass
class Steered:
    """The pieces of a running host, and its one remainder."""

    host: Host
    exchange: StubExchange
    feed: StubFeed
    state_dir: Path
    config: Path
    order_id: str = ""

    async def cli(self, *arguments: str) -> Result:
        """Run a command against this host, in a thread, as a process would."""
        return await asyncio.to_thread(run_cli, self.config, *arguments)

    def deletes(self) -> list[Any]:
        """The bodies of every cancel request, in order."""
        calls = self.exchange.calls("DELETE /order") + self.exchange.calls("DELETE /orders")
        return [call.json() for call in calls]

    def recorded(self, kind: Kind) -> list[Record]:
        """The plugin's records of one kind, read from its journal."""
        return journal_records(self.state_dir, kind)

    async def remainder(self) -> str:
        """Place an order, have it filled in part, and return its id once the plugin has answered."""
        self.exchange.answer_json("POST /order", ACCEPTED)
        placed = await self.host.place(WISH)
        self.exchange.answer_json("DELETE /order", {"canceled": [placed.order_id], "not_canceled": {}})
        self.exchange.answer_json("DELETE /orders", {"canceled": [placed.order_id], "not_canceled": {}})
        record = order_event(placed.order_id, "10") | {"timestamp": None}
        self.exchange.answer_json(f"GET /data/order/{placed.order_id}", record)
        await eventually(lambda: any(name == "user" for name, _ in self.feed.open))
        await self.feed.send(order_event(placed.order_id, "10"), "user")
        await eventually(lambda: self.host.executions)
        await eventually(lambda: self.recorded(Kind.EVENT_ACCEPTED))
        self.order_id = placed.order_id
        return placed.order_id


def run_cli(config: Path, *arguments: str) -> Result:
    """Run one command in this process."""
    return CliRunner(env={"POLYTRADERS_CONFIG": str(config)}).invoke(main, arguments)


def journal_records(state_dir: Path, kind: Kind) -> list[Record]:
    """Return the plugin's records of one kind."""
    paths = sorted((state_dir / "bots" / BOT / "journal").glob("journal-*.db"))
    records = [decode(row.body, row.payload) for path in paths for row in rows_of(path)]
    return [record for record in records if record.kind is kind]


def write_config(
    path: Path, exchange_url: str, ws_url: str, extra: str = "", mode: str = "general_live"
) -> Path:
    """Write a host's config for the two stubs, as an operator would."""
    path.write_text(
        f'[host]\nstate_dir = "state"\nhttp_port = 0\n'
        f'[exchange]\nrest_url = "{exchange_url}"\nws_url = "{ws_url}"\n'
        '[wallet]\nkey = { env = "PK" }\n'
        '[wallet.api]\nkey = { env = "API_KEY" }\nsecret = { env = "API_SECRET" }\n'
        'passphrase = { env = "API_PASS" }\n'
        f'[bots."{BOT}"]\nmode = "{mode}"\n{extra}'
    )
    return path


@asynccontextmanager
async def steered(
    tmp_path: Path,
    *,
    bot: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = ENVIRON,
    **changes: Any,
) -> AsyncIterator[Steered]:
    """Run a host with the real plugin in `general_live`, and its config as a file."""
    async with StubExchange() as exchange, StubFeed() as feed:
        answer_as_an_empty_exchange(exchange)
        exchange.answer("GET /book", json_answer({"error": "no book"}, 404))
        execution = {
            "timeout_ms": 60_000,
            **(bot or {}).get("execution", {}),
        }  # of a busy machine
        bots = {BOT: {"mode": "general_live", **(bot or {}), "execution": execution}}
        config = config_for(tmp_path / "state", exchange, feed, bots, **changes)
        path = write_config(tmp_path / "host.toml", exchange.url, feed.url)
        async with Host(config, environ=environ, timings=FAST) as host:
            yield Steered(host, exchange, feed, tmp_path / "state", path)


def answer_in(result: Result) -> Any:
    """Return what a command said with --json."""
    return json.loads(result.stdout)
