"""What a source of discovery tells of one backend."""

from enum import StrEnum
from typing import NamedTuple

from routing import Address, BackendName


class Phase(StrEnum):
    """What a backend is ready for, by the word of who found it; our own probes have theirs too."""

    ELIGIBLE = "eligible"
    """New sessions."""

    HELD = "held"
    """The sessions that it has, and no new ones; it does not go away."""

    DRAINING = "draining"
    """The sessions that it has; it is on its way out."""

    WAITING = "waiting"
    """Nothing yet: it boots, or is not well. It is probed and attested all the same."""


class Found(NamedTuple):
    """A backend that was found.

    Attributes:
        address: An IP literal and a port.
        name: What it is called; None: by its address.
        phase: What it is ready for.
    """

    address: Address
    name: BackendName | None = None
    phase: Phase = Phase.ELIGIBLE
