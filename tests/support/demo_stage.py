"""Short runs of the demo, and the pieces the oracle is shown, as literals."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from polytraders_hookspecs.events import Policy

from polytraders_pfh.demo.desk import Intent
from polytraders_pfh.demo.flow import RecordedFlow, SyntheticMarkets
from polytraders_pfh.demo.lanes import POLICIES
from polytraders_pfh.demo.result import Plan, Progress, Result
from polytraders_pfh.demo.run import Run, Watcher
from polytraders_pfh.demo.trouble import SETTINGS
from polytraders_pfh.demo.world import BOT_SETTINGS
from polytraders_pfh.paper.core.events import OrderEvent, OrderEventKind
from polytraders_pfh.paper.core.model import MICRO, OrderRecord, OrderRequest, OrderStatus, Side
from polytraders_pfh.paper.markets.recordings import open_recording
from support.market_files import T0, book, write_lines

CODE = "0x" + "0b" * 32
TOKEN = "123456789"
CONDITION = "0x" + "c0" * 32
ROOT, CHASE_ONE, CHASE_TWO = ("0x" + digit * 64 for digit in "123")
OWNER = "0xus"


async def short_run(
    seed: int = 8,
    policies: Sequence[Policy] = POLICIES,
    *,
    duration_ms: int = 90_000,
    after_move: Watcher | None = None,
    faults: int | None = None,
) -> Result:
    """A synthetic market of a minute and a half, as fast as it goes."""
    settings = BOT_SETTINGS if faults is None else SETTINGS
    plan = Plan(SyntheticMarkets(seed, 1, duration_ms), seed, tuple(policies), None, settings, faults)
    return await Run(plan, after_move=after_move).play(_unseen)


def recorded_file(path: Path, frames: int = 400) -> Path:
    """JSON lines of a market whose touch is eaten and refilled every second, and now and then moves."""
    rows = []
    for i in range(frames):
        shift = (i // 40) % 3
        eaten = str(20 + 60 * (i % 3))
        bids = [(f"0.{40 + shift}", "300"), (f"0.{41 + shift}", eaten)]
        asks = [(f"0.{44 + shift}", "300"), (f"0.{42 + shift}", eaten)]
        rows.append(book(T0 + i * 1_000, bids, asks))
    return write_lines(path, rows)


def recorded_flow(path: Path) -> RecordedFlow:
    """That market as a flow."""
    return RecordedFlow(open_recording(recorded_file(path)), "a file", "nobody's")


def intent(**changes: Any) -> Intent:
    """BUY 100 at 0.40, cap and limit three ticks away."""
    made = Intent(
        number=1,
        trace_id="trc_1",
        builder_code=CODE,
        policy="chase",
        style="joiner",
        title="Rain?",
        condition_id=CONDITION,
        token_id=TOKEN,
        outcome="Yes",
        side="BUY",
        price_micro=400_000,
        size_micro=100 * MICRO,
        tick_micro=10_000,
        limit_micro=430_000,
        order_id=ROOT,
        placed_ms=T0,
    )
    return replace(made, **changes)


def order_event(
    kind: OrderEventKind,
    order_id: str = ROOT,
    *,
    price: int = 400_000,
    shares: int = 100,
    matched: int = 0,
    status: OrderStatus = OrderStatus.LIVE,
    side: Side = Side.BUY,
    code: str = CODE,
    token_id: str = TOKEN,
) -> OrderEvent:
    """What the exchange says of one order; sizes in whole shares."""
    size, usd = shares * MICRO, shares * price
    amounts = (usd, size) if side is Side.BUY else (size, usd)
    request = OrderRequest(order_id, OWNER, "key", OWNER, OWNER, token_id, side, *amounts, builder_code=code)
    record = OrderRecord(request, CONDITION, "Yes", price, matched * MICRO, status, (), T0, T0)
    return OrderEvent(kind, record, T0)


def _unseen(_: Progress) -> None:
    """Nobody watches."""
