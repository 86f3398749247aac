"""The client as a selection sees it: an address, and the network that it comes from."""

from typing import Final

# A client keeps its network longer than its address: /24 is what a provider's or an office's NAT
# spreads over; /56 is what a site is given (RFC 6177 §2), within which privacy addresses rotate.
_IPV4_PREFIX_BYTES: Final = 3
_IPV6_PREFIX_BYTES: Final = 7

_IPV4_BYTES: Final = 4
_IPV6_BYTES: Final = 16
_IPV4_MAPPED: Final = bytes(10) + b"\xff\xff"  # RFC 4291 §2.5.5.2


class Client:
    """Who connected. A plain class, since one is made per decision.

    Attributes:
        address: Packed, in network order: 4 bytes IPv4, 16 bytes IPv6. A peer without an IP address
            (a Unix socket) stands for itself, whatever its bytes.

    """

    __slots__ = ("address",)

    def __init__(self, address: bytes) -> None:
        self.address: Final = address

    @property
    def prefix(self) -> bytes:
        """Return the network: /24 of IPv4, mapped into IPv6 or not, and /56 of IPv6."""
        address = self.address
        if len(address) == _IPV4_BYTES:
            return address[:_IPV4_PREFIX_BYTES]
        if len(address) != _IPV6_BYTES:
            return address
        if address.startswith(_IPV4_MAPPED):
            return address[len(_IPV4_MAPPED) :][:_IPV4_PREFIX_BYTES]
        return address[:_IPV6_PREFIX_BYTES]
