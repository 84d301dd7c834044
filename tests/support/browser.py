"""A real headless Chromium, driven over its DevTools protocol: what a person would see and send."""

import asyncio
import base64
import itertools
import json
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
_PATIENCE_S = 30.0


class Tab:
    """One page of the browser.

    Attributes:
        problems: What the page's console and its security policy complained about.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._loaded = asyncio.Event()
        self.problems: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def call(self, method: str, **parameters: Any) -> Any:
        """Call a DevTools method."""
        number = next(self._ids)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(_PATIENCE_S):
            return await self._answers[number]

    async def go(self, url: str) -> None:
        """Open an address and wait until it has loaded."""
        await self._after_load(self.call("Page.navigate", url=url))

    async def click(self, selector: str) -> None:
        """Click what leads to another page, and wait until that has loaded."""
        await self._after_load(self.run(f"document.querySelector({json.dumps(selector)}).click()"))

    async def fill(self, selector: str, text: str) -> None:
        """Write into a field."""
        await self.run(f"document.querySelector({json.dumps(selector)}).value = {json.dumps(text)}")

    async def run(self, script: str) -> Any:
        """Evaluate a script in the page and return its value, once there is one."""
        answer = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def text(self, selector: str = "body") -> str:
        """What is written there, as a person reads it."""
        return str(await self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    async def colour(self, selector: str) -> str:
        """The background that it is painted with."""
        script = f"getComputedStyle(document.querySelector({json.dumps(selector)})).backgroundColor"
        return str(await self.run(script))

    async def scheme(self, name: str) -> None:
        """Be a browser in light or dark."""
        await self.call(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}]
        )

    async def screenshot(self, path: Path) -> None:
        """Write what is seen into a file."""
        shot = await self.call("Page.captureScreenshot")
        path.write_bytes(base64.b64decode(shot["data"]))

    async def close(self) -> None:
        """Close the page."""
        await self._socket.close()
        await self._reading

    async def _after_load(self, action: Any) -> None:
        self._loaded.clear()
        await action
        async with asyncio.timeout(_PATIENCE_S):
            await self._loaded.wait()

    async def _read(self) -> None:
        async for message in self._socket:
            event = json.loads(message.data)
            if "id" in event:
                self._answers[event["id"]].set_result(event.get("result", event.get("error")))
            elif event["method"] == "Page.loadEventFired":
                self._loaded.set()
            elif event["method"] == "Log.entryAdded":
                self.problems.append(event["params"]["entry"]["text"])
            elif event["method"] == "Runtime.exceptionThrown":
                self.problems.append(str(event["params"]))


@asynccontextmanager
async def browser(tmp_path: Path, *options: str) -> AsyncIterator[Callable[[], Any]]:
    """Run Chromium; what is yielded opens a new tab."""
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *_QUIET,
        *options,
        f"--user-data-dir={tmp_path / 'chromium'}",
        "--remote-debugging-port=0",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    tabs: list[Tab] = []
    try:
        async with aiohttp.ClientSession() as session:
            address = await _address(process)

            async def tab() -> Tab:
                async with session.put(f"http://{address}/json/new?about:blank") as reply:
                    url = (await reply.json(content_type=None))["webSocketDebuggerUrl"]
                opened = Tab(await session.ws_connect(url, max_msg_size=0))
                tabs.append(opened)
                for domain in ("Page", "Log", "Runtime"):
                    await opened.call(f"{domain}.enable")
                return opened

            yield tab
            for opened in tabs:
                await opened.close()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    async with asyncio.timeout(_PATIENCE_S):
        async for line in process.stderr:
            found = re.search(rb"DevTools listening on ws://([^/]+)/", line)
            if found:
                return found[1].decode()
    raise AssertionError("Chromium did not say where it listens")
