"""What a configuration may say, but perhaps does not mean. Advice never keeps it from running."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from l4proxy.config.attestation import TrustMode
from l4proxy.config.backends import BackendSettings, DnsDiscoverySettings
from l4proxy.config.document import path_text
from l4proxy.config.health import HealthType, HttpHealthSettings
from l4proxy.config.model import Config, RuleSettings
from l4proxy.config.pools import PoolSettings
from l4proxy.config.shorthand import DEFAULT_ROUTE
from l4proxy.config.units import format_duration
from l4proxy.limits import DESCRIPTORS_PER_CONNECTION, RESERVED_DESCRIPTORS
from routing import HostPattern, PoolName
from sni import BadServerName, ServerName

LONG_IDLE_SECONDS: Final = 12 * 3600.0
"""Longer idle timeouts are advised against: a client that is gone keeps its room all the while."""

SOURCE_PORTS: Final = 28_232
"""Ports that Linux dials one backend address from unless told otherwise: 32768 to 60999."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to look at: the path of the setting, and a sentence."""

    path: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.path}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class Machine:
    """What the daemon will run on.

    Attributes:
        descriptors: Files that one process may open (RLIMIT_NOFILE); None when not known.
        cores: Workers that `workers: auto` starts.
        source_ports: Ports to dial one backend address from (ip_local_port_range).

    """

    descriptors: int | None = None
    cores: int = 1
    source_ports: int = SOURCE_PORTS


def lint(config: Config, machine: Machine = Machine()) -> tuple[Advice, ...]:
    """Return advice on a configuration, in the order of its sections."""
    return (
        *_trusted(config),
        *_coalescing(config),
        *_unreached_rules(config),
        *_unnameable(config),
        *_default(config),
        *_unrouted(config),
        *_capacity(config),
        *_health(config),
        *_attestation(config),
        *_scaling(config),
        *_pages(config),
        *_idle(config),
        *_descriptors(config, machine),
        *_ports(config, machine),
    )


def _trusted(config: Config) -> Iterator[Advice]:
    for number, listener in enumerate(config.listeners):
        for place, network in enumerate(listener.trusted):
            if network.prefixlen == 0:
                yield Advice(
                    path_text(("listeners", number, "trusted", place)),
                    f"with {network} whoever connects may say to be another client: name the "
                    "balancers before this one alone.",
                )


def _coalescing(config: Config) -> Iterator[Advice]:
    """Browsers send requests for one name over a connection that was made for another.

    They do when address and certificate are the same for both, and then the other's pool gets them.
    """
    pools: defaultdict[str, set[PoolName]] = defaultdict(set)
    for pattern, rules in config.routes.patterns.items():
        parent = pattern.name if pattern.wildcard else pattern.name.partition(".")[2]
        # Nobody holds a certificate for all of a top-level domain.
        if "." in parent:
            pools[parent] |= _http2_pool(rules)
    for parent, led in sorted(pools.items()):
        if len(led) > 1:
            yield Advice(
                "routes",
                f"names below {parent} lead to different pools ({', '.join(sorted(led))}): with a "
                f"certificate for *.{parent}, browsers send requests for one name over an HTTP/2 "
                "connection made for another. Give each pool a certificate for its own names "
                "alone, or let backends answer 421 to the names of others.",
            )


def _http2_pool(rules: tuple[RuleSettings, ...]) -> set[PoolName]:
    """Return the one pool that a client of HTTP/2 reaches by the rules of a pattern, if any."""
    asking = [rule.pool for rule in rules if rule.alpn is not None and b"h2" in rule.alpn]
    others = [rule.pool for rule in rules if rule.alpn is None]
    return set([*asking, *others][:1])


