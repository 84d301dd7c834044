"""A signed order, as the exchange wants to see it and as nobody else may see it."""

import json
from typing import Any

import pytest
from polytraders_hookspecs import SignedOrder, WireError
from polytraders_hookspecs.wire import print_json

SIGNATURE = "0x" + "ab" * 65


def order(**changes: Any) -> SignedOrder:
    """The card's chase: 396.82 shares at 0.63."""
    return SignedOrder(
        **(
            {
                "order_id": "0x" + "c3" * 32,
                "salt": 479_249_096_354,
                "maker": "0x" + "11" * 20,
                "signer": "0x" + "22" * 20,
                "token_id": "7" * 77,
                "maker_amount_micro": 249_996_600,
                "taker_amount_micro": 396_820_000,
                "side": "BUY",
                "signature_type": 2,
                "timestamp_ms": 1_746_770_100_000,
                "builder_code": "0x706f6c7974726164657273" + "00" * 21,
                "expiration_s": 0,
                "order_type": "GTC",
                "post_only": False,
                "chain_id": 137,
                "exchange_contract": "0x" + "33" * 20,
                "signature": SIGNATURE,
            }
            | changes
        )
    )


def test_an_order_is_posted_in_the_exchanges_own_names_and_kinds() -> None:
    assert order().wire_order() == {
        "salt": 479_249_096_354,
        "maker": "0x" + "11" * 20,
        "signer": "0x" + "22" * 20,
        "tokenId": "7" * 77,
        "makerAmount": "249996600",
        "takerAmount": "396820000",
        "side": "BUY",
        "expiration": "0",
        "signatureType": 2,
        "timestamp": "1746770100000",
        "metadata": "0x" + "00" * 32,
        "builder": "0x706f6c7974726164657273" + "00" * 21,
        "signature": SIGNATURE,
    }


def test_the_same_order_is_the_same_bytes_every_time() -> None:
    once, again = print_json(order().wire_order()), print_json(order().wire_order())

    assert once == again
    assert json.loads(once) == order().wire_order()


def test_a_signed_order_reads_back_as_it_was_written() -> None:
    assert SignedOrder.from_json(order().to_json()) == order()


def test_the_signature_shows_in_no_repr() -> None:
    """Whoever has it can post the order."""
    assert SIGNATURE not in repr(order()) + str(order())


@pytest.mark.parametrize(
    "signature", ["", "0x", "0x" + "ab" * 64, "0x" + "AB" * 65, "ab" * 66, "0x" + "ab" * 600]
)
def test_an_order_without_a_whole_signature_is_refused_without_showing_it(signature: str) -> None:
    with pytest.raises(ValueError, match="signature") as caught:
        order(signature=signature)

    assert "ab" * 64 not in str(caught.value)


def test_an_order_read_from_json_with_a_broken_signature_is_refused() -> None:
    members = json.loads(order().to_json()) | {"signature": "0x12"}

    with pytest.raises(WireError, match=r"^SignedOrder\.signature was "):
        SignedOrder.from_json(json.dumps(members).encode())
