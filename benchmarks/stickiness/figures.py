"""Shares: so many of so many, beside what they are to be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many.

    Attributes:
        what: What was counted.
        done: How many did.
        of: How many could have.
        target: The least share, 0 to 1; None: shown for comparison.
    """

    what: str
    done: int
    of: int
    target: float | None = None

    @property
    def share(self) -> float:
        """0 to 1; of nothing: 0."""
        return self.done / self.of if self.of else 0.0

    @property
    def reached(self) -> bool | None:
        """Whether it is what it is to be; None: it is to be nothing."""
        return None if self.target is None else self.of > 0 and self.share >= self.target

    def __str__(self) -> str:
        """As a line of the report."""
        verdict = {True: "", False: "  MISSED", None: ""}[self.reached]
        return f"{self.what:78} {percent(self):>8}  {self.done:,} of {self.of:,}{verdict}"


def percent(share: Share) -> str:
    """A share as tables show it: never rounded up to all, nor down to none."""
    if share.done == share.of:
        return "100 %"
    if share.done == 0:
        return "0 %"
    return f"{min(max(100 * share.share, 0.01), 99.99):.2f} %".replace(".00", "")
