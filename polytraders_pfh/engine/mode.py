"""The mode in force: at most what the config says, and below that what a person set at run time.

Lowering it holds back every post that has not been sent, also of sequences that began before; a cancel
that is out is seen to its end. It never goes above the config's own mode: that is what a config is for.
"""

from polytraders_pfh.core.modes import Mode, Reach, may_act, may_post, reaches_further
from polytraders_pfh.core.policy import Decision


class ModeSwitch:
    """How far decisions go now.

    Attributes:
        now: The mode in force.
        ceiling: The config's.
        why: Who lowered it and why, or empty while it stands where the config put it.
        changes: How often it was set, by which a promotion sees that something came in between.
    """

    def __init__(self, ceiling: Mode, reach: Reach) -> None:
        self._reach = reach
        self.now = self.ceiling = ceiling
        self.why = ""
        self.changes = 0

    @property
    def lowered(self) -> bool:
        """Whether it stands below the config's."""
        return self.now is not self.ceiling

    def set(self, mode: Mode, why: str) -> None:
        """Put it at `mode`, or at the ceiling when that is lower. Takes effect before this returns."""
        self.now = self.ceiling if reaches_further(mode, self.ceiling) else mode
        self.why = why if self.lowered else ""
        self.changes += 1

    def acts(self, decision: Decision, market_id: str) -> bool:
        """Return whether a decision is carried out, or only reported."""
        return may_act(self.now, decision, market_id, self._reach)

    def holds_back(self, market_id: str, price_micro: int, size_micro: int) -> str:
        """Return why an order decided on earlier must not be sent now, or empty."""
        if not self.lowered or may_post(self.now, market_id, price_micro, size_micro, self._reach):
            return ""
        return f"the mode was lowered to {self.now} meanwhile"
