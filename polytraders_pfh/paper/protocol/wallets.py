"""Which wallet belongs to which key, and the paper money a wallet is given when it is first seen.

On chain, a proxy, Safe or deposit wallet's address follows from its owner's. Here the first valid order from
a wallet binds it to the key that signed; another key's orders for that wallet are then badly signed.
"""

from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.protocol.signatures import SignatureType


class Wallets:
    """Bindings of wallets to signing addresses, and their opening balances. Addresses are lower case."""

    def __init__(self, exchange: Exchange, starting_usd_micro: int) -> None:
        self._exchange = exchange
        self._starting_usd_micro = starting_usd_micro
        self._signers: dict[str, str] = {}
        self._by_signer: dict[tuple[str, int], str] = {}
        self._funded: set[str] = set()

    def claim(self, wallet: str, signer: str, signature_type: int) -> bool:
        """Bind `wallet` to `signer`, or say False because it is another's. First sight opens the account."""
        wallet, signer = wallet.lower(), signer.lower()
        if self._signers.setdefault(wallet, signer) != signer:
            return False
        self._by_signer[signer, signature_type] = wallet
        self.open(wallet)
        return True

    def open(self, wallet: str, usd_micro: int | None = None) -> None:
        """Deposit the opening balance in 10^-6 pUSD (None: the configured one); a wallet gets one only."""
        wallet = wallet.lower()
        amount = self._starting_usd_micro if usd_micro is None else usd_micro
        if amount > 0 and wallet not in self._funded:
            self._funded.add(wallet)
            self._exchange.deposit(wallet, amount)

    def wallet_of(self, signer: str, signature_type: int) -> str | None:
        """The wallet this key trades from with this signature type; None for a wallet not seen yet."""
        signer = signer.lower()
        return (
            signer if signature_type == SignatureType.EOA else self._by_signer.get((signer, signature_type))
        )

    def balance(self, signer: str, signature_type: int, token_id: str | None) -> int:
        """Holding of pUSD (None) or a token, in 10^-6; an unseen wallet holds its opening balance."""
        wallet = self.wallet_of(signer, signature_type)
        if wallet is None:
            return self._starting_usd_micro if token_id is None else 0
        self.open(wallet)
        return self._exchange.balance(wallet, token_id)
