"""IP addresses as the socket module writes them, packed."""

import socket


def packed(host: str) -> bytes:
    """Return 4 bytes for an IPv4 literal, 16 for IPv6.

    A link-local IPv6 address comes with its interface (fe80::1%eth0), which is not part of it.
    """
    if ":" in host:
        return socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return socket.inet_pton(socket.AF_INET, host)
