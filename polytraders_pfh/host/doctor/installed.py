"""Whether the bots that a config enables are installed, can be loaded, and speak this host's contract."""

import importlib.metadata
import platform
from collections.abc import Iterable, Iterator, Mapping

from polytraders_hookspecs import HOOKSPEC_VERSION, PROJECT_NAME, ContractTooOld, require_hookspec

from polytraders_pfh import __version__
from polytraders_pfh.host.discovery import LOAD_PLUGINS
from polytraders_pfh.host.doctor.finding import Finding, right, wrong


def package() -> Finding:
    """Say what runs here."""
    return right("package", f"polytraders-pfh {__version__} on Python {platform.python_version()}")


def bots(enabled: Iterable[str], environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at each bot's entry point and at the contract that its module needs."""
    offered = {entry.name: entry for entry in importlib.metadata.entry_points(group=PROJECT_NAME)}
    allowed = environ.get(LOAD_PLUGINS)
    for name in enabled:
        check = f"entry point {name}"
        if name not in offered:
            names = ", ".join(sorted(offered)) or "none"
            yield wrong(check, f"not installed; installed are {names}", "pip install the package that has it")
            continue
        if allowed is not None and name not in {part.strip() for part in allowed.split(",")}:
            yield wrong(check, f"{LOAD_PLUGINS} is {allowed!r}, which leaves it out", "add its name there")
            continue
        try:
            module = offered[name].load()
        except Exception as e:  # a plugin's module may raise anything
            yield wrong(check, f"not importable: {type(e).__name__}: {e}", "install what it needs")
            continue
        if not hasattr(module, "register_bot"):
            yield wrong(check, f"{offered[name].value} has no register_bot", "mend its package")
            continue
        yield right(check, f"found at {offered[name].value}")
        yield _contract(name, module)


def _contract(name: str, module: object) -> Finding:
    check = f"contract of {name}"
    needed = getattr(module, "NEEDS_HOOKSPEC", None)
    if not isinstance(needed, str):
        return right(check, f"it names no version before its start; this host offers {HOOKSPEC_VERSION}")
    try:
        require_hookspec(name, needed=needed, offered=HOOKSPEC_VERSION)
    except ContractTooOld as e:
        return wrong(check, e, "upgrade the host, or install an older bot")
    return right(check, f"needs {needed}, this host offers {HOOKSPEC_VERSION}")
