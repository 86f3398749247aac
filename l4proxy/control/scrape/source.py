"""Who may tell of a backend's load: what a source is, what it is told, and to whom it speaks.

A plug-in registers a `TelemetryKind` in the entry-point group `l4proxy.telemetry`. Its code is
imported only when a pool names it: `telemetry: {source: {NAME: {…}}}`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from pydantic import BaseModel

from l4proxy.control.scrape.claims import Refused
from l4proxy.scaling.report import MetricName
from l4proxy.series import Series
from routing import Address, BackendName, PoolName
from sni import ServerName

Settings = TypeVar("Settings", bound=BaseModel)


class BadTelemetry(ValueError):
    """Telemetry cannot be asked for as the configuration says: what was found, what expected."""


class ScrapeFault(StrEnum):
    """Why nothing was heard of a backend; labels of log lines and metrics."""

    UNREACHABLE = "unreachable"
    """Nobody answers there, or the connection broke."""

    TIMEOUT = "timeout"
    """It was not done in time."""

    TLS = "tls"
    """It does not speak TLS as we do, or its certificate is not of the authorities."""

    UNATTESTED = "unattested"
    """Its pool asks for proof, and it has no key that it has proved: it is not even asked."""

    WRONG_KEY = "wrong_key"
    """It shows another key than the one that it has proved; it was told nothing."""

    REFUSED = "refused"
    """It answers, and not with a metrics page: a status, a redirection."""

    MALFORMED = "malformed"
    """What came is no HTTP, or no page as it says it is."""

    TOO_LONG = "too_long"
    """What came is more than anybody reads of it."""

    LOCAL = "local"
    """This machine is short of descriptors, memory or ports; it says nothing of the backend."""

    INTERNAL = "internal"
    """The source has failed by itself; the log has more."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A backend, as far as a source has to know it.

    Attributes:
        pool: Its pool.
        name: Unique within its pool.
        address: Where clients' connections go.
        wanted: What is to be found out, and what the backend calls it.
        server_name: What it is called in TLS; None: nothing.
        attested: Whether it has to show the key that it has proved.
        key: Asked again for each connection: SHA-256 of that key's SubjectPublicKeyInfo; empty
            while it has proved none.

    """

    pool: PoolName
    name: BackendName
    address: Address
    wanted: Mapping[MetricName, Series]
    server_name: ServerName | None = None
    attested: bool = False
    key: Callable[[], bytes] = bytes

    def __str__(self) -> str:
        return f"{self.pool}/{self.name}"


class Report(Protocol):
    """Hears what a source has found out of one backend. Neither method raises or waits."""

    def took(self, found: Mapping[MetricName, float | Refused]) -> None:
        """Hear the newest samples, as the backend has them: of a counter the count, not a rate.

        Whatever is no sound number is refused; a metric that is left out is absent.
        """
        ...

    def failed(self, fault: ScrapeFault, detail: str = "") -> None:
        """Hear that nothing could be found out; `detail` may hold words of the backend."""
        ...


class TelemetrySource(Protocol):
    """Watches the backends of one pool."""

    async def watch(self, subject: Subject, report: Report) -> None:
        """Report what one backend tells, until cancelled. It runs once for each, all at a time.

        Each wait for the backend has a deadline, and whatever it sends a bound. An exception is
        logged, and the watch begins again a little later; so it does when this returns.
        """
        ...


class TelemetryKind(Protocol[Settings]):
    """What is registered: a class that is made without arguments, and makes the sources."""

    @property
    def name(self) -> str:
        """What configurations call it: a-z, 0-9 and `-`, as it is registered."""
        ...

    @property
    def settings(self) -> type[Settings]:
        """The model of what stands below its name; the argument of `make` is one of it."""
        ...

    def make(self, settings: Settings, pool: PoolName) -> TelemetrySource:
        """Return the source of a pool. It may read files that the settings name.

        Raises:
            BadTelemetry: It cannot work with these.

        """
        ...
