"""What there is to see while it runs: one card per intent, from the exchange's history and the reports."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from polytraders_pfh.demo.desk import Intent
from polytraders_pfh.demo.truth import Fact, KillMark
from polytraders_pfh.paper.core.events import OrderEvent
from polytraders_pfh.paper.core.model import OrderRecord

NEWS_KEPT: Final = 256


@dataclass(slots=True)
class Card:
    """One intent as it stands. `chase_price` is the last one posted, as text."""

    intent: Intent
    orders: dict[str, OrderRecord] = field(default_factory=dict)
    verdict: str = ""
    chase_price: str = ""

    @property
    def filled_micro(self) -> int:
        """Shares filled over the chain."""
        return sum(order.size_matched_micro for order in self.orders.values())

    @property
    def left_micro(self) -> int:
        """Shares that were wanted and are not filled."""
        return max(self.intent.size_micro - self.filled_micro, 0)

    @property
    def open(self) -> bool:
        """Whether an order of the chain still rests."""
        return any(order.is_open for order in self.orders.values())


class Board:
    """Everything to be shown.

    Attributes:
        cards: By builder code, oldest first.
        verdicts: Final reports by verdict.
        news: The newest verdicts: card, verdict and micro-shares filled by then, oldest first.
        killed: Whether the kill switch is on.
        faults: How many faults took place, and `restarts` how often the host was started again.
    """

    def __init__(self) -> None:
        self.cards: dict[str, Card] = {}
        self.verdicts: Counter[str] = Counter()
        self.warnings: Counter[str] = Counter()
        self.news: deque[tuple[Card, str, int]] = deque(maxlen=NEWS_KEPT)
        self.killed = False
        self.faults = self.restarts = 0
        self._by_root: dict[str, Card] = {}

    def placed(self, intents: Iterable[Intent]) -> None:
        """Open a card for each intent."""
        for intent in intents:
            card = Card(intent)
            self.cards[intent.builder_code] = self._by_root[intent.order_id] = card

    def happened(self, facts: Iterable[Fact]) -> None:
        """Take in what happened at the exchange."""
        for fact in facts:
            if isinstance(fact, OrderEvent):
                card = self.cards.get(fact.record.request.builder_code)
                if card is not None:
                    card.orders[fact.record.order_id] = fact.record
            elif isinstance(fact, KillMark):
                self.killed = True

    def reported(self, reports: Iterable[Mapping[str, Any]]) -> None:
        """Take in what the plugin reported."""
        for report in reports:
            if not report.get("final"):
                continue
            self.verdicts[str(report["verdict"])] += 1
            self.warnings.update(report.get("warnings", ()))
            card = self._by_root.get(str(report.get("root_order_id")))
            if card is None:
                continue
            card.verdict = str(report["verdict"])
            if report.get("new_order_id"):
                card.chase_price = str(report.get("chase_price"))
            self.news.append((card, card.verdict, card.filled_micro))

    def part_filled(self) -> bool:
        """Whether some part-filled order rests."""
        return any(card.open and card.filled_micro for card in self.cards.values())
