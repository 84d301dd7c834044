"""The settings of steering by hand."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class AdminSection(BaseModel):
    """`[admin]`: the door for orders by hand, a Unix socket under `state_dir/admin`, or a loopback port."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    door: Literal["socket", "loopback", "off"] = "socket"
    port: Annotated[int, Field(ge=0, le=65535, strict=True)] = 0
