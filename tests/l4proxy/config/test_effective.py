"""The configuration with every default, as a text."""

import re
from collections.abc import Iterator

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from l4proxy.config import Config, effective, parse_config
from l4proxy.config.document import read_document
from l4proxy.config.section import Section
from l4proxy.config.shorthand import PATTERNS
from tests.l4proxy.config.texts import LEAST, parse, with_pool

FULL = """
    listeners:
      - "[::1]:0"
      - {address: "localhost:0", proxy_protocol: true, trusted: [10.0.0.0/8, "::1"]}
    routes:
      a.example.com:
        - {pool: app, alpn: [http/1.1, h2]}
        - api
      "*.a.example.com": {pool: app, instance_name: true}
      default: app
    pools:
      api:
        backends:
          - "[2001:db8::1]:443"
          - {dns: {name: a.b, port: 1, resolver: "10.0.0.2", every: 1h}, proxy_protocol: off}
          - {address: "unix:/run/b.sock", server_id: 7}
        server_name: probe.example.com
        health: {type: http, status: 204, tls: false, every: 1s}
        passive_health: off
        proxy_protocol: v2
        source: [10.0.0.5, "2001:db8::5"]
        telemetry:
          url: "https://{host}:{port}/metrics"
          token_file: /etc/token
          client_certificate: /etc/client.pem
          client_key: /etc/client.key
          ca: /etc/ca.pem
      app:
        backends:
          - {address: "10.0.0.1:443", name: "off", weight: 256, proxy_protocol: v1}
        health: tls
        balance: least_sessions
        hash: maglev
        sticky: {routable_keys: [/etc/r.key], external_psks: {device: 'off', 'hex:00ff': 'off'}}
        capacity: {count: connections, sessions_per_backend: 5, connections_per_backend: off}
        telemetry: {url: "http://{host}:9090/metrics", every: 10s, metrics: {queue: depth}}
        scaling:
          max: 5
          sessions: {free: 3, mark: 2, pack: false}
          metrics: {cpu: 70%, memory: 80%, requests: 500/s}
          custom: {queue: {metric: queue, target: 10.5}}
          forecast: off
          schedules: [{starts: "0 8 * * 1-5", lasts: 10h, min: 3}]
          grow: {backends: 2}
          shrink: {percent: 20, every: 30s}
          drain_timeout: 1h
          park: off
        timeouts: {connect: 150ms, idle: 168h, half_closed: 1s, lifetime: 24h, keepalive: 5s}
    refusal: reset
    limits:
      {hello_timeout: 1500ms, hello_bytes: 1KiB, connections: 9, per_client: off, buffers: 1GiB}
    workers: 2
    admin: off
    access_log: /var/log/l4proxy.log
    log_clients: full
    shutdown: {timeout: 0s}
"""


@pytest.mark.parametrize(
    "text",
    [
        LEAST,
        FULL,
        f"{LEAST}admin: off\n",
        f"{LEAST}admin: {{address: off, socket: /run/a.sock}}\naccess_log: stdout\n",
        with_pool("capacity: {connections_per_backend: 5}"),
        with_pool("sticky: off\nsession: {idle: 1m}\nslow_start: 30s\ndrain: {timeout: off}"),
        with_pool("sticky: {reservation: off, external_psks: hash}"),
        with_pool("health: {type: http, status: 200-204, path: /x}"),
        LEAST.replace("app.example.com", "'*.example.com'"),
    ],
)
def test_the_text_loads_to_an_equal_configuration(text: str) -> None:
    """What is printed can be used, and means the same; printed again, it is the same text."""
    config = parse(text)
    printed = effective(config)
    assert parse_config(printed, "printed") == config
    assert effective(parse_config(printed, "printed")) == printed


def test_every_default_is_shown() -> None:
    """Whoever wrote three lines sees all that they stand for."""
    assert read_document(effective(parse(LEAST)), "printed").value == {
        "listeners": ({"address": "127.0.0.1:8443", "proxy_protocol": False, "trusted": ()},),
        "routes": {
            "app.example.com": {"pool": "app", "instance_name": False},
            "default": "refuse",
        },
        "pools": {
            "app": {
                "backends": ({"address": "10.0.0.1:443", "name": "10.0.0.1:443", "weight": 1},),
                "server_name": "app.example.com",
                "balance": "affinity",
                "hash": "rendezvous",
                "sticky": {
                    "tickets": True,
                    "session_ids": True,
                    "reservation": "10s",
                    "routable_keys": (),
                    "external_psks": False,
                },
                "session": {"idle": "10m"},
                "drain": {"timeout": "1h"},
                "slow_start": False,
                "capacity": {
                    "count": "sessions",
                    "sessions_per_backend": False,
                    "connections_per_backend": False,
                },
                "health": False,
                "passive_health": True,
                "attestation": False,
                "proxy_protocol": False,
                "source": (),
                "timeouts": {
                    "connect": "3s",
                    "idle": "1h",
                    "half_closed": "30s",
                    "lifetime": False,
                    "user_timeout": "2m",
                    "keepalive": "1m",
                },
                "telemetry": False,
                "scaling": False,
            }
        },
        "refusal": "alert",
        "limits": {
            "connections": "auto",
            "per_client": 200,
            "hello_timeout": "5s",
            "hello_bytes": "64KiB",
            "buffers": "256MiB",
        },
        "workers": "auto",
        "admin": {"address": "127.0.0.1:9080", "socket": False},
        "access_log": False,
        "log_clients": "prefix",
        "shutdown": {"timeout": "30s"},
    }


def keys(value: object) -> Iterator[str]:
    """The names of every setting of a model tree."""
    if isinstance(value, Section):
        for name, field in type(value).model_fields.items():
            yield field.alias or name
            yield from keys(getattr(value, name))
    elif isinstance(value, tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from keys(item)


def test_every_setting_of_the_model_is_shown() -> None:
    """A setting that is added to the model is printed."""
    config = parse(FULL.replace("admin: off", ""))
    shown = set(re.findall(r"(\w+):", effective(config)))
    assert set(keys(config)) - {PATTERNS} <= shown


def test_words_are_written_as_people_do() -> None:
    """Switches are bare words; protocols have one order."""
    printed = effective(parse(FULL))
    assert "admin: off\n" in printed
    assert "passive_health: off\n" in printed
    assert "passive_health: on\n" in printed
    assert "connections_per_backend: off" in printed
    assert "name: 'off'" in printed
    assert "alpn: [h2, http/1.1]" in printed


@settings(max_examples=50, deadline=None)
@given(
    name=st.from_regex(r"[A-Za-z0-9\[][A-Za-z0-9.:\]_-]{0,20}", fullmatch=True),
    pool=st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,20}", fullmatch=True).map(
        lambda text: f"x{text}"
    ),
    protocol=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20),
)
def test_every_name_comes_back(name: str, pool: str, protocol: str) -> None:
    """A name that YAML would read as a number, a time or a truth is printed in quotes."""
    values = {
        "listeners": ["127.0.0.1:0"],
        "routes": {"a.b": {"pool": pool, "alpn": [protocol]}},
        "pools": {pool: [{"address": "10.0.0.1:1", "name": name}]},
    }
    config: Config = parse_config(yaml.safe_dump(values), "c")
    assert parse_config(effective(config), "printed") == config
