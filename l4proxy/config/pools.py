"""What the configuration says of a pool."""

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import BeforeValidator, Field

from l4proxy.config.addresses import IpAddress, parse_source
from l4proxy.config.attestation import AttestationSettings
from l4proxy.config.backends import BackendSettings, DiscoverySettings, Entry, ProxyProtocol
from l4proxy.config.health import HealthCheck
from l4proxy.config.names import host_name
from l4proxy.config.scalars import OFF, choice, duration, or_word, parsed, switch, whole
from l4proxy.config.scaling import ScalingSettings
from l4proxy.config.section import Section
from l4proxy.config.shorthand import none_when_off, pool_written_out
from l4proxy.config.sticky import DrainSettings, SessionSettings, StickySettings
from l4proxy.config.telemetry import TelemetrySettings
from routing import Balance, Hashing
from sni import ServerName

MAX_CONNECTIONS: Final = 1_000_000
"""Connections that may be asked for: two descriptors each, and no kernel of today gives more."""


class Count(StrEnum):
    """What fills the capacity of a backend."""

    SESSIONS = "sessions"
    """Clients with a connection open, or closed a moment ago."""

    CONNECTIONS = "connections"
    """Each open connection counts as a session."""


class CapacitySettings(Section):
    """What each backend of a pool may carry at once."""

    count: Annotated[Count, choice(Count)] = Count.SESSIONS
    """What fills it: sessions (clients, by address) or connections, for clients behind NAT."""

    sessions_per_backend: Annotated[int | None, or_word(OFF, whole(1, MAX_CONNECTIONS))] = None
    """Sessions at which a backend gets no new ones."""

    connections_per_backend: Annotated[int | None, or_word(OFF, whole(1, MAX_CONNECTIONS))] = None
    """Connections at which a backend gets none at all, not even of its own sessions."""


class TimeoutSettings(Section):
    """How long a connection of a pool may wait, and last."""

    connect: Annotated[float, duration("100ms", "60s")] = 3.0
    """For a backend to accept; then the next backend is tried."""

    idle: Annotated[float, duration("1s", "168h")] = 3600.0
    """Without a byte in either direction; then it is closed."""

    half_closed: Annotated[float, duration("1s", "24h")] = 30.0
    """Without a byte after one side has ended its direction; then it is closed."""

    lifetime: Annotated[float | None, or_word(OFF, duration("1m", "720h"))] = None
    """The age at which a connection is closed, however busy it is."""

    user_timeout: Annotated[float, duration("1s", "1h")] = 120.0
    """For a peer to acknowledge what it was sent (TCP_USER_TIMEOUT); then it counts as gone."""

    keepalive: Annotated[float, duration("5s", "2h")] = 60.0
    """Without a byte before the kernel asks a peer whether it is still there (TCP_KEEPIDLE)."""


class PoolSettings(Section):
    """The backends that may serve one route."""

    expects: ClassVar[str] = "a list of backends, or a mapping {backends, balance, …}"

    entries: tuple[Entry, ...] = Field(alias="backends", min_length=1)
    """Addresses, or mappings {address, name, weight, …} or {dns, weight, …}."""

    server_name: Annotated[ServerName, host_name] | None = None
    """The name that probes ask for; the pool's first exact route when left out."""

    balance: Annotated[Balance, choice(Balance)] = Balance.AFFINITY
    """For a new session: affinity (by the client's network), least_sessions, random_two,
    round_robin or load (by telemetry)."""

    hash: Annotated[Hashing, choice(Hashing)] = Hashing.RENDEZVOUS
    """How `balance: affinity` ranks backends: rendezvous, or maglev for hundreds of them."""

    sticky: Annotated[StickySettings | None, BeforeValidator(none_when_off)] = StickySettings()
    """What holds a client to its backend: a mapping {tickets, session_ids, …}, or off."""

    session: SessionSettings = SessionSettings()
    """What a session is."""

    drain: DrainSettings = DrainSettings()
    """How a backend that is drained lets go of its sessions."""

    slow_start: Annotated[float | None, or_word(OFF, duration("1s", "1h"))] = None
    """How long a backend that comes back takes to get its whole share of new sessions; or off."""

    capacity: CapacitySettings = CapacitySettings()
    """What each backend may carry at once."""

    health: HealthCheck = None
    """Probes: tcp, tls or http, a mapping {type, every, …}, or off."""

    passive_health: Annotated[bool, switch()] = True
    """Whether a backend that keeps failing dials is set aside for a while: on or off."""

    attestation: Annotated[AttestationSettings | None, BeforeValidator(none_when_off)] = None
    """What its backends must prove before they get traffic: a mapping {policy, …}, or off."""

    proxy_protocol: Annotated[ProxyProtocol, choice(ProxyProtocol)] = ProxyProtocol.OFF
    """The PROXY header that tells backends of the client: off, v1 or v2."""

    source: tuple[Annotated[IpAddress, parsed(parse_source, str, "10.0.0.5")], ...] = ()
    """Local addresses that backends are dialled from; without one the kernel chooses."""

    timeouts: TimeoutSettings = TimeoutSettings()
    """How long its connections may wait, and last."""

    telemetry: Annotated[TelemetrySettings | None, BeforeValidator(none_when_off)] = None
    """What its backends tell of their load: a mapping {url, every, …}, or off."""

    scaling: Annotated[ScalingSettings | None, BeforeValidator(none_when_off)] = None
    """How many backends it is to have: a mapping {min, max, sessions, …}, or off."""

    @property
    def backends(self) -> tuple[BackendSettings, ...]:
        """The backends with addresses of their own, in the order of the file."""
        return tuple(entry for entry in self.entries if isinstance(entry, BackendSettings))

    @property
    def discover(self) -> tuple[DiscoverySettings, ...]:
        """The names under which DNS finds further backends, in the order of the file."""
        return tuple(entry for entry in self.entries if isinstance(entry, DiscoverySettings))

    @classmethod
    def written_out(cls, found: object) -> object:
        """Return the mapping that a bare list of backends stands for."""
        return pool_written_out(found)
