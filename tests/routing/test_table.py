"""Tests of the route table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing import (
    AmbiguousRoute,
    BadHostPattern,
    HostPattern,
    PoolName,
    RefusalReason,
    Route,
    RouteTable,
)
from sni import ServerName

H2 = frozenset({b"h2"})
HTTP1 = frozenset({b"http/1.1"})


def _route(pattern: str, pool: str | None = None, alpn: frozenset[bytes] | None = None) -> Route:
    """A route to a pool that is named for the pattern, unless said otherwise."""
    return Route(HostPattern.parse(pattern), PoolName(pool or pattern), alpn)


def _where(table: RouteTable, name: str | None, *alpn: bytes) -> str:
    """The pool that a name leads to, or the reason why it leads nowhere."""
    found = table.match(None if name is None else ServerName.parse(name), alpn)
    return found.value if isinstance(found, RefusalReason) else found.pool


@pytest.mark.parametrize(
    ("name", "pool"),
    [
        ("app.example.com", "app.example.com"),
        ("APP.example.com.", "app.example.com"),
        ("x.app.example.com", "*.app.example.com"),
        ("x.y.app.example.com", "*.app.example.com"),
        ("other.example.com", "*.example.com"),
        ("x.other.example.com", "*.example.com"),
        ("deep.other.example.com", "deep.other.example.com"),
        ("example.com", "unknown_server_name"),
        ("app.example.org", "unknown_server_name"),
        ("com", "unknown_server_name"),
    ],
)
@pytest.mark.parametrize("turn", [1, -1])
def test_the_most_specific_pattern_wins(name: str, pool: str, turn: int) -> None:
    """Exact beats wildcard, longer beats shorter, in whatever order the routes are written."""
    patterns = ["*.example.com", "app.example.com", "*.app.example.com", "deep.other.example.com"]
    assert _where(RouteTable(map(_route, patterns[::turn])), name) == pool


def test_wildcards_match_one_or_more_labels() -> None:
    """`*.example.com` means every name below `example.com`, however deep, and not itself."""
    table = RouteTable([_route("*.example.com", "api")])
    names = ["a.example.com", "a.b.example.com", "a.b.c.example.com", "example.com"]
    assert [_where(table, name) for name in names] == ["api"] * 3 + ["unknown_server_name"]


@pytest.mark.parametrize(
    ("offer", "pool"),
    [
        ((b"h2", b"http/1.1"), "h2"),
        ((b"http/1.1", b"h2"), "h2"),
        ((b"http/1.1",), "http1"),
        ((b"mqtt",), "rest"),
        ((), "rest"),
    ],
)
def test_the_first_rule_whose_protocol_is_offered_wins(offer: tuple[bytes, ...], pool: str) -> None:
    """The rules of one pattern are asked in their order, the one without protocols last."""
    rules = [
        _route("a.example.com", "rest"),
        _route("a.example.com", "h2", H2),
        _route("a.example.com", "http1", HTTP1 | H2),
    ]
    assert _where(RouteTable(rules), "a.example.com", *offer) == pool


@pytest.mark.parametrize("pattern", ["a.example.com", "*.a.example.com"])
def test_a_name_is_never_sent_to_a_shorter_one_for_its_protocol(pattern: str) -> None:
    """No ALPN match at the most specific pattern is a refusal, past wildcard and default."""
    table = RouteTable([_route(pattern, "h2", H2), _route("*.example.com")], PoolName("default"))
    name = pattern.replace("*", "x")
    assert _where(table, name, b"http/1.1") == "no_alpn_match"
    assert _where(table, name) == "no_alpn_match"
    assert _where(table, name, b"h2") == "h2"


def test_the_default_takes_unknown_and_absent_names() -> None:
    """With a default pool, no name and a name that no pattern means lead there."""
    table = RouteTable([_route("a.example.com")], PoolName("default"))
    assert _where(table, None) == "default"
    assert _where(table, "b.example.com") == "default"


def test_without_a_default_they_are_told_apart() -> None:
    """Without a default, no name and an unknown name are refused, each with its own reason."""
    table = RouteTable([_route("a.example.com")])
    assert _where(table, None) == "no_server_name"
    assert _where(table, "b.example.com") == "unknown_server_name"


@pytest.mark.parametrize("alpn", [None, H2])
def test_two_claims_to_the_same_names_are_an_error(alpn: frozenset[bytes] | None) -> None:
    """Where the order of routes would matter the table is refused, naming both pools."""
    routes = [_route("*.example.com", "one", alpn), _route("*.example.com", "two", alpn)]
    with pytest.raises(AmbiguousRoute, match=r"\*\.example\.com .*'one', 'two'"):
        RouteTable(routes)


def test_a_route_without_a_pattern_is_an_error() -> None:
    """The default is an argument of its own, never one of the routes."""
    with pytest.raises(BadHostPattern, match="'app' has no pattern"):
        RouteTable([Route(None, PoolName("app"))])


def test_the_table_says_which_pools_it_needs() -> None:
    """Every pool of a route and of the default is named, once."""
    table = RouteTable([_route("a.b", "one"), _route("*.b", "one")], PoolName("two"))
    assert table.pools == {"one", "two"}


@pytest.mark.parametrize("default", [None, PoolName("app")])
def test_the_table_says_where_its_default_leads(default: PoolName | None) -> None:
    """The default reads back as it was given."""
    assert RouteTable([], default).default == default


_LABELS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4)
_NAMES = _LABELS.map(".".join)
_PATTERNS = st.builds(str.__add__, st.sampled_from(["", "*."]), _NAMES)


@given(st.sets(_PATTERNS, max_size=12), _NAMES)
def test_the_look_up_agrees_with_the_rule(patterns: set[str], name: str) -> None:
    """What the dictionaries find is the most specific of all patterns that mean the name."""
    meant = [
        pattern
        for pattern in patterns
        if pattern == name or (pattern[0] == "*" and name.endswith(pattern[1:]))
    ]
    best = max(meant, key=lambda text: (text[0] != "*", len(text)), default="unknown_server_name")
    assert _where(RouteTable(map(_route, patterns)), name) == best
