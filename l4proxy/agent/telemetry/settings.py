"""The key `telemetry` of the agent's settings: where, for whom, and what may leave."""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from attestation import PolicyError
from attestation.policy_values import each, mapping, short, text
from l4proxy.agent.addresses import Address, parse_address
from l4proxy.agent_metrics import (
    AGENT_METRICS,
    CAPACITY,
    HTTP_REQUESTS,
    OPEN_SESSIONS,
    PREFIX,
    Scrapers,
    describe,
)

MAX_METRICS: Final = 64
"""Series that may leave: scaling reads a handful."""

MAX_CAPACITY: Final = 1_000_000
"""Sessions that an enclave can say it takes: what a balancer takes in all."""

_KEY = "telemetry"
_KEYS = ("listen", "token_file", "client_ca", "metrics", "application", "capacity")
_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]{0,199}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """What leaves the enclave, and to whom.

    Attributes:
        listen: Where it is read; never where clients connect.
        scrapers: What readers have to show.
        secret: The file with the token, or with the authority of their certificates.
        metrics: Names of the series that may leave.
        application: Where those are that are not the agent's own: a URL on this machine, or a
            file; None: there are none.
        capacity: Sessions that the enclave can take; None: it does not say.

    """

    listen: Address
    scrapers: Scrapers
    secret: Path
    metrics: frozenset[str]
    application: str | Path | None
    capacity: int | None

    @property
    def described(self) -> bytes:
        """The description, whose digest stands in the evidence."""
        return describe(self.metrics, self.scrapers)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the description."""
        return hashlib.sha256(self.described).digest()

    @property
    def of_application(self) -> frozenset[str]:
        """Names of the series that the application gives."""
        return self.metrics - frozenset(AGENT_METRICS)

    def check(self, manifest: Collection[str]) -> None:
        """Compare with what the manifest lets out.

        Raises:
            PolicyError: More may leave than the manifest says.

        """
        more = sorted(self.metrics.difference(manifest))
        if more:
            expected = "only what the manifest's metrics list"
            raise PolicyError((_KEY, "metrics"), ", ".join(more), expected)


def parse_telemetry(settings: Mapping[str, object]) -> TelemetrySettings | None:
    """Return what the agent's settings say of telemetry; None: there is none.

    Raises:
        PolicyError: Something is wrong, or what is listed would never be there.

    """
    if _KEY not in settings:
        return None
    found = mapping(settings[_KEY], (_KEY,), _KEYS)
    scrapers, secret = _scrapers(found)
    parsed = TelemetrySettings(
        listen=_listen(found.get("listen"), {str(settings.get(key)) for key in _OTHERS}),
        scrapers=scrapers,
        secret=secret,
        metrics=_metrics(found.get("metrics")),
        application=_application(found["application"]) if "application" in found else None,
        capacity=_capacity(found["capacity"]) if "capacity" in found else None,
    )
    _check(parsed, settings)
    return parsed


_OTHERS = ("listen", "publish")


def _listen(found: object, others: Collection[str]) -> Address:
    path, expected = (_KEY, "listen"), "ip:port, [v6]:port or vsock:CID:PORT"
    try:
        address = parse_address(text(found, path))
    except PolicyError:
        raise
    except ValueError as error:
        raise PolicyError(path, short(found), expected) from error
    if isinstance(address.place, str):
        raise PolicyError(path, short(found), expected)
    ports = {other.rpartition(":")[2] for other in others}
    port = str(address.place[1])
    if port != "0" and port in ports:
        raise PolicyError(path, short(found), "a port that nothing else of the agent has")
    return address


def _scrapers(found: Mapping[str, object]) -> tuple[Scrapers, Path]:
    ways = {"token_file": Scrapers.TOKEN, "client_ca": Scrapers.CLIENT_CA}
    named = [key for key in ways if key in found]
    if len(named) != 1:
        expected = "either token_file or client_ca: nobody else may read it"
        raise PolicyError((_KEY,), " and ".join(named) or "neither", expected)
    [key] = named
    return ways[key], Path(text(found[key], (_KEY, key)))


def _metrics(found: object) -> frozenset[str]:
    path = (_KEY, "metrics")
    listed = each(found, path, "a list of the series that may leave")
    if not 0 < len(listed) <= MAX_METRICS:
        raise PolicyError(path, f"{len(listed)} names", f"1 to {MAX_METRICS}")
    families: dict[str, str] = {}
    for index, item in enumerate(listed):
        name = text(item, (*path, index))
        if not _NAME.fullmatch(name) or (name.startswith(PREFIX) and name not in AGENT_METRICS):
            expected = f"a metric's name; of the agent's own: {', '.join(AGENT_METRICS)}"
            raise PolicyError((*path, index), short(name), expected)
        other = families.setdefault(name.removesuffix("_total"), name)
        if other != name:
            raise PolicyError((*path, index), short(name), f"one series of {other} and {name}")
    return frozenset(families.values())


def _application(found: object) -> str | Path:
    path, expected = (_KEY, "application"), "http://127.0.0.1:PORT/PATH or the path of a file"
    place = text(found, path)
    if place.startswith("/"):
        return Path(place)
    try:
        url = urlsplit(place)
        near = ip_address(url.hostname or "").is_loopback and url.port != 0
    except ValueError:
        near = False
    # Off this machine somebody on the way could write the figures.
    if not near or not place.startswith("http://") or not (place.isascii() and place.isprintable()):
        raise PolicyError(path, short(place), expected)
    return place


def _capacity(found: object) -> int:
    if type(found) is int and 0 < found <= MAX_CAPACITY:
        return found
    expected = f"a whole number from 1 to {MAX_CAPACITY}"
    raise PolicyError((_KEY, "capacity"), short(found), expected)


def _check(parsed: TelemetrySettings, settings: Mapping[str, object]) -> None:
    """Refuse a name of which nothing would ever be told, and what nothing is listed of."""
    path = (_KEY, "metrics")
    if OPEN_SESSIONS in parsed.metrics and "application" not in settings:
        raise PolicyError(path, OPEN_SESSIONS, "that only where the agent ends TLS")
    if HTTP_REQUESTS in parsed.metrics and settings.get("protocol") != "http":
        raise PolicyError(path, HTTP_REQUESTS, "that only with protocol: http")
    if (CAPACITY in parsed.metrics) != (parsed.capacity is not None):
        raise PolicyError((_KEY, "capacity"), short(parsed.capacity), f"it with {CAPACITY} listed")
    if bool(parsed.of_application) != (parsed.application is not None):
        listed = ", ".join(sorted(parsed.of_application)) or "nothing of it"
        raise PolicyError((_KEY, "application"), f"{listed} in metrics", "both, or neither")
