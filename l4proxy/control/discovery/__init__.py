"""Who exists, asked of others: sources that watch a directory and report sets of addresses.

    sources      from what the configuration says to what is watched
    dns          asks for one name again and again, keeps the last good answer
    resolvers    one question to one resolver, the system's or a server's
    kubernetes   watches the endpoints of one Service
    endpoints    what its EndpointSlices say of backends: pure
    plugin       what a plug-in finds
    screen       which of the addresses found may be dialled at all

What is reported here is merged with the configuration by `l4proxy.control.membership`.
"""

from l4proxy.control.directory import Changed, Discovery, Statistics
from l4proxy.control.discovery.dns import DnsDiscovery, DnsSource, DnsStatistics
from l4proxy.control.discovery.kubernetes import (
    KubernetesDiscovery,
    KubernetesSource,
    KubernetesStatistics,
)
from l4proxy.control.discovery.resolvers import DnsFault
from l4proxy.control.discovery.screen import Unfit

__all__ = [
    "Changed",
    "Discovery",
    "DnsDiscovery",
    "DnsFault",
    "DnsSource",
    "DnsStatistics",
    "KubernetesDiscovery",
    "KubernetesSource",
    "KubernetesStatistics",
    "Statistics",
    "Unfit",
]