def _unreached_rules(config: Config) -> Iterator[Advice]:
    for pattern, rules in config.routes.patterns.items():
        before: set[bytes] = set()
        for number, rule in enumerate(rules):
            if rule.alpn is not None and rule.alpn <= before:
                yield Advice(
                    path_text(("routes", str(pattern), number)),
                    "never reached: the rules before it take every protocol that it asks for.",
                )
            before |= rule.alpn or set()


def _unnameable(config: Config) -> Iterator[Advice]:
    """An instance name is part of a server name: in lower case, without colons."""
    pools = {rule.pool for _, rule in _rules(config) if rule.instance_name}
    for name in sorted(pools):
        for number, entry in enumerate(config.pools[name].entries):
            path = path_text(("pools", name, "backends", number))
            if isinstance(entry, DnsDiscoverySettings):
                yield Advice(path, "no instance name can name what DNS finds: it has no names.")
            elif isinstance(entry, BackendSettings) and not _is_server_name(entry.name):
                yield Advice(
                    path,
                    f"no instance name can name {entry.name}: give it a name in lower case, such "
                    f"as enclave-{number}.",
                )


def _is_server_name(name: str) -> bool:
    try:
        return ServerName.parse(name) == name
    except BadServerName:
        return False


def _default(config: Config) -> Iterator[Advice]:
    if config.routes.default is not None:
        yield Advice(
            path_text(("routes", DEFAULT_ROUTE)),
            f"every unknown server name reaches pool {config.routes.default}, and so does every "
            "hello without one. With `refuse`, such a client hears that its name is unknown.",
        )


def _unrouted(config: Config) -> Iterator[Advice]:
    routed = {rule.pool for _, rule in _rules(config)} | {config.routes.default}
    for name in config.pools:
        if name not in routed:
            yield Advice(path_text(("pools", name)), "no route leads to this pool.")


def _capacity(config: Config) -> Iterator[Advice]:
    for name, pool in config.pools.items():
        sessions, connections = (
            pool.capacity.sessions_per_backend,
            pool.capacity.connections_per_backend,
        )
        if sessions is not None and connections is not None and sessions > connections:
            yield Advice(
                path_text(("pools", name, "capacity", "sessions_per_backend")),
                f"never reached: a backend is full at {connections} connections.",
            )


def _health(config: Config) -> Iterator[Advice]:
    """A pool of one has nobody else to send clients to, however ill its backend is."""
    for name, pool in config.pools.items():
        if pool.health is None and (len(pool.entries) > 1 or pool.discover):
            yield Advice(
                path_text(("pools", name, "health")),
                "off: that a backend is gone is learned from clients who wait for it. Say tls, and "
                "probes learn it first.",
            )


def _attestation(config: Config) -> Iterator[Advice]:
    for name, pool in config.pools.items():
        if pool.attestation is None:
            continue
        path = path_text(("pools", name, "attestation"))
        if pool.attestation.mode is TrustMode.OBSERVE:
            yield Advice(
                f"{path}.mode",
                "observe: backends that have proved nothing get traffic all the same. Say enforce "
                "once status shows them trusted.",
            )
        if not _seen_by_probes(pool):
            yield Advice(
                path,
                "no probe looks at certificates here: that a key has changed is noticed with the "
                f"next proof only, after up to {format_duration(pool.attestation.every)}. Say "
                "`health: tls`.",
            )


def _seen_by_probes(pool: PoolSettings) -> bool:
    """Tell whether probes shake hands, and so meet the key that clients meet."""
    if isinstance(pool.health, HttpHealthSettings):
        return pool.health.tls
    return pool.health is not None and pool.health.type is HealthType.TLS


def _scaling(config: Config) -> Iterator[Advice]:
    for name, pool in config.pools.items():
        if pool.scaling is None:
            continue
        path, most = path_text(("pools", name, "scaling")), pool.scaling.max
        if len(pool.backends) > most:
            yield Advice(
                f"{path}.max",
                f"{len(pool.backends)} backends are written here: over {most} of them drain.",
            )
        if pool.scaling.drain_timeout is not None:
            yield Advice(
                f"{path}.drain_timeout",
                "sessions that last longer than "
                f"{format_duration(pool.scaling.drain_timeout)} are broken when the pool shrinks. "
                "With `off` none is.",
            )


