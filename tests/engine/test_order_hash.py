"""An order's hash, computed here in two Keccaks, against the SDK's own over any fields there may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polytraders_hookspecs import SignedOrder
from polytraders_hookspecs.orders import ZERO_BYTES32
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ExchangeOrderBuilderV2
from py_clob_client_v2.order_utils.model.order_data_v2 import OrderV2
from py_clob_client_v2.order_utils.model.side import Side
from py_clob_client_v2.order_utils.model.signature_type_v2 import SignatureTypeV2

from polytraders_pfh.engine.orders import exchange_contract, order_hash

addresses = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
hashes = st.binary(min_size=32, max_size=32).map(lambda raw: "0x" + raw.hex())
amounts = st.integers(1, 10**15)
orders = st.builds(
    SignedOrder,
    order_id=st.just(ZERO_BYTES32),
    salt=st.integers(1, 2**53 - 1),
    maker=addresses,
    signer=addresses,
    token_id=st.integers(0, 2**256 - 1).map(str),
    maker_amount_micro=amounts,
    taker_amount_micro=amounts,
    side=st.sampled_from(["BUY", "SELL"]),
    signature_type=st.integers(0, 3),
    timestamp_ms=st.integers(1, 2**45),
    metadata=hashes,
    builder_code=hashes,
    expiration_s=st.just(0),
    order_type=st.just("GTC"),
    post_only=st.booleans(),
    chain_id=st.just(137),
    exchange_contract=st.booleans().map(lambda neg_risk: exchange_contract(137, neg_risk)),
    signature=st.just("0x" + "11" * 65),
)


@given(signed=orders)
def test_order_hash_is_the_sdk_s_own(signed: SignedOrder) -> None:
    builder = ExchangeOrderBuilderV2(signed.exchange_contract, signed.chain_id, signer=None)
    typed_data = builder.build_order_typed_data(
        OrderV2(
            salt=str(signed.salt),
            maker=signed.maker,
            signer=signed.signer,
            tokenId=signed.token_id,
            makerAmount=str(signed.maker_amount_micro),
            takerAmount=str(signed.taker_amount_micro),
            side=Side.BUY if signed.side == "BUY" else Side.SELL,
            signatureType=SignatureTypeV2(signed.signature_type),
            timestamp=str(signed.timestamp_ms),
            metadata=signed.metadata,
            builder=signed.builder_code,
        )
    )

    assert order_hash(signed) == builder.build_order_hash(typed_data)


@given(
    signed=orders, field=st.sampled_from(["salt", "maker_amount_micro", "taker_amount_micro", "timestamp_ms"])
)
def test_no_number_changes_without_the_hash(signed: SignedOrder, field: str) -> None:
    changed = signed.model_copy(update={field: getattr(signed, field) + 1})

    assert order_hash(changed) != order_hash(signed)


@given(signed=orders)
def test_number_that_does_not_fit_its_word_has_no_hash(signed: SignedOrder) -> None:
    with pytest.raises(OverflowError):
        order_hash(signed.model_copy(update={"salt": 2**256}))
