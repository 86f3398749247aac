"""Who exists, asked of others: sources that watch a directory and report sets of addresses.

    dns          asks for one name again and again, keeps the last good answer
    resolvers    one question to one resolver, the system's or a server's
    screen       which of the addresses found may be dialled at all

What is reported here is merged with the configuration by `l4proxy.control.membership`.
"""

from l4proxy.control.discovery.dns import (
    Changed,
    DnsDiscovery,
    DnsSource,
    DnsStatistics,
)
from l4proxy.control.discovery.resolvers import DnsFault
from l4proxy.control.discovery.screen import Unfit

__all__ = ["Changed", "DnsDiscovery", "DnsFault", "DnsSource", "DnsStatistics", "Unfit"]
