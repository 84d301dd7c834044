"""Steering by hand: an authenticated door of one host, what may be ordered through it, and a way to knock.

place     where door and token of a host are, and who may come near them
token     the secret that opens it
orders    what an operator may order, and from whom an order comes
desk      carries an order out
door      the server: a Unix socket, or loopback
knock     the client
"""

from polytraders_pfh.host.admin.desk import AdminDesk
from polytraders_pfh.host.admin.door import AdminDoor
from polytraders_pfh.host.admin.knock import NobodyAnswers, knock
from polytraders_pfh.host.admin.orders import Caller, Order, OrderRefused
from polytraders_pfh.host.admin.place import AdminPlace
from polytraders_pfh.host.admin.token import AdminToken, TokenRefused

__all__ = [
    "AdminDesk",
    "AdminDoor",
    "AdminPlace",
    "AdminToken",
    "Caller",
    "NobodyAnswers",
    "Order",
    "OrderRefused",
    "TokenRefused",
    "knock",
]
