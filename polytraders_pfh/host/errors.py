"""What can go wrong in the host, as a branch of the package's tree.

HostError
├── SecretMissing       a secret's place held nothing usable; names the place, never the value
├── DiscoveryError      a bot could not be found, loaded or registered; names it and says why
├── SigningRefused      an order's numbers contradict each other or break a limit; nothing was signed
├── SignerAway          the signer's process did not answer, or not with what was asked
├── PayloadError        the exchange sent something unreadable; names field, value and rule
├── ExchangeRefused     the exchange did not answer with what was asked for; names call and status
├── KillSwitchUnknown   the kill switch could not be read, so nobody may post
├── PlacementRefused    an order was not placed; nothing was sent
├── LeaseLost           another host owns this partition, or may by now
└── BusError            the bus did not answer, or is not as it has to be
"""

from polytraders_pfh.errors import PfhError


class HostError(PfhError):
    """Base of every error the host raises on purpose."""


class SecretMissing(HostError):
    """A secret's place held nothing usable. The message names the place, never the value."""


class DiscoveryError(HostError):
    """A bot could not be found, loaded or registered. The message names it and says why."""


class SigningRefused(HostError):
    """An order's numbers contradict each other or break a limit. Nothing was signed."""


class SignerAway(HostError):
    """The signer's process did not answer, or not with what was asked. The message says what to look at."""


class PayloadError(HostError):
    """The exchange sent something unreadable. The message names the field, its value and the rule."""


class ExchangeRefused(HostError):
    """The exchange did not answer with what was asked for. The message names the call and the status."""


class KillSwitchUnknown(HostError):
    """The kill switch could not be read. Its state is unknown, and nobody may post."""


class PlacementRefused(HostError):
    """An order was not placed, and nothing was sent. The message says what to change."""


class LeaseLost(HostError):
    """Another host owns this partition, or may by now. Nothing of it is written or posted here any more."""


class BusError(HostError):
    """The bus did not answer, or is not as it has to be. Whoever has something for it offers it again."""
