"""External PSKs: keys that client and backend were given out of band, not in a ticket.

A backend that does not have the key may end the handshake, so where such a client goes is worth
saying: by its identity, which a TLS 1.3 client offers in the clear and says again each time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from routing.backend import BackendName


@dataclass(frozen=True, slots=True)
class ExternalPsks:
    """What a pool knows of its external PSKs. Without anything said, nothing.

    Attributes:
        owners: The backend that has the key, by the whole identity. Such an identity is never read
            as a ticket.
        hashed: Whether each other identity goes where its hash says, whatever network it comes
            from. It is taken for one when its obfuscated_ticket_age is 0, which an external PSK
            should have (RFC 9846 §4.3.11), and no ticket name is known that it begins with.

    """

    owners: Mapping[bytes, BackendName] = field(default_factory=dict, hash=False)
    hashed: bool = False

    def __bool__(self) -> bool:
        return self.hashed or bool(self.owners)
