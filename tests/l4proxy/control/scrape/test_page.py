"""The scanner of metrics pages, beside prometheus_client's parser."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from l4proxy.control.scrape.claims import Refused
from l4proxy.control.scrape.page import (
    MAX_LINE_BYTES,
    MAX_SAMPLE_LABELS,
    MAX_SAMPLES,
    PageReader,
)
from l4proxy.series import Series, parse_series


def found(page: bytes, text: str = "q") -> float | Refused:
    """What a page says of a series."""
    series = parse_series(text)
    return PageReader([series]).read(page)[series]


def _labels(many: int) -> bytes:
    return b",".join(b'l%d="x"' % number for number in range(many))


@pytest.mark.parametrize(
    ("page", "value"),
    [
        (b"q 7\n", 7.0),
        (b"q 7 1700000000000\n", 7.0),
        (b"q 7 1700000000.123\n", 7.0),
        (b"q\t7.5e1  \n", 75.0),
        (b"q +.5\n", 0.5),
        (b"# HELP q q 9\n# TYPE q gauge\nq 1\nqq 9\nq_total 9\n# EOF\n", 1.0),
        (b'q{a="1"} 1\nq{a="2"} 2\nq 4\n', 7.0),
        (b'q{a="}\\" 9",b="\\\\",} 3\n', 3.0),
        (b'q{ a = "x" , b = "y" } 3\n', 3.0),
        (b"q{} 3\n", 3.0),
        (b"q{%s} 3\n" % _labels(MAX_SAMPLE_LABELS), 3.0),
        (b'q{a="x"} 3 # {trace_id="a b"} 0.5 1700000000.1\n', 3.0),
        ('q{a="h\u00e9"} 3\n'.encode(), 3.0),
    ],
)
def test_samples_are_read(page: bytes, value: float) -> None:
    """In every form that exporters write; those of one name are added up."""
    assert found(page) == value


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (b"", Refused.ABSENT),
        (b"qq 1\n", Refused.ABSENT),
        (b"# q 1\n", Refused.ABSENT),
        (b"q 7", Refused.MALFORMED),
        (b"q\n", Refused.ABSENT),
        (b"q \n", Refused.MALFORMED),
        (b"q x\n", Refused.MALFORMED),
        (b"q 1_000\n", Refused.MALFORMED),
        (b"q 0x10\n", Refused.MALFORMED),
        (b"q 1 2 3\n", Refused.MALFORMED),
        (b"q 1\r\n", Refused.MALFORMED),
        (b"q{a=x} 1\n", Refused.MALFORMED),
        (b'q{a="x} 1\n', Refused.MALFORMED),
        (b'q{a="x"b="y"} 1\n', Refused.MALFORMED),
        (b'q{a="x",a="y"} 1\n', Refused.MALFORMED),
        (b'q{a="\\x"} 1\n', Refused.MALFORMED),
        (b'q{a="x"}1\n', Refused.MALFORMED),
        (b'q{a="' + b"x" * MAX_LINE_BYTES + b'"} 1\n', Refused.MALFORMED),
        (b"q{%s} 1\n" % _labels(MAX_SAMPLE_LABELS + 1), Refused.MALFORMED),
        (b"q 1\nq 1\n", Refused.DUPLICATE),
        (b'q{a="1",b="2"} 1\nq{b="2",a="1"} 1\n', Refused.DUPLICATE),
        (b"".join(b'q{a="%d"} 1\n' % n for n in range(MAX_SAMPLES + 1)), Refused.TOO_MANY),
        (b"q NaN\n", Refused.NOT_A_NUMBER),
        (b'q{a="1"} NaN\nq{a="2"} +Inf\n', Refused.NOT_A_NUMBER),
        (b"q +Inf\n", Refused.INFINITE),
        (b"q 1e999\n", Refused.INFINITE),
        (b'q{a="1"} 1e308\nq{a="2"} 1e308\n', Refused.INFINITE),
        (b"q -0.1\n", Refused.NEGATIVE),
        (b'q{a="1"} 5\nq{a="2"} -1\n', Refused.NEGATIVE),
    ],
)
def test_what_is_no_sample_has_its_reason(page: bytes, why: Refused) -> None:
    """One line that is wrong spoils all of its name: half a sum would be a wrong value."""
    assert found(page) is why


def test_labels_choose() -> None:
    """Those that are named; others do not matter."""
    page = b'q{a="1",b="x"} 1\nq{a="2",b="x"} 2\nq{a="2",b="a\\"\\n\\\\"} 4\n'
    assert found(page, 'q{a="2"}') == 6.0
    assert found(page, 'q{b="x",a="2"}') == 2.0
    assert found(page, r'q{b="a\"\n\\"}') == 4.0
    assert found(page, 'q{c=""}') is Refused.ABSENT


def test_a_line_that_is_wrong_spoils_its_own_name_alone() -> None:
    """Others are read."""
    wanted = [parse_series(text) for text in ("a", "b", 'a{x="y"}')]
    read = PageReader(wanted).read(b"a x\nb 2\n")
    assert list(read.values()) == [Refused.MALFORMED, 2.0, Refused.MALFORMED]


def test_every_prefix_is_read_or_refused() -> None:
    """What is cut off within a line is never a smaller number."""
    page = b'q{a="1"} 125\nother 3\nq{a="2"} 250.75\n'
    whole = {0.0, 125.0, 375.75}
    for end in range(len(page) + 1):
        value = found(page[:end])
        assert isinstance(value, Refused) or value in whole


labels = st.dictionaries(st.sampled_from("abc"), st.text(max_size=6), min_size=3, max_size=3)
values = st.floats(min_value=0, allow_nan=False, allow_infinity=False, width=32)


@given(st.lists(st.tuples(labels, values), max_size=6), st.booleans())
def test_what_a_real_exporter_writes_is_understood(
    samples: list[tuple[dict[str, str], float]], openmetrics: bool
) -> None:
    """Each form of prometheus_client's exposition, whatever stands in its labels."""
    registry = CollectorRegistry()
    gauge = Gauge("q", 'Some "help"\nq 9', ["a", "b", "c"], registry=registry)
    counter = Counter("jobs", "Jobs.", ["a", "b", "c"], registry=registry)
    spans = Histogram("span", "Spans.", registry=registry)
    known = dict[tuple[str, ...], float]()
    for names, value in samples:
        known[tuple(names[each] for each in "abc")] = value
        spans.observe(value)
    for key, value in known.items():
        gauge.labels(*key).set(value)
        counter.labels(*key).inc(value)
    page = (generate_openmetrics if openmetrics else generate_latest)(registry)
    expected = math.fsum(known.values()) if known else Refused.ABSENT
    assert found(page) == expected
    assert found(page, "jobs_total") == expected
    assert found(page, "span_count") == len(samples)
    for key, value in known.items():
        only = Series("q", tuple(zip("abc", key, strict=True)))
        assert PageReader([only]).read(page)[only] == value


