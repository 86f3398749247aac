"""The application's own series: from its Prometheus endpoint on this machine, or from a file.

Only the named series are taken, and only their values: labels could carry anything out, so samples
of one name are added up.
"""

import math
import os
import re
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from l4proxy.agent.fetch import Bounds, Request, fetch

PAGE_BYTES: Final = 1024 * 1024
"""Bytes of an application's page: ten thousand series of a hundred bytes."""

PAGE_SECONDS: Final = 2.0
"""Seconds that the application has for its page: it is on this machine."""

FILE_SECONDS: Final = 60.0
"""Seconds after which a file that nobody has written counts for nothing: its writer is gone."""

_OK = 200
# name, labels in braces where quoted text may hold anything, value
_SAMPLE = re.compile(
    r'([A-Za-z_:][A-Za-z0-9_:]*+)(?:\{(?:[^"}]|"(?:[^"\\]|\\.)*+")*+\})?[ \t]++([^ \t]+)', re.ASCII
)


class BadPage(OSError):
    """The application's page cannot be used: the application's fault."""


async def read_page(place: str | Path) -> bytes:
    """Return the page of an application.

    Args:
        place: A URL, or a file.

    Raises:
        OSError: It cannot be read, is not in time, too long, or too old.

    """
    if isinstance(place, Path):
        return _file(place)
    try:
        answer = await fetch(Request(place), Bounds(PAGE_SECONDS, PAGE_BYTES))
    except ValueError as error:
        raise BadPage(str(error)) from error
    if answer.status != _OK:
        raise BadPage(f"{place}: found status {answer.status}, expected {_OK}")
    return answer.content


def parse_page(page: bytes, names: Collection[str]) -> Mapping[str, float]:
    """Return the sum of each named series of a page (Prometheus text, or OpenMetrics).

    One of which a sample is no finite number, or a counter's is negative, is left out.
    """
    found: dict[str, float] = {}
    for name, text in _samples(page.decode("utf-8", "replace"), names):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if name.endswith("_total") and value < 0:
            value = math.nan
        found[name] = found.get(name, 0.0) + value
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _samples(page: str, names: Collection[str]) -> Iterator[tuple[str, str]]:
    for line in page.split("\n"):
        sample = _SAMPLE.match(line)
        if sample and sample[1] in names:
            yield sample[1], sample[2]


def _file(path: Path) -> bytes:
    # A named pipe without a writer must not keep us waiting; one with a writer gives None.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        age = time.time() - os.fstat(file.fileno()).st_mtime
        page = file.read(PAGE_BYTES + 1) or b""
    if age > FILE_SECONDS:
        raise BadPage(f"{path}: was written {age:.0f} s ago, expected at most {FILE_SECONDS:.0f}")
    if len(page) > PAGE_BYTES:
        raise BadPage(f"{path}: over {PAGE_BYTES} bytes")
    return page
