"""From a file to a configuration, or to every mistake at once."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from l4proxy.config import ConfigError, load_config, parse_config
from l4proxy.config.document import MAX_DOCUMENT_BYTES
from tests.l4proxy.config.texts import LEAST, mistakes_of, parse

BROKEN = """\
listeners:
  - 0.0.0.0:70000
  - {address: "127.0.0.1:8443", proxy_protocol: true}
  - {address: "127.0.0.1:8444", trusted: [10.0.0.1/8]}
routes:
  app.example.com: ap
  "*.app.example.com": {pool: app, instance: true}
  b..com: app
pools:
  app:
    backends:
      - enclaves.internal:443
      - {address: 10.0.0.2:443, weight: 0, wieght: 1}
      - {name: nameless}
    balance: roundrobin
    attestation: {evidence: well-known}
    health: {type: tsl, every: 1s, timeout: 2s}
    timeouts: {connect: 3, idle: 1h}
    timeouts: {}
workers: many
limits: {hello_timeout: 5 seconds}
shutdown:
"""

EXPECTED = [
    (2, 5, "listeners[0]", "up to 65535"),
    (3, 49, "listeners[1].proxy_protocol", "such as `trusted: [10.0.0.0/8]`"),
    (4, 33, "listeners[2].trusted", "add `proxy_protocol: true`, or leave this out"),
    (4, 43, "listeners[2].trusted[0]", "did you mean 10.0.0.0/8?"),
    (6, 20, "routes['app.example.com']", "did you mean app?"),
    (7, 36, "routes['*.app.example.com'].instance", "did you mean instance_name?"),
    (8, 3, "routes['b..com']", "is not a host name"),
    (12, 9, "pools.app.backends[0]", "give an IP address, or {dns: {name, port}} for a name"),
    (13, 41, "pools.app.backends[1].weight", "found 0, expected a whole number from 1 to 256"),
    (13, 44, "pools.app.backends[1].wieght", "did you mean weight?"),
    (14, 9, "pools.app.backends[2].address", "is missing"),
    (
        15,
        14,
        "pools.app.balance",
        "found 'roundrobin', expected affinity, least_sessions, random_two, round_robin or load",
    ),
    (16, 18, "pools.app.attestation.policy", "is missing"),
    (17, 20, "pools.app.health.type", "found 'tsl', expected tcp, tls or http (did you mean tls?)"),
    (17, 45, "pools.app.health.timeout", "found 2s, expected at most `every`, 1s"),
    (18, 25, "pools.app.timeouts.connect", "did you mean 3s?"),
    (19, 5, "pools.app.timeouts", "the first is on line 18"),
    (20, 10, "workers", "found 'many', expected a whole number from 1 to 64, or auto"),
    (21, 25, "limits.hello_timeout", "a whole number and its unit ms, s, m or h"),
    (22, 10, "shutdown", "found nothing, expected a mapping"),
]


def test_every_mistake_is_found_at_once() -> None:
    """One run of the check is enough: each mistake has its path, line, column and message."""
    mistakes = mistakes_of(BROKEN)
    places = [(mistake.line, mistake.column, mistake.path) for mistake in mistakes]
    assert places == [(line, column, path) for line, column, path, _ in EXPECTED]
    for mistake, (_, _, _, said) in zip(mistakes, EXPECTED, strict=True):
        assert said in mistake.message


def test_what_is_missing_is_named() -> None:
    """The three sections that every configuration needs are asked for."""
    mistakes = mistakes_of("workers: 1")
    assert [mistake.path for mistake in mistakes] == ["listeners", "pools", "routes"]
    assert {(mistake.line, mistake.column) for mistake in mistakes} == {(1, 1)}


@pytest.mark.parametrize("text", ["[a]", "a", "5", "~"])
def test_a_configuration_is_a_mapping(text: str) -> None:
    """A text of another kind is one mistake."""
    (mistake,) = mistakes_of(text)
    assert (mistake.line, mistake.column, mistake.path) == (1, 1, "")
    assert "expected a mapping with listeners, routes and pools" in mistake.message


def test_a_file_is_loaded(tmp_path: Path) -> None:
    """The file says the same as its text."""
    path = tmp_path / "config.yaml"
    path.write_text(LEAST)
    assert load_config(path) == parse(LEAST)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    """Editors of other systems write one."""
    path = tmp_path / "config.yaml"
    path.write_text(LEAST, encoding="utf-8-sig")
    assert load_config(path) == parse(LEAST)


def test_mistakes_name_the_file(tmp_path: Path) -> None:
    """An editor can jump from the report to the place."""
    path = tmp_path / "config.yaml"
    path.write_text("listeners: 5")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}:1:")
    assert {mistake.source for mistake in caught.value.mistakes} == {str(path)}


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path, name: str) -> None:
    """A missing file and a folder are told like any other mistake."""
    with pytest.raises(ConfigError, match=r"cannot be read: (No such file|Is a directory)"):
        load_config(tmp_path / name)


@pytest.mark.parametrize("name", ["\x00", "\ud800"])
def test_a_name_that_no_file_can_have_is_a_mistake(tmp_path: Path, name: str) -> None:
    """What the system cannot even be asked for is told like any other mistake."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / name)


