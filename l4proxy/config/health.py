"""What the configuration says of health checks."""

import re
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import BeforeValidator, Discriminator, Field, Tag

from l4proxy.config.mistakes import expected
from l4proxy.config.scalars import Scalar, choice, duration, text, truth, whole
from l4proxy.config.section import Section
from l4proxy.config.shorthand import health_written_out, none_when_off

DEFAULT_EVERY: Final = 5.0
"""Seconds from one probe of a backend to the next."""

DEFAULT_TIMEOUT: Final = 2.0
"""Seconds that a probe may take; less where probes follow each other faster."""

LEAST_STATUS: Final = 100
MOST_STATUS: Final = 599
"""The status codes of HTTP (RFC 9110 §15)."""

_STATUS: Final = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?", re.ASCII)

# What a request line can carry: visible characters, without the fragment (RFC 9112 §3.2.1).
_PATH: Final = text(
    "a path that begins with /, such as /healthz, at most 1024 characters",
    r'/[!"$-~]{0,1023}',
)


class HealthType(StrEnum):
    """What a probe does."""

    TCP = "tcp"
    """It connects."""

    TLS = "tls"
    """It shakes hands, and looks at no certificate."""

    HTTP = "http"
    """It asks for a page."""


def read_statuses(found: object) -> range:
    """Return the status codes that a text such as `200-399`, or a number such as 204, names.

    Raises:
        BadValueError: neither a code nor two with the smaller first.
    """
    match = _STATUS.fullmatch(str(found)) if isinstance(found, str | int) else None
    if match is not None and int(match[1]) <= int(match[2] or match[1]):
        return range(int(match[1]), int(match[2] or match[1]) + 1)
    what = f"one or two status codes from {LEAST_STATUS} to {MOST_STATUS}, such as 200-399"
    raise expected(found, what)


def _write_statuses(statuses: range) -> str:
    first, last = statuses[0], statuses[-1]
    return f"{first}-{last}" if last > first else str(first)


statuses: Final = Scalar(
    read_statuses,
    _write_statuses,
    {
        "anyOf": [
            {"type": "string", "pattern": f"^{_STATUS.pattern}$"},
            {"type": "integer", "minimum": LEAST_STATUS, "maximum": MOST_STATUS},
        ]
    },
)
probe_every: Final = duration("1s", "1h")
probe_timeout: Final = duration("100ms", "30s")
_type: Final = choice(HealthType)
_ONLY_HTTP: Final = "only a probe of type http has this key"


class HealthSettings(Section):
    """Probes that ask each backend of a pool whether it is there."""

    elsewhere: ClassVar[Mapping[str, str]] = dict.fromkeys(("path", "status", "tls"), _ONLY_HTTP)
    expects: ClassVar[str] = "tcp, tls or http, a mapping {type, every, …}, or off"

    type: Annotated[HealthType, _type]
    """What a probe does: tcp (connect), tls (shake hands) or http (ask for a page)."""

    every: Annotated[float, probe_every] = DEFAULT_EVERY
    """From one probe of a backend to the next."""

    timeout: Annotated[float, probe_timeout] = Field(
        default_factory=lambda known: min(DEFAULT_TIMEOUT, known["every"])
    )
    """How long a probe may take, at most `every`; 2s when left out, or less as `every` is."""

    rise: Annotated[int, whole(1, 10)] = 2
    """Probes in a row that must succeed for a backend to be healthy again."""

    fall: Annotated[int, whole(1, 10)] = 3
    """Probes in a row that must fail for a backend to be unhealthy."""

    @classmethod
    def written_out(cls, found: object) -> object:
        """Return the mapping that a bare type stands for."""
        return health_written_out(found)


class HttpHealthSettings(HealthSettings):
    """Probes that ask each backend of a pool for a page."""

    type: Annotated[HealthType, replace(_type, schema={"enum": [HealthType.HTTP.value]})]
    """What a probe does: here http."""

    path: Annotated[str, _PATH] = "/"
    """The page that is asked for."""

    status: Annotated[range, statuses] = range(200, 400)
    """The status codes that mean health: one, or a range."""

    tls: Annotated[bool, truth()] = True
    """Whether the page is asked for over TLS, or in the clear."""


# In parentheses, as no key of a document is: pydantic puts tags into the paths of its errors.
_PLAIN: Final = "(plain)"
_HTTP: Final = "(http)"


def _kind(found: object) -> str:
    """Tell which of the two a check is, as a document has it or as a model."""
    if isinstance(found, Section):
        return _HTTP if isinstance(found, HttpHealthSettings) else _PLAIN
    values = health_written_out(found)
    is_http = isinstance(values, dict) and values.get("type") == HealthType.HTTP
    return _HTTP if is_http else _PLAIN


HealthCheck = Annotated[
    Annotated[
        Annotated[HealthSettings, Tag(_PLAIN)] | Annotated[HttpHealthSettings, Tag(_HTTP)],
        Discriminator(_kind),
    ]
    | None,
    BeforeValidator(none_when_off),
]
"""The probes of a pool; None for `off`."""
