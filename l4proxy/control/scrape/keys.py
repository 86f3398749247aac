"""Which key each backend has proved to be its own, asked for a thousand times a second."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from l4proxy.control.attesting.trust import Trust
from routing import BackendName, PoolName

FRESH_SECONDS: Final = 1.0
"""For how long an answer of the attestor counts: to ask it costs the more, the larger a pool is."""

Trusts = Callable[[PoolName], Mapping[BackendName, Trust]]


class AttestedKeys:
    """The proved keys of all backends, at most a second old."""

    def __init__(self, trusts: Trusts, clock: Callable[[], float] = time.monotonic) -> None:
        """Ask this attestor: `Attestor.trusts`."""
        self._trusts = trusts
        self._clock = clock
        self._known: dict[PoolName, tuple[float, Mapping[BackendName, Trust]]] = {}

    def __call__(self, pool: PoolName, name: BackendName) -> bytes:
        """Return the SHA-256 of a backend's SubjectPublicKeyInfo; empty while it has no trust."""
        at, known = self._known.get(pool, (-FRESH_SECONDS, {}))
        now = self._clock()
        if now - at >= FRESH_SECONDS:
            known = self._trusts(pool)
            self._known[pool] = now, known
        trust = known.get(name)
        return trust.key if trust is not None and trust.admits else b""
