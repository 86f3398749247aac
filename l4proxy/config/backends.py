"""What the configuration says of backends: those with an address, and those that are found."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Discriminator, Field, Tag

from l4proxy.config.addresses import (
    MAX_PORT,
    parse_backend_address,
    parse_resolver,
)
from l4proxy.config.choice import Choice, chosen
from l4proxy.config.kubernetes import KubernetesSettings
from l4proxy.config.names import backend_name, default_backend_name, host_name
from l4proxy.config.scalars import SYSTEM, choice, duration, or_word, parsed, truth, whole
from l4proxy.config.section import Section
from l4proxy.config.shorthand import backend_written_out
from l4proxy.control.directory import installed_discoveries
from routing import MAX_SERVER_ID, Address, BackendName
from sni import ServerName

MAX_WEIGHT: Final = 256
"""The largest weight, as HAProxy has it: a share of 1 in 256 is fine enough."""

backend_server_id: Final = whole(0, MAX_SERVER_ID)
backend_weight: Final = whole(1, MAX_WEIGHT)
discovery_choice: Final = chosen("a way to find backends", installed_discoveries)
dns_port: Final = whole(1, MAX_PORT)
dns_resolver: Final = or_word(SYSTEM, parsed(parse_resolver, str, "10.0.0.2"))


class ProxyProtocol(StrEnum):
    """What a backend is told of the client before its first byte (the PROXY protocol)."""

    OFF = "off"
    """Nothing."""

    V1 = "v1"
    """One line of text."""

    V2 = "v2"
    """The binary header."""


class BackendSettings(Section):
    """One enclave at one address."""

    expects: ClassVar[str] = (
        "an address, or a mapping {address, name, weight, …}, {dns: …}, {kubernetes: …} or"
        " {discovery: …}"
    )

    address: Annotated[Address, parsed(parse_backend_address, str, "10.0.0.11:8443")]
    """ip:port, [v6]:port, unix:/path or vsock:CID:PORT."""

    name: Annotated[BackendName, backend_name] = Field(
        default_factory=lambda known: default_backend_name(known["address"])
    )
    """Its name in logs, metrics and commands, unique in the pool; the address when left out."""

    weight: Annotated[int, backend_weight] = 1
    """Its share of new sessions, beside the weights of the others."""

    proxy_protocol: Annotated[ProxyProtocol, choice(ProxyProtocol)] | None = None
    """The PROXY header that it gets: off, v1 or v2; as its pool's when left out."""

    server_id: Annotated[int, backend_server_id] | None = None
    """The number in its routable ticket names, as `l4proxy ticket-name --server-id` had it."""

    @classmethod
    def written_out(cls, found: object) -> object:
        """Return the mapping that a bare address stands for."""
        return backend_written_out(found)


class DnsSettings(Section):
    """What DNS is asked for."""

    expects: ClassVar[str] = "a mapping {name, port, …}"

    name: Annotated[ServerName, host_name]
    """The host name whose addresses (A and AAAA) are backends."""

    port: Annotated[int, dns_port]
    """The port that each of them is dialled at."""

    resolver: Annotated[Address | None, dns_resolver] = None
    """Who is asked: system (as this machine is set up), or the address of a DNS server."""

    allow_loopback: Annotated[bool, truth()] = False
    """Whether an answer may name this machine itself, with all that listens on its loopback."""

    every: Annotated[float, duration("1s", "1h")] = 10.0
    """How long an answer is used before DNS is asked again."""


class DiscoverySettings(Section):
    """Enclaves that are found, however they are."""

    weight: Annotated[int, backend_weight] = 1
    """The share that each of them has of new sessions."""

    proxy_protocol: Annotated[ProxyProtocol, choice(ProxyProtocol)] | None = None
    """The PROXY header that they get: off, v1 or v2; as their pool's when left out."""


class DnsDiscoverySettings(DiscoverySettings):
    """The enclaves that DNS finds under one name."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "address": "a backend has an address or is found by DNS: leave out this or `dns`",
        "name": "what DNS finds is called by its address: leave the name out",
        "kubernetes": "a backend is found in one way: leave out this or `dns`",
    }
    expects: ClassVar[str] = "a mapping {dns, weight, proxy_protocol}"

    dns: DnsSettings
    """What DNS is asked for."""


class KubernetesDiscoverySettings(DiscoverySettings):
    """The enclaves that are the endpoints of one Service of Kubernetes."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "address": "a backend has an address or is found: leave out this or `kubernetes`",
        "name": "what Kubernetes finds is called by its pod: leave the name out",
    }
    expects: ClassVar[str] = "a mapping {kubernetes, weight, proxy_protocol}"

    kubernetes: KubernetesSettings
    """The Service."""


class PluginDiscoverySettings(DiscoverySettings):
    """The enclaves that a plug-in finds."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "address": "a backend has an address or is found: leave out this or `discovery`",
        "name": "what is found is called by who finds it: leave the name out",
    }
    expects: ClassVar[str] = "a mapping {discovery, weight, proxy_protocol}"

    discovery: Annotated[Choice, discovery_choice]
    """Who finds them, and its settings: {NAME: {…}}."""


# In parentheses, as no key of a document is: pydantic puts tags into the paths of its errors.
_ADDRESS: Final = "(address)"
_DNS: Final = "(dns)"
_KUBERNETES: Final = "(kubernetes)"
_DISCOVERY: Final = "(discovery)"


def _kind(found: object) -> str:
    """Tell which of them an entry is, as a document has it or as a model."""
    if isinstance(found, DnsDiscoverySettings) or (isinstance(found, dict) and "dns" in found):
        return _DNS
    by_kubernetes = isinstance(found, dict) and "kubernetes" in found
    if isinstance(found, KubernetesDiscoverySettings) or by_kubernetes:
        return _KUBERNETES
    by_plugin = isinstance(found, dict) and "discovery" in found
    if isinstance(found, PluginDiscoverySettings) or by_plugin:
        return _DISCOVERY
    return _ADDRESS


Entry = Annotated[
    Annotated[BackendSettings, Tag(_ADDRESS)]
    | Annotated[DnsDiscoverySettings, Tag(_DNS)]
    | Annotated[KubernetesDiscoverySettings, Tag(_KUBERNETES)]
    | Annotated[PluginDiscoverySettings, Tag(_DISCOVERY)],
    Discriminator(_kind),
]
"""One item of `backends`."""
