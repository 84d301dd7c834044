"""A real Prometheus on loopback, with a database of its own; and its promtool. Tests skip without them."""

import asyncio
import json
import math
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from polytraders_pfh.ops.assets import asset

_UP_WITHIN_S = 30.0
_STOP_WITHIN_S = 10.0
_LISTENING = re.compile(rb'"Listening on" address=(\S+)')


def tool(name: str) -> str:
    """Return where a tool of Debian's package `prometheus` is, or skip the test."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; on Debian: apt-get install prometheus")
    return found


def promtool(*arguments: str) -> str:
    """Run promtool and return what it printed; CalledProcessError when it refuses."""
    done = subprocess.run(
        [tool("promtool"), *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout + done.stderr


@dataclass
class Prometheus:
    """A running server."""

    url: str
    session: aiohttp.ClientSession

    async def ask(self, path: str, **parameters: str) -> Any:
        """Return the data of one answer of its HTTP API."""
        async with self.session.get(f"{self.url}/api/v1/{path}", params=parameters) as answer:
            body = await answer.json()
        assert body["status"] == "success", body
        return body["data"]

    async def query(self, expression: str) -> dict[str, float]:
        """Return the value of each series now, by its labels as JSON text."""
        found = (await self.ask("query", query=expression))["result"]
        return {json.dumps(one["metric"], sort_keys=True): float(one["value"][1]) for one in found}

    async def value(self, expression: str) -> float:
        """Return the value of the one series that an expression gives; NaN when it gives none."""
        found = list((await self.query(expression)).values())
        assert len(found) < 2, (expression, found)
        return found[0] if found else math.nan

    async def alerts(self) -> dict[str, str]:
        """Return the state of each alert that is pending or firing, by its name."""
        return {a["labels"]["alertname"]: a["state"] for a in (await self.ask("alerts"))["alerts"]}

    async def exemplars(self, selector: str) -> list[dict[str, str]]:
        """Return the labels of every exemplar that was scraped with these series."""
        found = await self.ask("query_exemplars", query=selector, start="0", end="9999999999")
        return [one["labels"] for series in found for one in series["exemplars"]]

    async def until(self, condition: "Callable[[Prometheus], Any]", within_s: float = 60.0) -> Any:
        """Ask again until the awaited condition is true, and return it; fail when it is not in time."""
        try:
            async with asyncio.timeout(within_s):
                while not (found := await condition(self)):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            async with self.session.get(f"{self.url}/api/v1/alerts") as answer:
                said = await answer.text()
            raise AssertionError(f"not within {within_s} s; of alerts Prometheus said {said}") from None
        return found

    async def until_firing(self, alert: str, within_s: float = 60.0) -> None:
        """Return once an alert fires; it is waited for as long as its rule does, and then some."""

        async def fires(server: Prometheus) -> bool:
            return (await server.alerts()).get(alert) == "firing"

        await self.until(fires, within_s)

    async def until_gone(self, alert: str, within_s: float = 60.0) -> None:
        """Return once an alert is neither pending nor firing."""

        async def gone(server: Prometheus) -> bool:
            return alert not in await server.alerts()

        await self.until(gone, within_s)


@asynccontextmanager
async def prometheus(
    directory: Path, scraped_url: str | None, scrape_ms: int = 250
) -> AsyncIterator[Prometheus]:
    """Run Prometheus with the shipped rules on a free port, scraping `scraped_url` (with its /metrics).

    Args:
        directory: Where its config and database go; created when missing. A database in `data` is taken.
        scraped_url: The host's window, for example `host.url`; None scrapes nothing.
        scrape_ms: How often it scrapes, and looks at its rules.
    """
    binary = tool("prometheus")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "alerts.yaml").write_bytes(asset("alerts.yaml"))
    (directory / "prometheus.yaml").write_text(_config(scraped_url, scrape_ms))
    process = await asyncio.create_subprocess_exec(
        binary,
        f"--config.file={directory / 'prometheus.yaml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        "--enable-feature=exemplar-storage",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    drain: asyncio.Task[None] | None = None
    try:
        assert process.stderr is not None
        url = await _listening(process.stderr)
        drain = asyncio.create_task(_drain(process.stderr))
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            server = Prometheus(url, session)
            await server.until(_ready if scraped_url is None else _scraped, _UP_WITHIN_S)
            yield server
    finally:
        await _stop(process)
        if drain is not None:
            await drain


async def _ready(server: Prometheus) -> bool:
    async with server.session.get(f"{server.url}/-/ready") as answer:
        return answer.status == 200


async def _scraped(server: Prometheus) -> bool:
    if not await _ready(server):
        return False
    targets = (await server.ask("targets", state="active"))["activeTargets"]
    return [target["health"] for target in targets] == ["up"]


def _config(scraped_url: str | None, every_ms: int) -> str:
    targets = [] if scraped_url is None else [urlsplit(scraped_url).netloc]
    return json.dumps(
        {
            "global": {"scrape_interval": f"{every_ms}ms", "evaluation_interval": f"{every_ms}ms"},
            "rule_files": ["alerts.yaml"],
            "scrape_configs": [{"job_name": "host", "static_configs": [{"targets": targets}]}],
        }
    )


async def _listening(log: asyncio.StreamReader) -> str:
    """Read the server's log until it says where it listens."""
    lines: list[bytes] = []
    async with asyncio.timeout(_UP_WITHIN_S):
        async for line in log:
            lines.append(line)
            if found := _LISTENING.search(line):
                return f"http://{found.group(1).decode()}"
    raise AssertionError(f"prometheus did not come up: {b''.join(lines).decode()}")


async def _drain(log: asyncio.StreamReader) -> None:
    while await log.read(65_536):
        pass


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
