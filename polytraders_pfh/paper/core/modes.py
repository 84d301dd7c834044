"""Which requests the exchange takes at the moment (clob_v2 2.6)."""

from __future__ import annotations

from polytraders_pfh.paper.core.admission import Refusal
from polytraders_pfh.paper.core.amounts import ceil_div
from polytraders_pfh.paper.core.model import Mode, OrderRequest

_RESTARTING = "matching engine restarting"
_DISABLED = "trading is disabled"
_CANCEL_ONLY = "trading is in cancel-only mode: new orders are not accepted"
_POST_ONLY = "trading is in post-only mode: only post-only orders are accepted"


class ModeSwitch:
    """The mode in force, and when it ends by itself."""

    def __init__(self, after_restart_post_only_ms: int) -> None:
        """Open until set otherwise."""
        self._after_restart_ms = after_restart_post_only_ms
        self.mode = Mode.OPEN
        self.until_ms: int | None = None

    def set(self, mode: Mode, until_ms: int | None) -> None:
        """Change the mode; `until_ms` None keeps it until it is changed again."""
        self.mode = mode
        self.until_ms = until_ms

    def pass_time(self, now_ms: int) -> None:
        """End a mode whose time is over; a restart is followed by post-only mode."""
        while self.until_ms is not None and now_ms >= self.until_ms:
            if self.mode is Mode.RESTARTING and self._after_restart_ms:
                self.set(Mode.POST_ONLY, self.until_ms + self._after_restart_ms)
            else:
                self.set(Mode.OPEN, None)

    def refuses_post(self, request: OrderRequest, now_ms: int) -> Refusal | None:
        """The refusal of a new order, if the mode has one."""
        match self.mode:
            case Mode.RESTARTING:
                return Refusal(_RESTARTING, 425, retry_after_s=self._left_s(now_ms))
            case Mode.DISABLED:
                return Refusal(_DISABLED, 503)
            case Mode.CANCEL_ONLY:
                return Refusal(_CANCEL_ONLY, 503)
            case Mode.POST_ONLY if not request.post_only:
                return Refusal(_POST_ONLY, 503, code="post_only_mode", retry_after_s=self._left_s(now_ms))
            case _:
                return None

    def refuses_cancel(self, now_ms: int) -> Refusal | None:
        """The refusal of a cancel: only a restart and a full stop have one."""
        if self.mode is Mode.RESTARTING:
            return Refusal(_RESTARTING, 425, retry_after_s=self._left_s(now_ms))
        return Refusal(_DISABLED, 503) if self.mode is Mode.DISABLED else None

    def _left_s(self, now_ms: int) -> int | None:
        return None if self.until_ms is None else ceil_div(self.until_ms - now_ms, 1000)
