"""What the configuration says of telemetry: where backends tell of their load, by which names."""

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, ClassVar, Final, NamedTuple

from pydantic import Field

from l4proxy import agent_metrics
from l4proxy.config.addresses import MAX_PORT
from l4proxy.config.choice import Choice, Kind, chosen
from l4proxy.config.mistakes import expected
from l4proxy.config.paths import parse_file_path
from l4proxy.config.scalars import duration, parsed, text
from l4proxy.config.section import Section
from l4proxy.plugins import Group, Installed, configured_parts
from l4proxy.scaling.report import CPU, MEMORY, REQUESTS, MetricName
from l4proxy.series import BadSeries, Series, parse_series
from routing import Address

CAPACITY: Final = MetricName("capacity")
"""Sessions that a backend says it can carry."""

MAX_METRICS: Final = 32
"""Metrics of one pool: the known four and sixteen of the operator's own, with room for errors."""

DEFAULT_TIMEOUT: Final = 2.0
"""Seconds that a scrape may take; less where they follow each other faster."""

DEFAULT_SERIES: Final[Mapping[MetricName, Series]] = {
    CPU: Series(agent_metrics.CPU),
    MEMORY: Series(agent_metrics.MEMORY),
    REQUESTS: Series(agent_metrics.HTTP_REQUESTS, rate=True),
    CAPACITY: Series(agent_metrics.CAPACITY),
}
"""Where the agent has what scaling knows by name."""

OPENMETRICS: Final = "openmetrics"
"""The source that is asked when none is named: a metrics page of each backend."""

_HOST, _PORT = "{host}", "{port}"
_URL: Final = re.compile(
    r"(https?)://(\{host\}|\[[0-9a-fA-F:.]+\]|[0-9.]+):(\{port\}|[1-9][0-9]{0,4})(/[!-z|~]{0,1000})",
    re.ASCII,
)


class Place(NamedTuple):
    """Where a metrics page is: an IP literal, without brackets, and a port."""

    host: str
    port: int


