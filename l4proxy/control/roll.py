"""The roll: who exists in every pool of one configuration, and how each is spoken to.

Pure: who finds backends or asks for them says so here. A reload makes a new roll, which inherits
from the old one; until then the old one stands as it was.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from l4proxy.config import (
    Config,
    DiscoverySettings,
    DnsDiscoverySettings,
    KubernetesDiscoverySettings,
    PluginDiscoverySettings,
    PoolSettings,
    ProxyProtocol,
)
from l4proxy.control.found import Found
from l4proxy.control.membership import (
    Feed,
    Member,
    Membership,
    MembershipError,
    Places,
    Source,
    SourceName,
)
from l4proxy.snapshot import ProxyVersion
from routing import Address, BackendName, PoolName

_VERSIONS = {
    ProxyProtocol.OFF: None,
    ProxyProtocol.V1: ProxyVersion.V1,
    ProxyProtocol.V2: ProxyVersion.V2,
}


class UnknownPool(MembershipError):
    """The configuration has no such pool."""


class Roll:
    """The members of all pools, and their PROXY headers."""

    def __init__(self, config: Config) -> None:
        """Begin with the configuration's part.

        Raises:
            TooMany: It has more backends than there are places.
        """
        places = Places()
        self._pools = {name: _Enrolled(pool, places) for name, pool in config.pools.items()}

    def inherit(self, old: "Roll") -> None:
        """Go on from the roll before a reload: what was put, and what was found.

        Raises:
            TooMany: There are not enough places for the configuration's and those put.
        """
        for name, pool in self._pools.items():
            if name in old._pools:  # noqa: SLF001 - one class
                pool.membership.inherit(old._pools[name].membership)  # noqa: SLF001 - one class

    def __iter__(self) -> Iterator[PoolName]:
        return iter(self._pools)

    def members(self, pool: PoolName) -> tuple[Member, ...]:
        """Return who exists in a pool, in order."""
        return self._pools[pool].membership.members()

    def headers(self, pool: PoolName) -> dict[BackendName, ProxyVersion]:
        """Return the members of a pool that are sent a PROXY header, and which."""
        enrolled = self._pools[pool]
        versions = {each.name: enrolled.header(each.address) for each in self.members(pool)}
        return {name: version for name, version in versions.items() if version is not None}

    def sources(self) -> Mapping[tuple[PoolName, SourceName], DiscoverySettings]:
        """Return what is to be discovered, for whom."""
        return {
            (name, source): settings
            for name, pool in self._pools.items()
            for source, settings in pool.sources.items()
        }

    def left_out(self, pool: PoolName) -> int:
        """Return how many addresses were found for a pool for which there was no place."""
        return self._pools[pool].membership.left_out

    def discovered(self, pool: PoolName, source: SourceName, found: Iterable[Found]) -> None:
        """Take what a source has found, the whole set."""
        self._pools[pool].membership.discovered(source, found)

    def put(self, pool: PoolName, member: Member) -> Member:
        """Add a member, or give one that is there another weight; return it as it is now.

        Raises:
            UnknownPool: There is no such pool.
            AlreadyThere: Another member has the name or the address.
            TooMany: There is no place left.
        """
        return self._membership(pool).put(member)

    def delete(self, pool: PoolName, name: BackendName) -> Member:
        """Remove a member; return it as it was.

        Raises:
            UnknownPool: There is no such pool.
            Unknown: No member has the name.
        """
        return self._membership(pool).delete(name)

    def _membership(self, pool: PoolName) -> Membership:
        if pool not in self._pools:
            raise UnknownPool(f"found no pool {pool!r}, expected one of {sorted(self._pools)}")
        return self._pools[pool].membership


class _Enrolled:
    """One pool: what its configuration says, and its members."""

    def __init__(self, settings: PoolSettings, places: Places) -> None:
        self._settings = settings
        self.sources = {_source_name(each): each for each in settings.discover}
        self._written = {each.address: each for each in settings.backends}
        self.membership = Membership(
            (
                Member(each.name, each.address, each.weight, server_id=each.server_id)
                for each in settings.backends
            ),
            {name: Feed(each.weight, _how(each)) for name, each in self.sources.items()},
            places,
        )

    def header(self, address: Address) -> ProxyVersion | None:
        """Return what a member at an address is sent, whoever named it.

        A backend expects its header or does not, also when the API gives it another weight.
        """
        source = self.membership.found_by(address)
        entry = self._written.get(address) or (self.sources[source] if source else None)
        own = entry.proxy_protocol if entry is not None else None
        return _VERSIONS[own if own is not None else self._settings.proxy_protocol]


def _how(settings: DiscoverySettings) -> Source:
    if isinstance(settings, PluginDiscoverySettings):
        return Source.PLUGIN
    return Source.DNS if isinstance(settings, DnsDiscoverySettings) else Source.KUBERNETES


def _source_name(settings: DiscoverySettings) -> SourceName:
    """Return what tells a source from the others of its pool.

    A source that may find other addresses is another one, which inherits none of them.
    """
    match settings:
        case DnsDiscoverySettings(dns=dns):
            at = "" if dns.resolver is None else f"@{dns.resolver}"
            found, loopback = f"{dns.name}:{dns.port}", dns.allow_loopback
        case KubernetesDiscoverySettings(kubernetes=asked):
            at = "" if asked.kubeconfig is None else f"@{asked.kubeconfig}"
            found, loopback = f"kubernetes:{asked.service}:{asked.port}", asked.allow_loopback
        case PluginDiscoverySettings(discovery=chosen):
            told = hashlib.blake2b(repr(chosen.settings).encode(), digest_size=4).hexdigest()
            at, found, loopback = f"@{told}", chosen.name, False
        case _:
            raise TypeError(f"no source of discovery: {settings!r}")
    return SourceName(found + at + ("+loopback" if loopback else ""))
