"""Orders that tests sign: one well-known key, which holds nothing anywhere."""

from typing import Any

from polytraders_hookspecs import UnsignedOrder
from polytraders_hookspecs.orders import ZERO_BYTES32

from polytraders_pfh.host.secret import Secret
from support.canaries import WALLET_KEY

TEST_KEY = Secret(WALLET_KEY)
FUNDER = "0x" + "Ab" * 20
MARKET = "0x" + "c1" * 32
TOKEN = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
BUILDER = "0x" + "bd" * 32


def unsigned(**changes: Any) -> UnsignedOrder:
    """Return a BUY of 100 at 0.5 with the given fields changed."""
    fields: dict[str, Any] = {
        "token_id": TOKEN,
        "market_id": MARKET,
        "side": "BUY",
        "price_micro": 500_000,
        "size_micro": 100_000_000,
        "maker_amount_micro": 50_000_000,
        "taker_amount_micro": 100_000_000,
        "builder_code": BUILDER,
        "neg_risk": False,
        "trace_id": "trc_0123456789abcdef",
        "root_order_id": ZERO_BYTES32,
    }
    return UnsignedOrder(**(fields | changes))
