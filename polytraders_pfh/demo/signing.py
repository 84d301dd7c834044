"""Keys and salts out of a seed, for paper money alone: the same order in the same run has the same id.

The reference host draws both from the machine's own chance, as it should where money is real.
"""

import hashlib
from collections import Counter

from polytraders_hookspecs import Clock, SignedOrder, UnsignedOrder

from polytraders_pfh.host.secret import Secret
from polytraders_pfh.host.signer import MAX_SALT, WalletSigner
from polytraders_pfh.host.wallet import Wallet

_CHAIN_ID = 137


def seeded_hex(*parts: object) -> str:
    """Return 64 hex digits that follow from the parts."""
    return hashlib.sha256("\0".join(map(str, ("polytraders demo", *parts))).encode()).hexdigest()


def seeded_wallet(seed: int) -> Wallet:
    """Return the demo's wallet. Its key is no secret: anybody can derive it from the seed."""
    return Wallet(Secret(wallet_key(seed)), chain_id=_CHAIN_ID)


def wallet_key(seed: int) -> str:
    """Return the key of `seeded_wallet`, as the host's config reads it."""
    return seeded_hex(seed, "wallet")


class SeededSigner:
    """Signs as the host's own signer does, with salts that follow from seed, trace and count.

    Attributes:
        signed: Every order that was signed, by its id, whether or not it was ever posted.
    """

    def __init__(self, wallet: Wallet, clock: Clock, seed: int) -> None:
        self._wallet = wallet
        self._clock = clock
        self._seed = seed
        self._times: Counter[str] = Counter()
        self.signed: dict[str, SignedOrder] = {}

    async def sign_order(self, order: UnsignedOrder) -> SignedOrder:
        """Return this order signed.

        Raises:
            SigningRefused: The amounts are not price times size, or a field is out of bounds.
        """
        number = self._times[order.trace_id]
        self._times[order.trace_id] += 1
        digits = seeded_hex(self._seed, "salt", order.trace_id, number)
        salt = 1 + int(digits, 16) % (MAX_SALT - 1)
        # A signer of its own per order: its timestamps then depend on no other order.
        signer = WalletSigner(self._wallet, self._clock, new_salt=lambda: salt)
        signed = await signer.sign_order(order)
        self.signed[signed.order_id] = signed
        return signed

    def first_with(self, builder_code: str) -> str:
        """Return the id of the first order signed with this builder code, or empty."""
        return next((i for i, order in self.signed.items() if order.builder_code == builder_code), "")