PIECES = (
    *(
        "q",
        "q_total",
        "{",
        "}",
        'a="x"',
        'b="\\n"',
        ",",
        " ",
        "\t",
        "1",
        "2.5",
        "-1",
        "NaN",
        "+Inf",
    ),
    *("1e3", "\n", "\nq ", "\nq{", "#", " # ", "# TYPE q gauge", "\\", '"', "_", "\r"),
)
pieces = st.lists(st.sampled_from(PIECES), max_size=20).map("".join)


@given(pieces)
@example('q{a="x"} 1\n')
@example("q 1 2\n")
def test_what_is_read_is_what_a_whole_parser_reads(page: str) -> None:
    """Of pages that prometheus_client takes at all, no value here is another than its own."""
    value = found(page.encode())
    if isinstance(value, Refused):
        return
    try:
        families = list(text_string_to_metric_families(page))
    except (ValueError, IndexError, KeyError):
        return  # it minds a line that nobody has asked for
    samples = [each for family in families for each in family.samples if each.name == "q"]
    assert value == pytest.approx(math.fsum(each.value for each in samples))


@given(st.binary(max_size=200))
def test_no_bytes_raise(page: bytes) -> None:
    """Whatever a backend sends."""
    value = found(b"q" + page)
    assert isinstance(value, Refused) or 0 <= value < math.inf
