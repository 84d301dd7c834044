"""The commented example files of the package."""

from importlib.resources import files
from typing import Final, Literal

Example = Literal["live", "signer"]
EXAMPLES: Final[tuple[Example, ...]] = ("live", "signer")


def example(name: Example) -> str:
    """Return the text of an example file."""
    return (
        files("polytraders_pfh.host.sidecar").joinpath("examples", f"{name}.toml").read_text(encoding="utf-8")
    )