def test_a_file_is_text(tmp_path: Path) -> None:
    """A byte that is no UTF-8 is told with its place."""
    path = tmp_path / "config.yaml"
    path.write_bytes(b"a: b\nc: \xff\n")
    with pytest.raises(ConfigError, match=r"config.yaml:2:4: byte 0xff is not UTF-8"):
        load_config(path)


def test_a_file_is_bounded(tmp_path: Path) -> None:
    """No more is read than a configuration may have, whatever the file has."""
    path = tmp_path / "config.yaml"
    path.write_bytes(b"#" * (MAX_DOCUMENT_BYTES + 1))
    with pytest.raises(ConfigError, match=f"is over {MAX_DOCUMENT_BYTES} bytes"):
        load_config(path)


WORDS = st.sampled_from(
    (
        *("listeners", "routes", "pools", "app", "default", "backends", "address", "admin"),
        *("refuse", "off", "alpn", "capacity", "timeouts", "limits", "count", "a.b", "*.a.b"),
        *("dns", "name", "port", "health", "type", "http", "every", "timeout", "source", "trusted"),
        *("proxy_protocol", "v2", "socket", "10.0.0.1:443", "10.0.0.1", "unix:/a", "/a", "1s"),
    )
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=20,
)


def survives(values: object) -> None:
    """Parse values as YAML; a ConfigError is the only way out, and it has something to say."""
    try:
        said = str(parse_config(yaml.safe_dump(values), "c"))
    except ConfigError as error:
        said = str(error)
    assert said


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_any_value_is_a_configuration_or_a_mistake(values: object) -> None:
    """Nothing but ConfigError is raised, whatever the values are."""
    survives(values)


SECTIONS = (
    *("listeners", "routes", "pools", "admin", "limits", "refusal", "workers", "shutdown"),
    *("access_log", "log_clients"),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SECTIONS), VALUES)
def test_any_section_is_right_or_a_mistake(section: str, values: object) -> None:
    """The same with a configuration around it that is right."""
    survives(yaml.safe_load(LEAST) | {section: values})


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(
        [
            *("backends", "balance", "capacity", "timeouts", "sticky", "health", "source"),
            *("server_name", "proxy_protocol", "passive_health"),
        ]
    ),
    VALUES,
)
def test_any_pool_is_right_or_a_mistake(key: str, values: object) -> None:
    """The same within a pool."""
    pool = {"backends": ["10.0.0.1:443"], key: values}
    survives(yaml.safe_load(LEAST) | {"pools": {"app": pool}})


@pytest.mark.parametrize(
    ("routes", "name"),
    [
        ("{app.example.com: app}", "app.example.com"),
        ("{b.example.com: app, a.example.com: app}", "b.example.com"),
        ("{'*.a.b': app, x.a.b: [{pool: app, alpn: [h2]}, app]}", "x.a.b"),
        ("{'*.a.b': app}", None),
        ("{default: app}", None),
    ],
)
def test_probes_say_the_first_exact_name_of_a_pool(routes: str, name: str | None) -> None:
    """In the order of the file; a wildcard is no name that can be said."""
    config = parse(LEAST.replace("{app.example.com: app}", routes))
    assert [pool.server_name for pool in config.pools.values()] == [name]


def test_probes_say_what_the_pool_says() -> None:
    """Whatever the routes are."""
    text = "{backends: [10.0.0.1:443], server_name: Probe.example.com.}"
    config = parse(LEAST.replace("[10.0.0.1:443]", text))
    assert [pool.server_name for pool in config.pools.values()] == ["probe.example.com"]