def _pages(config: Config) -> Iterator[Advice]:
    for name, pool in config.pools.items():
        telemetry = pool.telemetry
        if telemetry is None or telemetry.source is not None:
            continue
        for backend in pool.backends:
            if telemetry.url.of(backend.address) is None:
                yield Advice(
                    path_text(("pools", name, "telemetry", "url")),
                    f"{backend.address} is asked for no page: a metrics page is asked for over IP. "
                    "Write an IP address and a port, or it tells nothing of its load.",
                )


def _idle(config: Config) -> Iterator[Advice]:
    for name, pool in config.pools.items():
        if pool.timeouts.idle > LONG_IDLE_SECONDS:
            yield Advice(
                path_text(("pools", name, "timeouts", "idle")),
                f"a connection whose client is gone without a word keeps its room for "
                f"{format_duration(pool.timeouts.idle)}.",
            )


def _descriptors(config: Config, machine: Machine) -> Iterator[Advice]:
    connections = config.limits.connections
    if connections is None or machine.descriptors is None:
        return
    workers = config.workers or machine.cores
    share = math.ceil(connections / workers)
    need = share * DESCRIPTORS_PER_CONNECTION + RESERVED_DESCRIPTORS
    if need > machine.descriptors:
        yield Advice(
            "limits.connections",
            f"{connections} connections take {need} descriptors in each of {workers} workers, the "
            f"limit is {machine.descriptors}: raise it (LimitNOFILE=, ulimit -n), or say auto.",
        )


def _ports(config: Config, machine: Machine) -> Iterator[Advice]:
    """A backend that cannot be dialled as often as its pool may ask: its source ports run out."""
    total = _most_connections(config, machine)
    for name, pool in config.pools.items():
        most = _most_per_backend(pool, total)
        ports = _source_ports(pool, machine)
        if most is not None and ports is not None and most > ports:
            yield Advice(
                path_text(("pools", name)),
                f"a backend may get {most} connections, and one address can be dialled from "
                f"{ports} source ports ({machine.source_ports} for each `source`): add backends or "
                "sources, set capacity.connections_per_backend, or widen "
                "net.ipv4.ip_local_port_range.",
            )


def _source_ports(pool: PoolSettings, machine: Machine) -> int | None:
    """Return from how many ports the backend with the fewest can be dialled; None for any number.

    What DNS finds may be of the family that has the fewest sources.
    """
    sources = Counter(ip.version for ip in pool.source)
    addresses = [backend.address for backend in pool.backends if backend.address.is_ip]
    families = {ip_address(address.host).version for address in addresses}
    if pool.discover:
        families |= set(sources) or {4}
    fewest = min((sources[family] for family in families), default=None)
    return None if fewest is None else machine.source_ports * max(1, fewest)


def _most_connections(config: Config, machine: Machine) -> int | None:
    """Return how many connections there can be over all workers; None when not known."""
    if config.limits.connections is not None or machine.descriptors is None:
        return config.limits.connections
    room = max(0, machine.descriptors - RESERVED_DESCRIPTORS) // DESCRIPTORS_PER_CONNECTION
    return room * (config.workers or machine.cores)


def _most_per_backend(pool: PoolSettings, total: int | None) -> int | None:
    """Return the connections of one backend when all come to its pool; None when not known."""
    share = None if total is None else math.ceil(total / len(pool.entries))
    bounds = (pool.capacity.connections_per_backend, share)
    return min((bound for bound in bounds if bound is not None), default=None)


def _rules(config: Config) -> Iterator[tuple[HostPattern, RuleSettings]]:
    for pattern, rules in config.routes.patterns.items():
        for rule in rules:
            yield pattern, rule
