"""What is refuted whatever it proves: keys, measurements, chips. Pure.

A list of its own beside the policy: it acts at once, on what was proved before as well.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from attestation import AttestationResult, Check, failed
from l4proxy.control.attesting.trust import Trust
from l4proxy.revocation import Revocation, Revoked

MAX_REVOCATIONS: Final = 4_096
"""Revocations over the API at once, beside those of the configuration: a MiB, and a lookup each."""


class TooManyRevocations(ValueError):
    """There is no room for one more."""


class Revocations:
    """Everything that is revoked now."""

    def __init__(self, found: Iterable[Revocation] = ()) -> None:
        """Begin with these.

        Raises:
            TooManyRevocations: More than `MAX_REVOCATIONS`.
        """
        self._all = frozenset(found)
        if len(self._all) > MAX_REVOCATIONS:
            raise TooManyRevocations(
                f"found {len(self._all)} revocations, expected at most {MAX_REVOCATIONS}"
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Revocations) and self._all == other._all

    def __hash__(self) -> int:
        return hash(self._all)

    def __iter__(self) -> Iterator[Revocation]:
        return iter(sorted(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, found: Revocation) -> bool:
        return found in self._all

    def with_these(self, found: Iterable[Revocation]) -> "Revocations":
        """Return these and those.

        Raises:
            TooManyRevocations: More than `MAX_REVOCATIONS` together.
        """
        return Revocations(self._all.union(found))

    def refuting(self, key: bytes, result: AttestationResult | None) -> Check | None:
        """Return the check that refutes a backend, None if nothing of it is revoked.

        Args:
            key: SHA-256 of its key; empty: none was shown.
            result: The verdict on its evidence; None: there is none.
        """
        if not self._all:
            return None
        for each in _named(key, result):
            if each in self._all:
                return failed("revoked", str(each), f"a {each.kind} that is not revoked")
        return None

    def refuted(self, trust: Trust, now: float) -> Trust:
        """Return a trust as these leave it."""
        check = self.refuting(trust.key, trust.result)
        return trust if check is None else trust.refuted(check, trust.key, now)


def _named(key: bytes, result: AttestationResult | None) -> Iterator[Revocation]:
    """Yield every name by which a backend can be revoked."""
    yield Revocation(Revoked.KEY, key)
    if result is None or result.claims is None:
        return
    for value in result.claims.measurements.values():
        yield Revocation(Revoked.MEASUREMENT, value)
    if result.claims.chip_id is not None:
        yield Revocation(Revoked.CHIP, result.claims.chip_id)
