"""An order's id and signature, checked against orders the official SDK signed."""

import dataclasses
import itertools

import pytest
from py_clob_client_v2 import ClobClient
from py_clob_client_v2.order_utils import ExchangeOrderBuilderV2, SignedOrderV2
from py_clob_client_v2.order_utils.model.order_data_v2 import order_to_json_v2
from py_clob_client_v2.signer import Signer
from support.paper_stage import CONTRACTS, START_MS, Trader, private_key

from polytraders_pfh.paper.clock import ManualClock
from polytraders_pfh.paper.protocol.envelope import SignedOrder, read_envelope
from polytraders_pfh.paper.protocol.refusals import Refused
from polytraders_pfh.paper.protocol.signatures import OrderVerifier

WALLET = "0x00000000000000000000000000000000000d3905"
OTHER = "0x000000000000000000000000000000000000beef"
OWNER = Signer(private_key(7), 137).address().lower()
VERIFIER = OrderVerifier(137)


def trader(signature_type: int = 0) -> Trader:
    funder = None if signature_type == 0 else WALLET
    client = ClobClient(
        "http://127.0.0.1:9", 137, key=private_key(7), signature_type=signature_type, funder=funder
    )
    return Trader(
        client, funder or client.get_address(), signature_type, ManualClock(START_MS), itertools.count(1)
    )


def on_the_wire(order: SignedOrderV2) -> SignedOrder:
    return read_envelope(order_to_json_v2(order, "owner", "GTC")).order


def refusal_of(order: SignedOrder, *, neg_risk: bool = False) -> str:
    with pytest.raises(Refused) as refused:
        VERIFIER.verify(order, signed_by=OWNER, neg_risk=neg_risk)
    assert refused.value.status == 400
    return str(refused.value.body["error"])


@pytest.mark.parametrize("signature_type", [0, 1, 2, 3])
@pytest.mark.parametrize("neg_risk", [False, True])
def test_an_order_signed_by_the_sdk_is_valid_and_has_the_sdks_id(signature_type: int, neg_risk: bool) -> None:
    signed = trader(signature_type).order("BUY", 10, 530_000, neg_risk=neg_risk)
    contract = CONTRACTS.neg_risk_exchange_v2 if neg_risk else CONTRACTS.exchange_v2
    sdk = ExchangeOrderBuilderV2(contract, 137, None)

    order_id = VERIFIER.verify(on_the_wire(signed), signed_by=OWNER, neg_risk=neg_risk)

    assert order_id == sdk.build_order_hash(sdk.build_order_typed_data(signed))


@pytest.mark.parametrize("signature_type", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("salt", 999),
        ("maker", OTHER),
        ("signer", OTHER),
        ("token_id", "5"),
        ("maker_amount", 1),
        ("taker_amount", 99_000_000),
        ("side", "SELL"),
        ("timestamp_ms", 1),
        ("metadata", "0x" + "01" * 32),
        ("builder", "0x" + "01" * 32),
    ],
)
def test_changing_any_signed_field_breaks_the_signature(
    signature_type: int, field: str, value: object
) -> None:
    order = on_the_wire(trader(signature_type).order("BUY", 10, 530_000))
    wire = dataclasses.replace(order, **{field: value})

    assert refusal_of(wire) == "invalid signature"


@pytest.mark.parametrize("position", [0, 64, 65, 97, 129, 200, 316])
def test_a_deposit_wallets_signature_is_checked_in_every_part(position: int) -> None:
    order = on_the_wire(trader(3).order("BUY", 10, 530_000))
    raw = bytearray.fromhex(order.signature[2:])
    assert len(raw) == 317
    raw[position] ^= 0xFF

    assert refusal_of(dataclasses.replace(order, signature="0x" + raw.hex())) == "invalid signature"


