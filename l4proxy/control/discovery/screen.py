"""Which addresses that somebody else named may be dialled.

Whoever answers for a name could otherwise point the balancer at itself: at its own admin interface
on the loopback, or at the cloud's metadata service, which is link-local (DNS rebinding).
"""

import ipaddress
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Unfit(StrEnum):
    """Why an address is refused; labels of log lines and metrics."""

    LOOPBACK = "loopback"
    LINK_LOCAL = "link_local"
    MULTICAST = "multicast"

    UNSPECIFIED = "unspecified"
    """The kernel connects these to the machine itself."""

    RESERVED = "reserved"
    """Broadcast and the like, and IPv4 addresses in the abandoned form `::a.b.c.d`."""


# The first that contains an address gives the reason.
_UNFIT: Final[tuple[tuple[IpNetwork, Unfit], ...]] = tuple(
    (ipaddress.ip_network(network), reason)
    for network, reason in (
        ("127.0.0.0/8", Unfit.LOOPBACK),
        ("::1/128", Unfit.LOOPBACK),
        ("169.254.0.0/16", Unfit.LINK_LOCAL),
        ("fe80::/10", Unfit.LINK_LOCAL),
        ("224.0.0.0/4", Unfit.MULTICAST),
        ("ff00::/8", Unfit.MULTICAST),
        ("0.0.0.0/8", Unfit.UNSPECIFIED),
        ("::/128", Unfit.UNSPECIFIED),
        ("240.0.0.0/4", Unfit.RESERVED),
        ("::/96", Unfit.RESERVED),
    )
)


def unfit(address: IpAddress) -> Unfit | None:
    """Return why an address is refused, or None: it may be dialled.

    An IPv4-mapped address is judged by the IPv4 address that the kernel would dial.
    """
    plain = _plain(address)
    return next((reason for network, reason in _UNFIT if plain in network), None)


def screen(
    found: Iterable[IpAddress], *, allow_loopback: bool
) -> tuple[frozenset[IpAddress], Counter[Unfit]]:
    """Return the addresses that may be dialled, and how many were refused for which reason.

    Each comes in one form: an IPv4-mapped address as IPv4, so that none is there twice.

    Args:
        found: What a source named.
        allow_loopback: Whether the loopback may be dialled; nothing else is allowed by it.
    """
    fit: set[IpAddress] = set()
    refused: Counter[Unfit] = Counter()
    for address in found:
        reason = unfit(address)
        if reason is None or (allow_loopback and reason is Unfit.LOOPBACK):
            fit.add(_plain(address))
        else:
            refused[reason] += 1
    return frozenset(fit), refused


def _plain(address: IpAddress) -> IpAddress:
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address
    return address
