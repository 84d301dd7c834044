"""A promotion gate that a person overrode: on record before anything acts on it, at every start."""

import logging
from typing import Final

from polytraders_pfh.config import Settings
from polytraders_pfh.core.modes import Mode
from polytraders_pfh.engine.journal import Kind, Record
from polytraders_pfh.engine.tools import Tools
from polytraders_pfh.engine.within import within

_LOG: Final = logging.getLogger("polytraders_pfh.engine")


async def record_override(tools: Tools, settings: Settings) -> None:
    """Record who overrode the gate of the config's mode, and why; where that fails, nothing acts."""
    word = settings.gate_override
    if word is None:
        return
    facts = {
        "command": "override-gate",
        "actor": word.who,
        "peer": "config",
        "reason": word.why,
        "mode": settings.mode,
    }
    record = Record(Kind.COMMAND, tools.clock.now_ms(), "", "", "", facts)
    try:
        await within(settings.execution.call_timeout_ms / 1000, tools.journal.append(record))
    except Exception as e:
        _LOG.error("the override of a gate could not be recorded (%s), so nothing acts on it", e)
        tools.mode.set(Mode.SHADOW_ONLY, "the override of its gate could not be recorded")
