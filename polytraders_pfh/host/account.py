"""Who trades: the facts about a wallet that everybody may know, and the two things only its key can do.

The key is in this process (`Wallet`) or in another one (`SocketSigner`); nothing else in the host can tell.
"""

from typing import Final, Literal, Protocol

from polytraders_hookspecs import SignedOrder, UnsignedOrder

SignatureType = Literal[0, 1, 2, 3]
"""0 EOA, 1 Polymarket proxy, 2 Gnosis Safe, 3 deposit wallet, POLY_1271 (exchange docs, order struct)."""

SIGNATURE_TYPES: Final[tuple[SignatureType, ...]] = (0, 1, 2, 3)


class Account(Protocol):
    """A wallet as the exchange adapter needs it.

    Attributes:
        address: The key's own address, checksummed; API credentials belong to it.
        maker: Who holds the funds: the key itself (type 0) or the funder (types 1 to 3).
        signature_type: How the maker's wallet signs.
        chain_id: 137, or 80002 for the test chain.
    """

    @property
    def address(self) -> str: ...
    @property
    def maker(self) -> str: ...
    @property
    def signature_type(self) -> SignatureType: ...
    @property
    def chain_id(self) -> int: ...

    async def clob_auth(self, timestamp_s: int, nonce: int) -> str:
        """Return the L1 signature that creates or derives API credentials."""
        ...


class KeyHolder(Protocol):
    """Whoever holds the key: its account, and orders signed with it (the contract's `Signer`)."""

    @property
    def account(self) -> Account: ...

    async def sign_order(self, order: UnsignedOrder) -> SignedOrder: ...
