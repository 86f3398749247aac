"""Tests of the host patterns."""

import pytest

from routing import BadHostPattern, HostPattern
from sni import ServerName


@pytest.mark.parametrize("text", ["app.example.com", "*.example.com", "*.a.b.example.com", "com"])
def test_a_pattern_reads_as_it_was_written(text: str) -> None:
    """Parsing and printing are inverse for a pattern in its normal spelling."""
    assert str(HostPattern.parse(text)) == text


def test_spelling_does_not_matter() -> None:
    """Case and the root's dot make no other pattern."""
    assert HostPattern.parse("*.App.Example.COM.") == HostPattern.parse("*.app.example.com")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("*", "default route"),
        ("a.*.example.com", "default route"),
        ("*a.example.com", "default route"),
        ("*.*.example.com", "default route"),
        ("*.", "host name"),
        ("", "host name"),
        ("a..b", "host name"),
        ("exa mple.com", "host name"),
        ("10.0.0.1", "IP address"),
    ],
)
def test_what_is_no_pattern_is_refused(text: str, found: str) -> None:
    """The message quotes what was found and says what a pattern is."""
    with pytest.raises(BadHostPattern, match=found) as caught:
        HostPattern.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "name", "left"),
    [
        ("*.example.com", "a.example.com", "a"),
        ("*.example.com", "a.b.example.com", "a.b"),
        ("*.example.com", "example.com", None),
        ("*.example.com", "badexample.com", None),
        ("*.example.com", "a.example.org", None),
        ("a.example.com", "a.example.com", None),
    ],
)
def test_wildcards_match_one_or_more_labels(pattern: str, name: str, left: str | None) -> None:
    """A wildcard stands for one label or more, never for none and never for a part of one."""
    assert HostPattern.parse(pattern).left_of(ServerName.parse(name)) == left