@pytest.mark.parametrize("signature_type", [0, 3])
def test_a_signature_for_the_other_kind_of_market_is_refused(signature_type: int) -> None:
    order = on_the_wire(trader(signature_type).order("BUY", 10, 530_000, neg_risk=False))

    assert refusal_of(order, neg_risk=True) == "invalid signature"


@pytest.mark.parametrize("signature_type", [0, 3])
@pytest.mark.parametrize("version", ["1", "3"])
def test_another_domain_version_is_a_version_mismatch(signature_type: int, version: str) -> None:
    order = on_the_wire(trader(signature_type).order("BUY", 10, 530_000, version=version))

    assert refusal_of(order) == "order_version_mismatch"


def test_the_old_order_struct_is_a_version_mismatch() -> None:
    body = order_to_json_v2(trader().order("BUY", 10, 530_000), "owner", "GTC")
    old = {**body["order"], "nonce": "0", "feeRateBps": "0", "taker": OTHER}
    del old["timestamp"]

    with pytest.raises(Refused) as refused:
        read_envelope({**body, "order": old})

    assert refused.value.body == {"error": "order_version_mismatch"}


def test_an_unknown_signature_type_is_not_an_order() -> None:
    order = dataclasses.replace(on_the_wire(trader().order("BUY", 10, 530_000)), signature_type=4)

    assert refusal_of(order) == "Invalid order payload"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("salt", "12"),
        ("salt", True),
        ("salt", -1),
        ("maker", "0x12"),
        ("tokenId", 5),
        ("makerAmount", "1e6"),
        ("makerAmount", "٣"),
        ("takerAmount", "1_000"),
        ("takerAmount", str(2**256)),
        ("side", "buy"),
        ("signatureType", "0"),
        ("metadata", "0x00"),
        ("signature", "0x123"),
        ("expiration", 0),
    ],
)
def test_a_field_of_the_wrong_kind_is_an_invalid_payload(field: str, value: object) -> None:
    body = order_to_json_v2(trader().order("BUY", 10, 530_000), "owner", "GTC")
    body["order"][field] = value

    with pytest.raises(Refused) as refused:
        read_envelope(body)

    assert refused.value.body == {"error": "Invalid order payload"}


def test_order_type_defaults_to_gtc_and_flags_to_off() -> None:
    body = order_to_json_v2(trader().order("BUY", 10, 530_000), "owner", "GTC")
    envelope = read_envelope({"order": body["order"], "owner": "owner"})

    assert (str(envelope.order_type), envelope.post_only, envelope.defer_exec) == ("GTC", False, False)


@pytest.mark.parametrize("signature_type", [1, 2, 3])
def test_an_order_of_somebody_elses_key_is_badly_signed(signature_type: int) -> None:
    order = on_the_wire(trader(signature_type).order("BUY", 10, 530_000))

    with pytest.raises(Refused) as refused:
        VERIFIER.verify(order, signed_by=OTHER, neg_risk=False)

    assert refused.value.body == {"error": "invalid signature"}


@pytest.mark.parametrize("signature_type", [0, 3])
def test_a_signature_with_another_spelling_of_its_parity_is_refused(signature_type: int) -> None:
    order = on_the_wire(trader(signature_type).order("BUY", 10, 530_000))
    raw = bytearray.fromhex(order.signature[2:])
    raw[64] += 8  # 27 and 28 become 35 and 36, the replay-protected spelling of the same two

    assert refusal_of(dataclasses.replace(order, signature="0x" + raw.hex())) == "invalid signature"


def test_a_deposit_wallet_signs_for_itself_only() -> None:
    maker = trader(3)
    signed = maker.order("BUY", 10, 530_000)
    sdk = ExchangeOrderBuilderV2(CONTRACTS.exchange_v2, 137, maker.client.signer)
    foreign = dataclasses.replace(signed, maker=OTHER)
    signature = sdk.build_order_signature(sdk.build_order_typed_data(foreign))

    assert refusal_of(on_the_wire(dataclasses.replace(foreign, signature=signature))) == "invalid signature"
