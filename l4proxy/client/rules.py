"""What a client asks of its connections beside the policy: which switches, how old a proof."""

from dataclasses import dataclass
from typing import Final

from attestation import OnSwitch, Policy, Reattest, Strangers

CONNECT_SECONDS: Final = 30.0
"""Seconds from a name to a proved connection: as long as an agent lets a question wait."""

LINEAGE_SECONDS: Final = 3600.0
"""Seconds for which resumptions rest on one proof: about as long as tickets live."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a client connects.

    Attributes:
        on_switch: What is done when another instance answers.
        reattest: When a proof is asked for.
        max_lineage: Seconds for which resumptions rest on one proof; evidence may end earlier.
        timeout: Seconds from a name to a proved connection.
        strangers: A pre-verified set is used, and this is done with who is not in it; None: none
            is used.

    Raises:
        ValueError: A set is to be used, and every connection to prove itself.

    """

    on_switch: OnSwitch = OnSwitch.REATTEST
    reattest: Reattest = Reattest.FULL
    max_lineage: float = LINEAGE_SECONDS
    timeout: float = CONNECT_SECONDS
    strangers: Strangers | None = None

    def __post_init__(self) -> None:
        if self.strangers is not None and self.reattest is Reattest.ALWAYS:
            raise ValueError("found a set with `reattest: always`, expected one or the other")

    @classmethod
    def by(cls, policy: Policy) -> "Rules":
        """Return the rules that a policy asks for; where it says nothing, the defaults."""
        said = policy.wishes
        return cls(
            on_switch=said.on_switch or OnSwitch.REATTEST,
            reattest=said.reattest or Reattest.FULL,
            max_lineage=said.max_lineage or LINEAGE_SECONDS,
            strangers=said.strangers,
        )
