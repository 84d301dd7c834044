"""From a form on the page to an order by hand: the same words, checked in the same place, as at the door."""

from collections.abc import Mapping
from typing import Any, Final

from polytraders_pfh.host.admin import Order, OrderRefused

PEER: Final = "page"
_FIELDS: Final = {
    "kill": (),
    "reset-kill": (),
    "mode": ("to", "promote", "bot"),
    "cancel-remainder": ("bot", "order"),
}


def order_in(form: Mapping[str, str]) -> Order:
    """Return the order that a form asks for.

    Raises:
        OrderRefused: A field is no such thing, or the form asks for nothing that there is.
    """
    what = form.get("what", "")
    if what not in _FIELDS:
        raise OrderRefused(f"the form asked for {what[:40]!r}; there are {', '.join(_FIELDS)}")
    options = {name: form[name] for name in _FIELDS[what] if form.get(name)}
    members: dict[str, Any] = {"command": what, "options": options}
    if what == "cancel-remainder":
        members = {"command": "bot", "options": {**options, "command": what}}
    members |= {"by": form.get("by", ""), "reason": form.get("reason", "")}
    return Order.read(members, PEER)
