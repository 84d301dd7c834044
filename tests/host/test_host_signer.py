import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from polytraders_hookspecs import SignedOrder
from py_clob_client_v2.order_utils import OrderDataV2, Side, SignatureTypeV2
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ExchangeOrderBuilderV2
from py_clob_client_v2.signer import Signer as SdkSigner
from support.clocks import HandClock
from support.orders import BUILDER, FUNDER, TEST_KEY, unsigned

from polytraders_pfh.host.errors import SecretMissing, SigningRefused
from polytraders_pfh.host.secret import Secret
from polytraders_pfh.host.signer import WalletSigner
from polytraders_pfh.host.wallet import Wallet

NORMAL = "0xE111180000d2663C0091e4f400237545B87B996B"
NEG_RISK = "0xe2222d279d744050d28e00520010520000310F59"


def signer_of(kind: int = 0, salt: int = 42) -> WalletSigner:
    funder = FUNDER if kind else None
    wallet = Wallet(TEST_KEY, chain_id=137, signature_type=kind, funder=funder)
    return WalletSigner(wallet, HandClock(), new_salt=lambda: salt)


def sdk_twin(order: SignedOrder) -> tuple[str, str]:
    """The hash and signature of the same fields, straight from the SDK."""
    sdk = SdkSigner(TEST_KEY.reveal(), 137)
    builder = ExchangeOrderBuilderV2(order.exchange_contract, 137, sdk, generate_salt=lambda: str(order.salt))
    built = builder.build_signed_order(
        OrderDataV2(
            maker=order.maker,
            signer=order.signer,
            tokenId=order.token_id,
            makerAmount=str(order.maker_amount_micro),
            takerAmount=str(order.taker_amount_micro),
            side=Side.BUY if order.side == "BUY" else Side.SELL,
            signatureType=SignatureTypeV2(order.signature_type),
            timestamp=str(order.timestamp_ms),
            builder=order.builder_code,
        )
    )
    return builder.build_order_hash(builder.build_order_typed_data(built)), built.signature


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
@pytest.mark.parametrize("neg_risk", [False, True])
async def test_hash_and_signature_are_the_sdks_own_for_every_wallet_type(kind: int, neg_risk: bool) -> None:
    signed = await signer_of(kind).sign_order(unsigned(neg_risk=neg_risk))

    assert (signed.order_id, signed.signature) == sdk_twin(signed)


async def test_a_signature_recovers_to_the_key_that_signed() -> None:
    signed = await signer_of().sign_order(unsigned())
    builder = ExchangeOrderBuilderV2(signed.exchange_contract, 137, SdkSigner(TEST_KEY.reveal(), 137))
    wire = signed.wire_order()
    typed = {
        "primaryType": "Order",
        "types": builder.build_order_typed_data(
            builder.build_order(OrderDataV2(signed.maker, signed.token_id, "1", "1", Side.BUY))
        )["types"],
        "domain": {
            "name": "Polymarket CTF Exchange",
            "version": "2",
            "chainId": 137,
            "verifyingContract": NORMAL,
        },
        "message": {
            "salt": wire["salt"],
            "maker": wire["maker"],
            "signer": wire["signer"],
            "tokenId": int(str(wire["tokenId"])),
            "makerAmount": 50_000_000,
            "takerAmount": 100_000_000,
            "side": 0,
            "signatureType": 0,
            "timestamp": int(str(wire["timestamp"])),
            "metadata": bytes(32),
            "builder": bytes.fromhex(BUILDER[2:]),
        },
    }

    recovered = Account.recover_message(encode_typed_data(full_message=typed), signature=signed.signature)

    assert recovered == Account.from_key(TEST_KEY.reveal()).address == signed.signer


async def test_neg_risk_chooses_the_other_contract() -> None:
    signer = signer_of()

    contracts = [
        (await signer.sign_order(unsigned(neg_risk=flag))).exchange_contract for flag in (False, True)
    ]

    assert contracts == [NORMAL, NEG_RISK]


async def test_the_maker_is_the_funder_and_a_deposit_wallet_signs_in_its_own_name() -> None:
    orders = [await signer_of(kind).sign_order(unsigned()) for kind in (0, 1, 2, 3)]
    key = Account.from_key(TEST_KEY.reveal()).address

    assert [order.maker == key for order in orders] == [True, False, False, False]
    assert [order.signer == key for order in orders] == [True, True, True, False]
    assert orders[3].signer == orders[3].maker
    assert len(orders[3].signature) == 636


async def test_timestamps_grow_by_at_least_a_millisecond_while_the_clock_stands_still() -> None:
    signer = signer_of()

    stamps = [(await signer.sign_order(unsigned())).timestamp_ms for _ in range(3)]

    assert stamps == [1_700_000_000_000, 1_700_000_000_001, 1_700_000_000_002]


async def test_two_orders_with_equal_fields_have_different_ids() -> None:
    signer = signer_of()

    ids = {(await signer.sign_order(unsigned())).order_id for _ in range(3)}

    assert len(ids) == 3


@pytest.mark.parametrize("salt", [0, -1, 2**53])
async def test_a_salt_that_a_json_number_cannot_carry_is_refused(salt: int) -> None:
    with pytest.raises(SigningRefused, match="2\\^53"):
        await signer_of(salt=salt).sign_order(unsigned())


@pytest.mark.parametrize(
    "changes",
    [
        {"maker_amount_micro": 50_000_001},
        {"taker_amount_micro": 99_999_999},
        {"side": "SELL"},
        {"price_micro": 0},
        {"price_micro": 1_000_000},
        {"size_micro": 0, "maker_amount_micro": 0, "taker_amount_micro": 0},
        {"price_micro": 333_333, "size_micro": 1, "maker_amount_micro": 0, "taker_amount_micro": 1},
        {"order_type": "GTD"},
        {"expiration_s": 1_800_000_000},
    ],
)
async def test_numbers_that_contradict_each_other_are_never_signed(changes: dict[str, object]) -> None:
    with pytest.raises(SigningRefused):
        await signer_of().sign_order(unsigned(**changes))


async def test_a_sell_gives_shares_and_takes_pusd() -> None:
    signed = await signer_of().sign_order(
        unsigned(side="SELL", maker_amount_micro=100_000_000, taker_amount_micro=50_000_000)
    )

    assert (signed.order_id, signed.signature) == sdk_twin(signed)


def test_neither_wallet_nor_signer_shows_the_key() -> None:
    signer = signer_of()
    wallet = Wallet(TEST_KEY, chain_id=137)

    shown = f"{signer!r} {signer} {wallet!r} {wallet} {wallet.sdk_signer()!r} {TEST_KEY!r} {TEST_KEY}"

    assert "1111111111" not in shown


@pytest.mark.parametrize("text", ["", "0x12", "zz" * 32, "00" * 32, "ff" * 32])
def test_a_text_that_is_no_key_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(SecretMissing) as caught:
        Wallet(Secret(text), chain_id=137)

    assert not text or text not in str(caught.value)
    assert caught.value.__cause__ is None


def test_type_zero_with_a_foreign_funder_is_refused() -> None:
    with pytest.raises(SecretMissing, match="funder"):
        Wallet(TEST_KEY, chain_id=137, signature_type=0, funder=FUNDER)
