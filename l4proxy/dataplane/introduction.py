"""Telling a backend who its client is: the PROXY header that goes before the hello."""

import secrets
from typing import NamedTuple

from l4proxy.dataplane.addresses import packed
from l4proxy.dataplane.room import Peer
from l4proxy.dataplane.stream import Stream
from l4proxy.proxy_protocol import IpEndpoint, ProxyHeader, encode_v1, encode_v2
from l4proxy.snapshot import ProxyVersion
from sni import ClientHello

_ID_BYTES = 8  # as hexadecimal digits 16 characters, which the access log repeats


class Origin(NamedTuple):
    """Where a connection comes from and where it arrived, under one id.

    Attributes:
        client: The client, as a PROXY header before us or the socket names it.
        destination: Where it connected to.
        unique_id: Names the connection in our log and in the backend's.
    """

    client: IpEndpoint
    destination: IpEndpoint
    unique_id: str


def origin_of(sock: Stream, peer: Peer, header: ProxyHeader | None) -> Origin:
    """Return the origin of a client.

    Args:
        sock: The client's socket.
        peer: Who connected.
        header: What a PROXY header before the hello said; None: there was none.
    """
    unique_id = secrets.token_hex(_ID_BYTES)
    match header:
        case ProxyHeader(source=IpEndpoint() as client, destination=IpEndpoint() as destination):
            return Origin(client, destination, unique_id)
        case _:
            name = sock.getsockname()
            reached = IpEndpoint(packed(name[0]), name[1])
            return Origin(IpEndpoint(peer.address, peer.port), reached, unique_id)


def introduce(version: ProxyVersion, origin: Origin, hello: ClientHello) -> bytes:
    """Return the PROXY header for a backend.

    Version 2 also tells the server name, the protocol if only one was offered, and the unique id.
    """
    header = ProxyHeader.relayed(
        origin.client,
        origin.destination,
        server_name=hello.server_name,
        offered=hello.alpn,
        unique_id=origin.unique_id.encode(),
    )
    return encode_v1(header) if version is ProxyVersion.V1 else encode_v2(header)
