"""Wishes: what a policy says of the connections that a client makes by it, beside what it accepts.

They are the client's own business: a balancer reads the same file, and has no use for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from attestation.errors import PolicyError
from attestation.policy_values import choice, seconds

WISHES: Final = ("on_switch", "reattest", "max_lineage", "set")
"""The keys of a policy that say them."""


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


class Strangers(StrEnum):
    """What is done, while a set holds, when one answers who is not in it."""

    REFUSE = "refuse"
    """There is no connection."""

    REATTEST = "reattest"
    """It proves itself, on a connection of its own, and what it sends is the set from then on."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is said of connections; None: nothing is.

    Attributes:
        on_switch: What is done when another instance answers.
        reattest: When a proof is asked for.
        max_lineage: Seconds for which resumptions rest on one proof.
        strangers: A pre-verified set is used, and this is done with who is not in it.

    """

    on_switch: OnSwitch | None = None
    reattest: Reattest | None = None
    max_lineage: float | None = None
    strangers: Strangers | None = None


def read_wishes(policy: Mapping[str, object], *, by_exporter: bool) -> Wishes:
    """Return what a policy says of connections.

    Args:
        policy: The whole of it.
        by_exporter: Whether it asks for the exporter.

    Raises:
        PolicyError: A value is none that may stand there, or two of them cannot both be had.

    """
    reattest = choice(Reattest, policy["reattest"], ("reattest",)) if "reattest" in policy else None
    strangers = choice(Strangers, policy["set"], ("set",)) if "set" in policy else None
    if strangers is not None and not by_exporter:
        raise PolicyError(("set",), "freshness of less", "exporter: a set rests on nothing less")
    if strangers is not None and reattest is Reattest.ALWAYS:
        raise PolicyError(("set",), "reattest: always beside it", "one or the other")
    return Wishes(
        choice(OnSwitch, policy["on_switch"], ("on_switch",)) if "on_switch" in policy else None,
        reattest,
        seconds(policy["max_lineage"], ("max_lineage",)) if "max_lineage" in policy else None,
        strangers,
    )
