"""Commands on record: who gave them, how the host knows, and why."""

from collections.abc import Mapping

from polytraders_pfh.engine.assembly import Engine
from polytraders_pfh.engine.intents import Intent
from polytraders_pfh.engine.journal import Kind, Record
from polytraders_pfh.engine.journal.records import Facts
from polytraders_pfh.engine.within import within


async def record_command(
    engine: Engine,
    command: str,
    arguments: Mapping[str, str],
    intent: Intent | None = None,
    order_id: str = "",
    facts: Facts | None = None,
) -> None:
    """Record a command behind all that went before, and return when that is durable.

    Raises:
        JournalFailed: It is not, or nobody knows.
        TimeoutError: The disk took longer than `execution.call_timeout_ms` to say.
    """
    who = {name: arguments.get(name, "") for name in ("actor", "peer", "reason")}
    trace_id, root = ("", "") if intent is None else (intent.trace_id, intent.root_order_id)
    told = {"command": command, **who, **(facts or {})}
    tools = engine.tools
    record = Record(Kind.COMMAND, tools.clock.now_ms(), trace_id, root, order_id, told)
    await within(tools.settings.call_timeout_ms / 1000, tools.journal.append(record))