class PageUrl(NamedTuple):
    """The address of a metrics page, for every backend of a pool.

    Attributes:
        encrypted: Whether it is asked for over TLS.
        host: An IP literal; None: the backend's own.
        port: Its port; None: the backend's own.
        path: A path and a query.

    """

    encrypted: bool = True
    host: str | None = None
    port: int | None = None
    path: str = agent_metrics.METRICS_PATH

    def of(self, backend: Address) -> Place | None:
        """Return where a backend's page is; None: it has no IP address to ask at."""
        if not backend.is_ip and (self.host is None or self.port is None):
            return None
        return Place(self.host or backend.host, self.port or backend.port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if self.host is not None and ":" in self.host else self.host
        scheme = "https" if self.encrypted else "http"
        return f"{scheme}://{host or _HOST}:{self.port or _PORT}{self.path}"


def parse_page_url(found: object) -> PageUrl:
    """Return the address of a metrics page.

    Raises:
        BadValueError: It is none, or its host is a name: who answers would be up to a resolver.
    """
    what = f"https:// or http://, {_HOST} or an IP address, {_PORT} or a number, and a path"
    match = _URL.fullmatch(found) if isinstance(found, str) else None
    if match is None:
        raise expected(found, what, f"such as https://{_HOST}:{_PORT}/metrics")
    scheme, host, port, path = match.groups()
    try:
        own = None if host == _HOST else str(_ip(host))
    except ValueError:
        raise expected(found, what, f"{host} is no IP address") from None
    number = None if port == _PORT else int(port)
    if number is not None and number > MAX_PORT:
        raise expected(found, what, f"no port is above {MAX_PORT}")
    return PageUrl(scheme == "https", own, number, path)


def read_series(found: object) -> Series:
    """Return the series that a text names.

    Raises:
        BadValueError: It names none.
    """
    try:
        return parse_series(found if isinstance(found, str) else "")
    except BadSeries as error:
        raise expected(found, "a series of a metrics page", str(error)) from None


def _installed_sources() -> Installed[Kind]:
    return configured_parts(Group.TELEMETRY)


_File = Annotated[Path, parsed(parse_file_path, str, "/etc/l4proxy/telemetry.token")]
_url: Final = parsed(parse_page_url, str, "https://{host}:9443/metrics")
_source: Final = chosen("a telemetry source", _installed_sources)
_series: Final = parsed(read_series, str, 'app_queue_depth{queue="mail"}')
_metric: Final = text("the name of a metric", r"[a-zA-Z_:][a-zA-Z0-9_:]{0,127}")


class OpenMetricsSettings(Section):
    """Where each backend has its metrics page, and how it is asked for."""

    expects: ClassVar[str] = "a mapping {url, every, metrics, …}, or off"

    url: Annotated[PageUrl, _url] = Field(default_factory=PageUrl)
    """The page of each backend, {host} and {port} being its own. Over https the backend shows its
    attested key, or a certificate of `ca`."""

    every: Annotated[float, duration("1s", "1h")] = 5.0
    """From one scrape of a backend to the next."""

    timeout: Annotated[float, duration("100ms", "30s")] = Field(
        default_factory=lambda known: min(DEFAULT_TIMEOUT, known["every"])
    )
    """How long a scrape may take, at most `every`; 2s when left out, or less as `every` is."""

    token_file: _File | None = None
    """A file with a token, mode 0600, that is shown to backends; never in the clear."""

    client_certificate: _File | None = None
    """A file with the certificate (PEM) that is shown to backends."""

    client_key: _File | None = None
    """A file with its key (PEM)."""

    ca: _File | None = None
    """The authorities (PEM) that certify backends, in a pool without attestation."""


class TelemetrySettings(OpenMetricsSettings):
    """What the backends of a pool tell of their load."""

    metrics: Mapping[Annotated[str, _metric], Annotated[Series, _series]] = Field(
        default={}, max_length=MAX_METRICS
    )
    """The series of cpu (0 to 1), memory (0 to 1), requests (a counter or a rate) and capacity
    (sessions), and of metrics of your own; the agent's names for what is left out."""

    source: Annotated[Choice, _source] | None = None
    """A plug-in's source instead of a metrics page: its name, or {NAME: {…}} with its settings."""

    def wanted(self, custom: Iterable[MetricName] = ()) -> dict[MetricName, Series]:
        """Return the series of each metric: the known ones, and those that scaling has besides.

        Args:
            custom: Metrics that `scaling.custom` names; a series of the same name unless `metrics`
                says which.
        """
        own = {MetricName(name): series for name, series in self.metrics.items()}
        bare = {name: parse_series(name) for name in custom}
        return {**DEFAULT_SERIES, **bare, **own}


def telemetry_mistakes(settings: TelemetrySettings, *, attested: bool) -> Iterator[tuple[str, str]]:
    """Yield what is wrong between values of the block, or between it and its pool.

    Each with the key that it is about. `attested`: whether the pool has an `attestation` block.
    """
    if settings.timeout > settings.every:
        yield "timeout", "expected at most `every`, the time to the next scrape"
    if (settings.client_certificate is None) != (settings.client_key is None):
        yield "client_certificate", "expected both client_certificate and client_key, or neither"
    if settings.source is not None:
        taken = settings.model_fields_set - {"metrics", "source"}
        yield from ((key, "belongs to a metrics page, not to `source`") for key in sorted(taken))
        if settings.source.name == OPENMETRICS:  # below `source` nobody would compare its keys
            yield "source", f"{OPENMETRICS} is asked without it: its keys stand beside it"
        return
    yield from _trust_mistakes(settings, attested=attested)


def _trust_mistakes(settings: TelemetrySettings, *, attested: bool) -> Iterator[tuple[str, str]]:
    if not settings.url.encrypted:
        if attested:
            yield "url", "an attested pool tells of its load by https, under its attested key"
        for key in ("token_file", "client_certificate", "ca"):
            if key in settings.model_fields_set:
                yield key, "is for https: over http anybody on the way could read it, or answer"
    elif attested and settings.ca is not None:
        yield "ca", "an attested pool is known by its attested keys, not by certificates"
    elif not attested and settings.ca is None:
        yield "url", "without `attestation` https needs `ca`, or nobody knows who answers"


def _ip(host: str) -> object:
    bare = host.removeprefix("[").removesuffix("]")
    found = ip_address(bare)
    if isinstance(found, IPv6Address) != host.startswith("["):
        raise ValueError(host)
    return found
