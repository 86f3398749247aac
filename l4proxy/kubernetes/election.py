"""Who leads, by a Lease: at most one of those that ask for it, whatever their clocks say.

The times in a Lease are for people to read. Each candidate notes when *it* last saw the record
change, and takes over only if that is the record's own duration ago; the holder counts itself
leader from before its last renewal was sent, and for less than that duration. So it has stopped
before anybody may begin, as long as clocks run at about the same rate.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from l4proxy.kubernetes.client import ApiClient
from l4proxy.kubernetes.errors import MAX_QUOTED, ApiError, ApiFault
from l4proxy.kubernetes.objects import Object, field, text, version, whole
from l4proxy.kubernetes.resources import LEASES

log = logging.getLogger(__name__)

LEASE_SECONDS: Final = 15
"""How long a holder that is silent keeps the Lease: what client-go has for controllers."""

RENEW_SECONDS: Final = 10.0
"""How long a holder counts itself leader after a renewal: 5 s less, in which what it began ends."""

RETRY_SECONDS: Final = 2.0
"""Between two looks at the Lease."""

MAX_LEASE_SECONDS: Final = 3_600
"""The longest duration that is believed of another's record: no mistake of one stops all for ever.
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """A Lease that is asked for.

    Attributes:
        namespace: Of the Lease.
        name: Of the Lease; candidates for the same thing name the same.
        identity: Of this candidate; no other has the same, not even its own successor.
    """

    namespace: str
    name: str
    identity: str


def boot_time() -> float:
    """Return the seconds since the machine was started, those in which it slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Election:
    """One candidate.

    Attributes:
        lease: What is asked for.
        holder: Who held it when last seen; empty: nobody.
    """

    def __init__(self, lease: Lease, clock: Callable[[], float] = boot_time) -> None:
        """Ask for nothing yet.

        Args:
            lease: What is asked for.
            clock: Seconds that also pass while the machine sleeps.
        """
        self.lease: Final = lease
        self.holder = ""
        self._clock = clock
        self._path = LEASES.path(lease.namespace, lease.name)
        self._record: object = None
        self._changed_at = clock()
        self._leads_until = float("-inf")
        self._fault: ApiFault | None = None

    @property
    def leading(self) -> bool:
        """Whether this candidate leads at this moment."""
        return self._clock() < self._leads_until

    async def run(self, client: ApiClient) -> ApiError:
        """Ask for the Lease and keep it until cancelled; then let go of it.

        Returns:
            Why it does not lead and cannot, if that may be for the credentials: certificates end
            and change, so they are to be loaded again.
        """
        try:
            while True:
                error = await self._try(client)
                if error is not None and error.fault in _OUTDATED and not self.leading:
                    return error
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            await self._let_go(client)

    async def ask(self, client: ApiClient) -> None:
        """Look at the Lease once: take it if it is free, renew it if it is ours.

        Raises:
            ApiError: It could not be read or written; who leads stays what it was.
        """
        begun = self._clock()
        try:
            found = await client.get(self._path)
        except ApiError as error:
            if error.fault is not ApiFault.NOT_FOUND:
                raise
            await self._create(client, begun)
            return
        self._observe(found)
        if self._taken():
            self._leads_until = float("-inf")
            return
        spec = self._claimed(field(found, "spec"))
        written = await client.patch(self._path, _versioned(found, spec))
        self._won(written, begun)

    async def _create(self, client: ApiClient, begun: float) -> None:
        spec = self._claimed(None)
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.lease.name, "namespace": self.lease.namespace},
            "spec": spec,
        }
        self._won(await client.create(LEASES.path(self.lease.namespace), body), begun)

    def _observe(self, found: Object) -> None:
        """Note what the record says, and when that is news."""
        record = field(found, "spec")
        if record != self._record:
            self._record, self._changed_at = record, self._clock()
        holder = text(record, "holderIdentity") or ""
        if holder != self.holder:
            said = ascii(holder[:MAX_QUOTED]) if holder else "nobody"
            log.info("lease %s: held by %s", self.lease.name, said)
        self.holder = holder

    def _taken(self) -> bool:
        """Whether somebody else holds the Lease, as far as was seen here."""
        if self.holder in {"", self.lease.identity}:
            return False
        lasts = whole(self._record, "leaseDurationSeconds") or LEASE_SECONDS
        return self._clock() < self._changed_at + min(max(lasts, 1), MAX_LEASE_SECONDS)

    def _claimed(self, record: object) -> dict[str, object]:
        """Return the record by which this candidate holds the Lease."""
        now = _written(datetime.now(UTC))
        claimed: dict[str, object] = {
            "holderIdentity": self.lease.identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now,
        }
        if text(record, "holderIdentity") != self.lease.identity:
            claimed["acquireTime"] = now
            claimed["leaseTransitions"] = (whole(record, "leaseTransitions") or 0) + (
                record is not None
            )
        return claimed

    def _won(self, written: Object, begun: float) -> None:
        self._observe(written)
        if self.holder == self.lease.identity:
            self._leads_until = begun + RENEW_SECONDS

    async def _try(self, client: ApiClient) -> ApiError | None:
        try:
            await self.ask(client)
        except ApiError as error:
            # Of two that ask at once one is told so: it looks again.
            if error.fault is not self._fault and error.fault is not ApiFault.CONFLICT:
                log.warning("lease %s: %s", self.lease.name, error)
            self._fault = error.fault
            return error
        self._fault = None
        return None

    async def _let_go(self, client: ApiClient) -> None:
        """Free the Lease, so that another need not wait for its end."""
        held, self._leads_until = self.leading, float("-inf")
        if not held:
            return
        try:
            found = await client.get(self._path)
            # As it was written here last: it may be our successor's in this process by now.
            if self.holder == self.lease.identity and field(found, "spec") == self._record:
                free = {"holderIdentity": "", "leaseDurationSeconds": 1}
                await client.patch(self._path, _versioned(found, free))
        except ApiError as error:
            log.info("lease %s: not given back: %s", self.lease.name, error)


# What may end by other credentials: also a certificate authority of the server's that is new.
_OUTDATED: Final = frozenset({ApiFault.CREDENTIALS, ApiFault.UNAUTHORIZED, ApiFault.UNREACHABLE})


def _versioned(found: Object, spec: Mapping[str, object]) -> dict[str, object]:
    """Return the changes to a record, as long as it is the one that was found."""
    newest = version(found)
    if newest is None:
        # Without one it would be changed whoever holds it by then.
        raise ApiError(ApiFault.MALFORMED, "found a Lease without its version")
    return {"metadata": {"resourceVersion": newest}, "spec": spec}


def _written(moment: datetime) -> str:
    """Return a moment as MicroTime, which always has six digits of the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
