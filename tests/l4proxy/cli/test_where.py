"""The decision for a client that might come is the decision of a worker."""

import pytest

from l4proxy.cli.where import Destination, Question, where
from l4proxy.config import parse_config
from l4proxy.control.plan import Cells, Resources, plan
from l4proxy.snapshot import Snapshot
from routing import RefusalReason, Why
from sni import ServerName
from tests.l4proxy.cli.calls import CONFIG


def snapshot(more: str = "") -> Snapshot:
    """What the configuration becomes."""
    return plan(parse_config(CONFIG + more, "test"), Cells(), Resources(1, 1024))


def ask(name: str | None, *alpn: bytes, source: str = "203.0.113.1", more: str = "") -> Destination:
    """The answer for a client."""
    asked = None if name is None else ServerName(name)
    return where(Question(asked, alpn, source), snapshot(more))


def test_a_served_client_has_a_backend() -> None:
    """Route, pool, backend and why are all there, and no refusal."""
    assert ask("a.app.example.com") == Destination(
        "*.app.example.com", "app", "a", "10.0.0.1:443", Why.INSTANCE
    )


def test_one_network_has_one_backend_and_networks_spread() -> None:
    """The source decides as it does in a worker: by its network."""
    chosen = {n: ask("app.example.com", source=f"10.0.{n}.7").backend for n in range(40)}
    again = {n: ask("app.example.com", source=f"10.0.{n}.99").backend for n in range(40)}
    assert chosen == again
    assert set(chosen.values()) == {"a", "b"}


@pytest.mark.parametrize(
    ("style", "hears"),
    [
        ("alert", "TLS alert 112 (unrecognized_name)"),
        ("close", "the end of the connection"),
        ("reset", "a reset"),
    ],
)
def test_a_refused_client_hears_what_is_configured(style: str, hears: str) -> None:
    """The answer knows the configured way to refuse."""
    found = ask("x.example.com", more=f"refusal: {style}\n")
    assert found == Destination(None, refusal=RefusalReason.UNKNOWN_SERVER_NAME, hears=hears)


def test_the_default_route_has_a_name() -> None:
    """A client without a server name is shown on the default route."""
    text = CONFIG.replace("pools:", "  default: app\npools:")
    found = where(
        Question(None, (), "2001:db8::1"), plan(parse_config(text, ""), Cells(), Resources(1, 1024))
    )
    assert (found.route, found.pool, found.why) == ("default", "app", Why.SELECTED)
