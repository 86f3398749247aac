"""Series of metrics pages, as operators name them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.series import MAX_LABELS, BadSeries, Series, parse_series


@pytest.mark.parametrize(
    ("text", "series"),
    [
        ("app_queue", Series("app_queue")),
        ('q{a="x"}', Series("q", (("a", "x"),))),
        (' q { a = "x" , b = "" } '.strip(), Series("q", (("a", "x"), ("b", "")))),
        ("q{}", Series("q")),
        ("q_total", Series("q_total", rate=True)),
        ("q_seconds_count", Series("q_seconds_count", rate=True)),
        ('rate(q{a="x"})', Series("q", (("a", "x"),), rate=True)),
        ("rate(q_total)", Series("q_total", rate=True)),
        ("q / 100", Series("q", divisor=100.0)),
        ("rate(q) / 2.5e-3", Series("q", rate=True, divisor=0.0025)),
        (r'q{a="a\"b\\c\nd, }"}', Series("q", (("a", 'a"b\\c\nd, }'),))),
    ],
)
def test_a_series_is_read_and_written(text: str, series: Series) -> None:
    """Each form, and what is written is read as the same again."""
    assert parse_series(text) == series
    assert parse_series(str(series)) == series


@pytest.mark.parametrize(
    "text",
    [
        *("", "1x", "a b", "a-b", "q{", "q}", "q{a}", "q{a=x}", 'q{a="x"', 'q{a="x" b="y"}'),
        *('q{a="x",a="y"}', r'q{a="\x"}', "rate(q", "rate q", "rate()", "q /", "q / 0", "q / x"),
        *("q / 1e999", "q / -1", "q / 1e", "n" * 600, "é", "sum(q)", 'q{a="\n"}'),
        "q{" + ",".join(f'l{n}="x"' for n in range(MAX_LABELS + 1)) + "}",
    ],
)
def test_anything_else_is_none(text: str) -> None:
    """And is said to be."""
    with pytest.raises(BadSeries, match="expected"):
        parse_series(text)


@given(st.text(max_size=64))
def test_no_text_raises_anything_else(text: str) -> None:
    """Whatever somebody writes."""
    try:
        series = parse_series(text)
    except BadSeries:
        return
    assert parse_series(str(series)) == series


names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)


@given(
    names,
    st.dictionaries(names, st.text(max_size=8), max_size=4),
    st.booleans(),
    st.floats(1e-9, 1e18),
)
def test_every_series_can_be_written(
    name: str, labels: dict[str, str], rate: bool, divisor: float
) -> None:
    """In a way that is read back, whatever stands in its labels."""
    rate = rate or name.endswith(("_total", "_count"))
    series = Series(name, tuple(labels.items()), rate, divisor)
    assert parse_series(str(series)) == series
