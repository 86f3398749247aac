"""This machine, as planning and advice see it."""

import os
import resource
from pathlib import Path

from l4proxy.config import Config
from l4proxy.config.lint import SOURCE_PORTS, Machine
from l4proxy.control.plan import Resources

_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def this_machine() -> Machine:
    """Return what a daemon started here and now would run on."""
    # The daemon raises the soft limit to the hard one.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Machine(
        descriptors=None if hard == resource.RLIM_INFINITY else hard,
        cores=len(os.sched_getaffinity(0)),
        source_ports=source_ports(_PORT_RANGE),
    )


def room(config: Config, machine: Machine) -> Resources:
    """Return what the machine gives a daemon of this configuration."""
    return Resources(config.workers or machine.cores, machine.descriptors or _UNBOUNDED)


def source_ports(path: Path) -> int:
    """Return how many ports the kernel dials one address from: its word, else Linux's default."""
    try:
        low, high = (int(word) for word in path.read_text("ascii").split())
    except (OSError, ValueError):
        return SOURCE_PORTS
    return high - low + 1


_UNBOUNDED = 1_048_576
"""Descriptors to plan with where no limit is set: Linux's default for fs.nr_open."""
