"""`[gates]`: the evidence that lets a mode act, and a person's word in its place."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from polytraders_pfh.config import Mode
from polytraders_pfh.host.config_file import Section

_Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


class OverrideSection(Section):
    """`[gates.override]`: one mode is run without its gate; who says so, and why, goes on record."""

    mode: Literal["quarantine", "limited_live", "general_live"]
    who: _Text
    why: _Text


class GatesSection(Section):
    """`[gates]`: `junit` are reports of a test run, which the gate of the first acting mode asks for."""

    junit: tuple[Path, ...] = ()
    override: OverrideSection | None = None

    def word_for(self, mode: Mode) -> OverrideSection | None:
        """Return the override of this mode's gate, if there is one."""
        return self.override if self.override is not None and self.override.mode == mode else None
