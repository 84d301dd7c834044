"""What an operator hands to Prometheus, Grafana and whoever is on call: files that ship with the package."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from polytraders_pfh.errors import ConfigError

ASSETS: Final = {
    "alerts.yaml": "Prometheus rules",
    "dashboard.json": "a Grafana dashboard",
    "runbook.md": "what to do about each alert",
}


def asset(name: str) -> bytes:
    """Return one of the files."""
    return files(__name__).joinpath(name).read_bytes()


def write_assets(out: Path, *, force: bool) -> list[Path]:
    """Write all files into a directory, which is made when missing, and return those that were not there.

    Raises:
        ConfigError: A file there differs, and `force` was not given; nothing was written.
        OSError: The directory could not be made or written.
    """
    shipped = {out / name: asset(name) for name in ASSETS}
    present = {path: path.read_bytes() for path in shipped if path.exists()}
    differing = [path for path, content in present.items() if content != shipped[path]]
    if differing and not force:
        raise ConfigError(
            f"{' and '.join(map(str, differing))} would be replaced by another version; move it away, write "
            "into another directory, or pass --force"
        )
    out.mkdir(parents=True, exist_ok=True)
    changed = [path for path, content in shipped.items() if present.get(path) != content]
    for path in changed:
        path.write_bytes(shipped[path])
    return changed
