"""The kill switch as this bot knows it: a latch that only a person resets.

The host's service is asked before every decision and again before every post; the signal sets the
latch at once, wherever a sequence stands. Once on, it stays on here even when the host's goes off.
"""

from collections.abc import Callable
from typing import Final

from polytraders_hookspecs.services import KillSwitch

from polytraders_pfh.core.policy import Kill
from polytraders_pfh.engine.within import within

_STATES: Final = {True: Kill.ON, False: Kill.OFF}


class KillLatch:
    """Whether orders may be posted.

    Attributes:
        signals: How often it was set, by which a reset sees that it was asked for before the last time.
        on_found: Told the reason when asking finds the host's switch on that no signal had told of.
    """

    def __init__(self, service: KillSwitch, timeout_s: float, note: Callable[[bool, str, str], None]) -> None:
        self._note = note
        self._service = service
        self._timeout_s = timeout_s
        self.latched = False
        self.reason = ""
        self.actor = ""
        self.signals = 0
        self.on_found: Callable[[str], None] | None = None

    def set(self, reason: str, actor: str = "") -> None:
        """Latch it. Takes effect before this returns, and is noted for the next start."""
        noted, self.latched = self.latched, True
        self.reason, self.actor = reason, actor
        self.signals += 1
        if not noted:
            self._note(True, reason, actor)

    def remind(self) -> None:
        """Note a latch that was set before there was a log to note it in."""
        if self.latched:
            self._note(True, self.reason, self.actor)

    async def reset(self, signals: int) -> bool:
        """Unlatch it by hand; refused (False) unless the host's switch is known to be off.

        `signals` is what stood there when a person asked. It stays latched when another has come since.
        """
        if await self._asked() is not Kill.OFF or self.signals != signals:
            return False
        self.latched = False
        self.reason = self.actor = ""
        self._note(False, "", "")
        return True

    async def state(self) -> Kill:
        """Return the state now. Reading that the host's switch is on latches it here too."""
        asked = Kill.ON if self.latched else await self._asked()
        return Kill.ON if self.latched else asked

    async def _asked(self) -> Kill:
        try:
            status = await within(self._timeout_s, self._service.status())
            state = _STATES.get(status.active, Kill.UNKNOWN)
            if state is Kill.ON:
                known = self.latched
                self.set(status.reason)
                if not known and self.on_found is not None:
                    self.on_found(status.reason)
        except Exception:
            return Kill.UNKNOWN
        return state
