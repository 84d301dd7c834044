"""What sequences work with, and what stands in the way of a post whatever the market is like."""

from collections.abc import Callable
from dataclasses import dataclass

from polytraders_hookspecs.services import Clock

from polytraders_pfh.config import Execution
from polytraders_pfh.engine.books import Books
from polytraders_pfh.engine.exchange import Exchange
from polytraders_pfh.engine.fencing import Fencing
from polytraders_pfh.engine.intents import Intent, IntentTable
from polytraders_pfh.engine.journal import Journal
from polytraders_pfh.engine.kill import KillLatch
from polytraders_pfh.engine.mode import ModeSwitch
from polytraders_pfh.telemetry.metrics import Metrics
from polytraders_pfh.telemetry.traces import Traces


@dataclass(frozen=True, slots=True)
class Tools:
    """What the sequencer works with."""

    exchange: Exchange
    books: Books
    journal: Journal
    kill: KillLatch
    mode: ModeSwitch
    intents: IntentTable
    clock: Clock
    traces: Traces
    metrics: Metrics
    settings: Execution
    max_book_age_ms: int
    obstacle: Callable[[], str]
    fencing: Fencing


def obstacle(tools: Tools, intent: Intent) -> str:
    """Return why no order may be posted for this intent now, whatever the market is like, or empty."""
    if intent.unwanted:
        return "it is being cancelled"
    if not intent.rooted:
        return "whether it is the first order of its intent is not known"
    if any(order.unread for order in intent.orders[:-1]):
        return "what an earlier order of its intent had filled is not known"
    if why := tools.fencing.obstacle(intent.root_order_id):
        return why
    return tools.journal.failed or tools.obstacle() or intent.stopped
