"""A series of a metrics page, as an operator names it: which samples, and what is made of them.

app_queue_depth                        the sum of all samples of this name
app_queue_depth{queue="mail"}          of those that have this label
http_requests_total                    a counter, by its name: what it grows by in a second
rate(nginx_http_requests)              a counter whose name does not say so
process_resident_memory_bytes / 2e9    a share, of an application that knows no shares
"""

import math
import re
from typing import Final, NamedTuple

MAX_SERIES_CHARACTERS: Final = 512
"""Characters of a series in a configuration: a long name and half a dozen labels."""

MAX_LABELS: Final = 16
"""Labels that a series may be told by: exporters give a handful to each."""

COUNTER_SUFFIXES: Final = ("_total", "_count")
"""What the names of counters end in: OpenMetrics' own, and those of histograms and summaries."""

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]{0,127}"
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\\n]|\\["\\n])*)"\s*', re.ASCII)
_SELECTED = rf"({_NAME})\s*(?:\{{(.*)\}})?"
_SERIES = re.compile(
    rf"(?:rate\(\s*{_SELECTED}\s*\)|{_SELECTED})\s*(?:/\s*([0-9][0-9.e+-]*))?", re.ASCII
)
_ESCAPES: Final = {'\\"': '"', "\\\\": "\\", "\\n": "\n"}


class BadSeries(ValueError):
    """A text names no series; the message says what was found and expected."""


class Series(NamedTuple):
    """Samples of a metrics page, and what is made of their sum.

    Attributes:
        name: Of the samples.
        labels: What a sample has to have; others that it has do not matter.
        rate: Whether it is a counter, of which the growth in a second counts.
        divisor: What the sum is divided by, above 0.

    """

    name: str
    labels: tuple[tuple[str, str], ...] = ()
    rate: bool = False
    divisor: float = 1.0

    def __str__(self) -> str:
        pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in self.labels)
        text = f"{self.name}{{{pairs}}}" if pairs else self.name
        if self.rate and not self.name.endswith(COUNTER_SUFFIXES):
            text = f"rate({text})"
        return text if self.divisor == 1 else f"{text} / {self.divisor:.17g}"


def parse_series(text: str) -> Series:
    """Return the series that a text names.

    Raises:
        BadSeries: It names none.

    """
    match = _SERIES.fullmatch(text) if len(text) <= MAX_SERIES_CHARACTERS else None
    if match is None:
        raise BadSeries('expected NAME, NAME{label="value"}, rate(NAME), or one of these / NUMBER')
    rated, rated_labels, plain, plain_labels, divisor = match.groups()
    name = rated or plain
    return Series(
        name,
        _labels(rated_labels or plain_labels or ""),
        rated is not None or name.endswith(COUNTER_SUFFIXES),
        _divisor(divisor or "1"),
    )


def _labels(text: str) -> tuple[tuple[str, str], ...]:
    found, at = list[tuple[str, str]](), 0
    while at < len(text):
        match = _LABEL.match(text, at)
        if match is None or text[match.end() : match.end() + 1] not in {"", ","}:
            raise BadSeries('expected labels as {name="value",other="value"}')
        value = re.sub(r"\\.", lambda escape: _ESCAPES[escape[0]], match[2])
        found.append((match[1], value))
        at = match.end() + 1
    if len(found) > MAX_LABELS or len({name for name, _ in found}) < len(found):
        raise BadSeries(f"expected at most {MAX_LABELS} labels, each once")
    return tuple(found)


def _divisor(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise BadSeries("expected a number above 0 behind the /")
    return number


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
