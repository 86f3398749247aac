"""The configuration as frozen, typed values: seconds, bytes, addresses, patterns, never texts.

The docstrings of the fields are what the JSON schema tells an editor; `config.example.yaml` says
the same at more leisure.
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import BeforeValidator, Field, Strict

from l4proxy.config.addresses import (
    IpNetwork,
    parse_admin_address,
    parse_listener_address,
    parse_network,
)
from l4proxy.config.mistakes import expected
from l4proxy.config.names import host_pattern, pool_name
from l4proxy.config.paths import parse_file_path, parse_socket_path
from l4proxy.config.pools import MAX_CONNECTIONS, PoolSettings
from l4proxy.config.scalars import (
    AUTO,
    OFF,
    REFUSE,
    choice,
    duration,
    or_word,
    parsed,
    protocol,
    size,
    truth,
    whole,
)
from l4proxy.config.section import Section
from l4proxy.config.shorthand import (
    listener_written_out,
    none_when_off,
    routes_written_out,
    rule_written_out,
    rules_written_out,
)
from l4proxy.refusal import RefusalStyle
from routing import Address, HostPattern, PoolName

MAX_WORKERS: Final = 64
"""Worker processes: a core each, and every one costs the supervisor a channel."""


class Stream(StrEnum):
    """A stream of the daemon that the access log may go to."""

    STDOUT = "stdout"


class LogClients(StrEnum):
    """How much of a client's address the access log tells."""

    PREFIX = "prefix"
    """Its network, /24 or /56: enough to tell a flood by, too little to name a person."""

    FULL = "full"
    """All of it."""


class ListenerSettings(Section):
    """One address that clients connect to."""

    expects: ClassVar[str] = "an address, or a mapping {address, proxy_protocol, trusted}"

    address: Annotated[Address, parsed(parse_listener_address, str, "0.0.0.0:8443")]
    """host:port or [v6]:port; the host is an IP address or localhost (127.0.0.1)."""

    proxy_protocol: Annotated[bool, truth()] = False
    """Whether each connection must begin with a PROXY header (v1 or v2) that names its client."""

    trusted: tuple[Annotated[IpNetwork, parsed(parse_network, str, "10.0.0.0/8")], ...] = ()
    """The networks whose PROXY headers are believed; all other connections are refused."""

    @classmethod
    def written_out(cls, found: object) -> object:
        """Return the mapping that a bare address stands for."""
        return listener_written_out(found)


class RuleSettings(Section):
    """Where the connections of one pattern go."""

    expects: ClassVar[str] = "a pool, or a mapping {pool, alpn, instance_name}"

    pool: Annotated[PoolName, pool_name]
    """The pool that serves them."""

    alpn: (
        Annotated[
            frozenset[Annotated[bytes, protocol()]], Strict(strict=False), Field(min_length=1)
        ]
        | None
    ) = None
    """Only clients that offer one of these ALPN protocols; without it, every client."""

    instance_name: Annotated[bool, truth()] = False
    """For a wildcard: whether what it stands for may name a backend of the pool."""

    @classmethod
    def written_out(cls, found: object) -> object:
        """Return the mapping that a bare pool stands for."""
        return rule_written_out(found)


Rules = Annotated[tuple[RuleSettings, ...], Field(min_length=1), BeforeValidator(rules_written_out)]


class RouteSettings(Section):
    """Server names on the left, pools on the right. Their order never matters."""

    expects: ClassVar[str] = "a mapping of host patterns to pools"

    patterns: Mapping[Annotated[HostPattern, host_pattern], Rules] = Field(alias="(patterns)")
    """The rules of each pattern: one without `alpn` and any number with it."""

    default: Annotated[PoolName | None, or_word(REFUSE, pool_name)] = None
    """Where a hello goes that has no server name, or an unknown one: refuse, or a pool."""

    @classmethod
    def written_out(cls, found: object) -> object:
        """Return the patterns gathered under one key."""
        return routes_written_out(found)


class LimitSettings(Section):
    """Bounds on what clients can make the balancer spend."""

    connections: Annotated[int | None, or_word(AUTO, whole(1, MAX_CONNECTIONS))] = None
    """Open connections over all workers; auto: what the descriptor limit allows."""

    per_client: Annotated[int | None, or_word(OFF, whole(1, MAX_CONNECTIONS))] = 200
    """Open connections of one client (of IPv6: a /64) in each worker; off: only those above."""

    hello_timeout: Annotated[float, duration("100ms", "60s")] = 5.0
    """From accepting a connection to its whole ClientHello."""

    hello_bytes: Annotated[int, size("1KiB", "64KiB")] = 65_536
    """The largest ClientHello."""

    buffers: Annotated[int, size("1MiB", "16GiB")] = 256 * 1024 * 1024
    """Bytes that each worker may keep for peers that read more slowly than others write."""


class AdminSettings(Section):
    """The HTTP API for operators."""

    expects: ClassVar[str] = "a mapping {address, socket}, or off"

    address: Annotated[
        Address | None, or_word(OFF, parsed(parse_admin_address, str, "127.0.0.1:9080"))
    ] = Address("127.0.0.1", 9080)
    """A loopback address, to look and change nothing: whoever reaches it needs no token. Or off."""

    socket: Annotated[
        Path | None, or_word(OFF, parsed(parse_socket_path, str, "/run/l4proxy/admin.sock"))
    ] = None
    """The path of a unix socket for the daemon's own user (mode 0600), to change backends too."""


class ShutdownSettings(Section):
    """How the daemon ends."""

    timeout: Annotated[float, duration("0s", "24h")] = 30.0
    """How long SIGTERM lets open connections finish."""


def parse_log_target(found: object) -> Path | Stream:
    """Return where the access log goes.

    Raises:
        BadValueError: neither `stdout` nor an absolute path.
    """
    if found == Stream.STDOUT:
        return Stream.STDOUT
    if not isinstance(found, str) or not found.startswith("/"):
        raise expected(found, "stdout, an absolute path such as /var/log/l4proxy.log")
    return parse_file_path(found)


class Config(Section):
    """The whole configuration of one daemon."""

    expects: ClassVar[str] = "a mapping with listeners, routes and pools"

    listeners: tuple[ListenerSettings, ...] = Field(min_length=1)
    """Where clients connect."""

    routes: RouteSettings
    """Server name to pool."""

    pools: Mapping[Annotated[PoolName, pool_name], PoolSettings] = Field(min_length=1)
    """The backends, by the name of their pool."""

    refusal: Annotated[RefusalStyle, choice(RefusalStyle)] = RefusalStyle.ALERT
    """How a connection ends that no backend will serve: alert, close or reset."""

    limits: LimitSettings = LimitSettings()
    """Bounds on what clients can make the balancer spend."""

    workers: Annotated[int | None, or_word(AUTO, whole(1, MAX_WORKERS))] = None
    """Worker processes; auto: one a core."""

    admin: Annotated[AdminSettings | None, BeforeValidator(none_when_off)] = AdminSettings()
    """The HTTP API for operators: a mapping {address, socket}, or off."""

    access_log: Annotated[
        Path | Stream | None,
        or_word(OFF, parsed(parse_log_target, str, "/var/log/l4proxy/access.log")),
    ] = None
    """A line of JSON for each connection: off, stdout, or the absolute path of a file."""

    log_clients: Annotated[LogClients, choice(LogClients)] = LogClients.PREFIX
    """How much of a client's address the access log tells: prefix (/24 or /56) or full."""

    shutdown: ShutdownSettings = ShutdownSettings()
    """How the daemon ends."""
