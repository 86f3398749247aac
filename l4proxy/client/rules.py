"""What a client asks of its connections beside the policy: which switches, how old a proof."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

CONNECT_SECONDS: Final = 30.0
"""Seconds from a name to a proved connection: as long as an agent lets a question wait."""

LINEAGE_SECONDS: Final = 3600.0
"""Seconds for which resumptions rest on one proof: about as long as tickets live."""


class OnSwitch(StrEnum):
    """What is done when another instance answers than the last time."""

    ALLOW = "allow"
    """One that this client has proved before is known by its key; any other proves itself."""

    REATTEST = "reattest"
    """It proves itself, on this connection, whatever it has proved before."""

    REFUSE = "refuse"
    """There is no connection, for as long as the client lives."""


class Reattest(StrEnum):
    """When a proof is asked for."""

    FULL = "full"
    """With every full handshake; a resumption rests on the proof of its lineage."""

    ALWAYS = "always"
    """On every connection."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a client connects.

    Attributes:
        on_switch: What is done when another instance answers.
        reattest: When a proof is asked for.
        max_lineage: Seconds for which resumptions rest on one proof; evidence may end earlier.
        timeout: Seconds from a name to a proved connection.

    """

    on_switch: OnSwitch = OnSwitch.REATTEST
    reattest: Reattest = Reattest.FULL
    max_lineage: float = LINEAGE_SECONDS
    timeout: float = CONNECT_SECONDS
