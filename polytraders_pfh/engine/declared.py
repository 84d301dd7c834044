"""What strategies declared before their orders were placed, by trace: bounds that are never exceeded."""

from collections import OrderedDict
from collections.abc import Callable, Mapping

from polytraders_hookspecs.events import DecisionReport, SignedEvent
from polytraders_hookspecs.signing import check_signature
from polytraders_hookspecs.wire import to_micro

from polytraders_pfh.core.chase import Bounds
from polytraders_pfh.core.market import Side
from polytraders_pfh.core.money import MICRO, size_down
from polytraders_pfh.core.policy import Policy
from polytraders_pfh.engine.intents import Intent


class Declared:
    """DecisionReports by trace id, oldest forgotten first."""

    def __init__(
        self, event_keys: Mapping[str, bytes], keep: int, note: Callable[[DecisionReport, bytes], None]
    ) -> None:
        self._note = note
        self._keys = event_keys
        self._keep = keep
        self._reports: OrderedDict[str, DecisionReport] = OrderedDict()

    def __len__(self) -> int:
        return len(self._reports)

    def take(self, envelope: SignedEvent) -> None:
        """Remember a signed DecisionReport.

        Raises:
            EventForged: The signature is wrong.
            WireError: The body is not a DecisionReport.
        """
        check_signature(envelope, self._keys)
        report = DecisionReport.from_json(envelope.body)
        self.restore(report)
        self._note(report, envelope.body)

    def restore(self, report: DecisionReport) -> None:
        """Remember a report that the log remembers."""
        self._reports[report.trace_id] = report
        self._reports.move_to_end(report.trace_id)
        if len(self._reports) > self._keep:
            self._reports.popitem(last=False)

    def bound(self, intent: Intent) -> None:
        """Draw an intent's bounds in to what its strategy declared, if it did for this trace and side.

        The intended size bounds shares at the root price; the limit price bounds every chase. A report
        may come after the intent's first fill, and a second one may only draw the bounds tighter.
        """
        report = self._reports.get(intent.trace_id)
        if report is None or report is intent.declared or Side(report.side) is not intent.side:
            return
        if report.token_id is not None and report.token_id != intent.token_id:
            return
        usd = to_micro(report.intended_size_usd)
        size = min(intent.bounds.size_micro, size_down(usd, intent.root_price_micro))
        intent.bounds = Bounds(intent.side, size, min(intent.bounds.cost_pico, usd * MICRO))
        limit, known = to_micro(report.limit_price), intent.limit_price_micro
        tighter = min if intent.side is Side.BUY else max
        intent.limit_price_micro = limit if known is None else tighter(limit, known)
        intent.declared = report
        if report.strategy is not None:
            wish = report.strategy
            intent.strategy_id = intent.strategy_id or wish.id
            if intent.policy is None and wish.partial_fill_policy is not None:
                intent.policy = Policy(wish.partial_fill_policy)
            intent.allow_wide_chase = intent.allow_wide_chase or wish.allow_wide_chase
