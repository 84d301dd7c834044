"""The paper exchange alone, for whoever wants to point a client at it; real time, until a signal."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from polytraders_pfh.paper.clock import SystemClock
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import MICRO, Market
from polytraders_pfh.paper.markets.crowd import RecordedCrowd, exchange_market
from polytraders_pfh.paper.markets.player import Player
from polytraders_pfh.paper.markets.recordings import open_recording
from polytraders_pfh.paper.markets.steps import Step
from polytraders_pfh.paper.markets.synthetic import SyntheticFlow, synthetic_market
from polytraders_pfh.paper.protocol.server import PaperServer, serve
from polytraders_pfh.paper.protocol.venue import VenueOptions

SYNTHETIC_MARKETS: Final = 2
MAX_GAP_MS: Final = 60_000
MARKETS_LISTED: Final = 20


@dataclass(frozen=True, slots=True)
class PaperOptions:
    """What `paper` was asked for. Without a recording the flow is synthetic."""

    port: int = 0
    seed: int = 6
    recording: Path | None = None
    starting_usd: int = 10_000
    speed: Fraction = Fraction(1)


def run_paper(options: PaperOptions, say: Callable[[str], None]) -> int:
    """Serve until SIGTERM or Ctrl-C; return 0.

    Raises:
        RecordingError: The recording is missing or broken.
        OSError: The port is taken.
    """
    return asyncio.run(_serve(options, say))


async def _serve(options: PaperOptions, say: Callable[[str], None]) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    clock, exchange = SystemClock(), Exchange(f"paper {options.seed}")
    markets, steps = _source(options)
    for market in markets:
        exchange.add_market(market, clock.now_ms())
    venue = VenueOptions(
        starting_usd_micro=options.starting_usd * MICRO, seed=f"paper {options.seed}".encode()
    )
    async with await serve(exchange, port=options.port, clock=clock, options=venue) as server:
        for line in _greeting(server, markets, options):
            say(line)
        playing = asyncio.create_task(_play(server, steps, clock, options.speed, say))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if playing.done():
            playing.result()
            await stop.wait()
        for task in (playing, stopping):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    say("the paper exchange has stopped")
    return 0


def _source(options: PaperOptions) -> tuple[tuple[Market, ...], Iterable[Step]]:
    if options.recording is None:
        listed = tuple(synthetic_market(options.seed, number) for number in range(SYNTHETIC_MARKETS))
        return listed, SyntheticFlow(options.seed, listed).steps()
    recording = open_recording(options.recording)
    listed = tuple(exchange_market(market) for market in recording.markets)
    return listed, RecordedCrowd(recording.markets).steps(recording.frames())


async def _play(
    server: PaperServer,
    steps: Iterable[Step],
    clock: SystemClock,
    speed: Fraction,
    say: Callable[[str], None],
) -> None:
    player = Player(server.exchange, steps, clock, speed=speed, max_gap_ms=MAX_GAP_MS)
    async for _ in player.play():
        server.pump()
    say("the recording is over; the books stay as they are, and orders are taken as before")


def _greeting(server: PaperServer, markets: Iterable[Market], options: PaperOptions) -> Iterable[str]:
    yield f"paper exchange: {server.url}    WebSockets: {server.ws_url}/market and {server.ws_url}/user"
    yield f"every new wallet is given {options.starting_usd:,} paper pUSD; fills are SIMULATED"
    listed = list(markets)
    for market in listed[:MARKETS_LISTED]:
        yield f"market {market.condition_id}  {market.question}"
        for outcome in market.outcomes:
            yield f"    {outcome.name}: token {outcome.token_id}"
    if len(listed) > MARKETS_LISTED:
        yield f"and {len(listed) - MARKETS_LISTED} markets more"
    yield "the official SDK, pointed at it; any key will do, since no money is behind it:"
    yield "    from py_clob_client_v2 import ClobClient"
    yield f'    client = ClobClient("{server.url}", chain_id=137, key="0x" + "11" * 32)'
    yield "    client.set_api_creds(client.create_or_derive_api_key())"
    yield "Ctrl-C stops it"
