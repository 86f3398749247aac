"""The samples of a metrics page that somebody asked for, and no others. Pure.

The page is text of Prometheus 0.0.4 or OpenMetrics 1.0. Only lines that begin with a name that is
wanted are read, and those strictly; what else stands there is passed over, not even looked at: a
whole parse by prometheus_client takes 0.4 ms of a small page.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from l4proxy.control.scrape.claims import Refused
from l4proxy.series import Series

MAX_SAMPLES: Final = 256
"""Samples of one name that are added up: routes times methods times statuses of an application."""

MAX_LINE_BYTES: Final = 8 * 1024
"""Of a line that is read: a sample with its labels and its exemplar takes some hundred bytes."""

MAX_SAMPLE_LABELS: Final = 64
"""Labels of one sample: Kubernetes' own exporters, the most talkative, write some twenty."""

_Labels = tuple[tuple[bytes, bytes], ...]

_LABEL = re.compile(
    rb'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"([^"\\]*+(?:\\["\\n][^"\\]*+)*+)"[ \t]*'
)
_END_OF_LABELS = re.compile(rb"[ \t]*\}")
# A value, perhaps a timestamp, perhaps an exemplar, which is not looked at.
_VALUE = re.compile(
    rb"[ \t]+([+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]{1,4})?"
    rb"|[+-]?(?:nan|inf|infinity))"
    rb"(?:[ \t]+[+-]?[0-9]++(?:\.[0-9]*+)?(?:[eE][+-]?[0-9]{1,4})?)?[ \t]*(?:[ \t]#[ \t][^\n]*)?",
    re.IGNORECASE,
)


class _Sample(NamedTuple):
    labels: _Labels
    value: float


class PageReader:
    """Reads series of pages."""

    def __init__(self, wanted: Iterable[Series]) -> None:
        """Read these from now on."""
        self._series = tuple(dict.fromkeys(wanted))
        names = sorted({re.escape(series.name.encode("ascii")) for series in self._series})
        # The newline first: it is what the regular expression searches for, at memory speed.
        self._lines = re.compile(rb"\n(" + b"|".join(names) + rb")(?=[ \t{])([^\n]*)")

    def read(self, page: bytes) -> Mapping[Series, float | Refused]:
        """Return the sum of each series, or why there is none.

        Args:
            page: A whole one, hostile. A line that nothing ends is not read as a whole one.

        """
        found = dict[bytes, dict[_Labels, float] | Refused]()
        for match in self._lines.finditer(b"\n" + page):
            name, line = match.groups()
            if match.end() > len(page):
                found[name] = Refused.MALFORMED
            else:
                _add(found, name, line)
        return {series: _sum(series, found) for series in self._series}


def _add(found: dict[bytes, dict[_Labels, float] | Refused], name: bytes, line: bytes) -> None:
    """Add one line to the samples of its name; one that is wrong spoils them all."""
    samples = found.setdefault(name, {})
    if isinstance(samples, Refused):
        return
    sample = _sample(line)
    if sample is None:
        found[name] = Refused.MALFORMED
    elif sample.labels in samples:
        found[name] = Refused.DUPLICATE
    elif len(samples) >= MAX_SAMPLES:
        found[name] = Refused.TOO_MANY
    else:
        samples[sample.labels] = sample.value


def _sample(line: bytes) -> _Sample | None:
    """Return what stands behind a name; None: it is no sample."""
    if len(line) > MAX_LINE_BYTES:
        return None
    labels, at = _labels(line) if line.startswith(b"{") else ((), 0)
    if labels is None:
        return None
    value = _VALUE.fullmatch(line, at)
    return None if value is None else _Sample(labels, float(value[1]))


def _labels(line: bytes) -> tuple[_Labels | None, int]:
    """Return the labels, in order of their names, and where they end; None: they are malformed."""
    found, at = dict[bytes, bytes](), 1
    while (end := _END_OF_LABELS.match(line, at)) is None:
        label = _LABEL.match(line, at)
        if label is None or label[1] in found or len(found) >= MAX_SAMPLE_LABELS:
            return None, 0
        found[label[1]] = label[2]
        at = label.end()
        if line[at : at + 1] == b",":
            at += 1
        elif line[at : at + 1] != b"}":
            return None, 0
    return tuple(sorted(found.items())), end.end()


def _sum(series: Series, found: Mapping[bytes, dict[_Labels, float] | Refused]) -> float | Refused:
    samples = found.get(series.name.encode("ascii"), Refused.ABSENT)
    if isinstance(samples, Refused):
        return samples
    asked = {(name.encode("ascii"), _raw(value)) for name, value in series.labels}
    values = [value for labels, value in samples.items() if asked <= set(labels)]
    return _doubt(values) or math.fsum(values)


def _doubt(values: list[float]) -> Refused | None:
    """Return what is wrong with one of the values, or with their sum; None: nothing."""
    if not values:
        return Refused.ABSENT
    if any(map(math.isnan, values)):
        return Refused.NOT_A_NUMBER
    if math.isinf(sum(map(abs, values))):
        return Refused.INFINITE
    return Refused.NEGATIVE if min(values) < 0 else None


def _raw(value: str) -> bytes:
    """Return a label's value as pages write it."""
    plain = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return plain.encode("utf-8")
