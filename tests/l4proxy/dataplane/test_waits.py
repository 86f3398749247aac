"""Promises of `l4proxy.dataplane.waits`: where nobody may wait it is decided at once."""

import pytest

from l4proxy.dataplane.waits import Waits
from routing import Hold, HoldReason, PoolName


class Full:
    """Nobody may wait."""

    def hold(self, *_: object) -> bool:
        """Say so."""
        return False

    park = hold


class Asking:
    """Notes how it is decided again."""

    def __init__(self) -> None:
        self.leave: list[tuple[bool, bool]] = []
        self.client = b"\x7f\0\0\1"

    def find_backend(self, *, may_hold: bool, may_park: bool) -> None:
        """Note it."""
        self.leave.append((may_hold, may_park))


@pytest.mark.parametrize(
    ("reason", "leave"),
    [
        (HoldReason.UNKNOWN_TICKET_NAME, (False, True)),
        (HoldReason.NO_ELIGIBLE_BACKEND, (False,) * 2),
    ],
)
def test_without_a_place_it_is_decided_at_once(
    reason: HoldReason, leave: tuple[bool, bool]
) -> None:
    """Who may not wait for a name may still wait for a backend, and nobody asks twice."""
    full, asking = Full(), Asking()
    waits = Waits(full, full)  # type: ignore[arg-type]  # the parts that are asked
    waits.begin(asking, Hold(PoolName("app"), reason, 1.0))  # type: ignore[arg-type]  # the same
    assert asking.leave == [leave]
