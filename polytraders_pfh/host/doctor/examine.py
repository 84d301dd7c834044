"""The whole examination, in the order in which things are mended: what stands on what comes later."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from polytraders_hookspecs import Clock

from polytraders_pfh.config import BOT_ID
from polytraders_pfh.host.doctor import exchange, ground, installed, settings, watching
from polytraders_pfh.host.doctor.finding import Finding, right, skipped


async def examine(path: Path, environ: Mapping[str, str], clock: Clock) -> AsyncIterator[Finding]:
    """Yield one finding after the other. A config with faults ends it: nothing else can be looked at.

    Args:
        path: The host's TOML file.
        environ: Where `env` secrets and the discovery switches come from.
        clock: Whose offset is judged.
    """
    yield installed.package()
    read, found = settings.config(path)
    enabled = [name for name, section in read.bots.items() if section.enabled] if read else [BOT_ID]
    for finding in installed.bots(enabled, environ):
        yield finding
    yield found
    if read is None:
        yield skipped("everything else", "the config has to be right first")
        return
    sections, gate = settings.bot_sections(read), settings.gate(read, clock.now_ms())
    for finding in (*sections, *gate, *settings.secrets(read, environ)):
        yield finding
    directory = read.host.state_dir
    for finding in ground.state_dir(directory):
        yield finding
    is_running = ground.running(directory)
    yield right("host", f"{'one runs' if is_running else 'none runs'} here now")
    yield ground.kill_switch(read.kill_switch_file)
    for finding in ground.journals(directory, enabled):
        yield finding
    yield await ground.door(read, is_running)
    async for finding in exchange.look(read, environ, clock):
        yield finding
    async for finding in watching.look(read, environ, clock, is_running):
        yield finding
