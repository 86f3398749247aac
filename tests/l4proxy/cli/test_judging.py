"""Judging: what a command line means, before anything is read or dialled."""

import argparse

import pytest

from l4proxy.cli.arguments import Place
from l4proxy.cli.judging import OUR_MANNER, target_of
from sni import ServerName


@pytest.mark.parametrize(
    ("host", "said", "asked"),
    [
        ("app.example.com", None, "app.example.com"),
        ("app.example.com", "other.example.com", "other.example.com"),
        ("10.0.0.1", None, None),
        ("10.0.0.1", "app.example.com", "app.example.com"),
        ("/run/app.sock", None, None),
    ],
)
def test_the_server_name_is_the_host_unless_another_is_said(
    host: str, said: str | None, asked: str | None
) -> None:
    """An address or a path is no name, so none is asked for."""
    name = None if said is None else ServerName.parse(said)
    arguments = argparse.Namespace(server_name=name, timeout=2.0)
    target = target_of(Place(host, 443), arguments)
    assert target.server_name == (None if asked is None else ServerName.parse(asked))
    assert target.timeout == 2.0


def test_without_a_policy_evidence_is_asked_for_as_our_agent_gives_it() -> None:
    """Bound to the connection, with the claims buffer."""
    assert (OUR_MANNER.binding, OUR_MANNER.freshness) == ("claims-buffer", "exporter")
