"""Fuzz target: the metrics page of a backend, and the HTTP answer that it comes in.

    python -m tests.fuzz.fuzz_metrics_page [CORPUS]        # needs Atheris

Whatever the bytes: an answer is a page within its bound or a BadAnswer, the same in every split; a
page is sums of what was asked for, sound numbers all of them, or reasons why there are none.
"""

import math

from l4proxy.control.scrape.answer import MAX_PAGE_BYTES, BadPage, PageAnswer
from l4proxy.control.scrape.claims import Claims, Refused
from l4proxy.control.scrape.page import PageReader
from l4proxy.scaling.report import CPU, REQUESTS
from l4proxy.series import parse_series
from tests.fuzz.targets import fuzz

_WANTED = {CPU: parse_series("cpu"), REQUESTS: parse_series('requests_total{a="b"}')}
_READER = PageReader(_WANTED.values())


def check(data: bytes) -> None:
    """Hold the promises of the modules for one input."""
    _page(data)
    whole = _answered(data, max(1, len(data)))
    if whole is not None:
        assert len(whole) <= MAX_PAGE_BYTES
        assert _answered(data, 7) in {whole, None}
        _page(whole)


def _page(page: bytes) -> None:
    found = _READER.read(page)
    assert set(found) == set(_WANTED.values())
    assert all(isinstance(each, Refused) or 0 <= each < math.inf for each in found.values())
    claims = Claims(_WANTED)
    for now in (0.0, 5.0):
        claims.take({name: found[series] for name, series in _WANTED.items()}, now)
    for reading in claims.readings(5.0).values():
        assert 0 <= reading.value < math.inf


def _answered(data: bytes, piece: int) -> bytes | None:
    answer = PageAnswer()
    try:
        for at in range(0, len(data), piece):
            page = answer.receive(data[at : at + piece])
            if page is not None:
                return page
    except BadPage as error:
        said = str(error)
    else:
        return None
    assert 0 < len(said) < 200
    return None


if __name__ == "__main__":
    fuzz(check)
