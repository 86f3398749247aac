"""Promises of `l4proxy.agent.peers.settings`: every mistake is told with its place."""

from pathlib import Path

import pytest

from attestation import PolicyError
from l4proxy.agent.peers.settings import EPOCH_SECONDS, Named, read_peers
from l4proxy.agent.settings import SettingsError
from l4proxy.set_wire import MAX_MEMBERS
from tests.l4proxy.agent.parts import NAME, handing_over, settings

GOOD = {"addresses": ["10.0.0.1:8443"], "server_name": NAME, "policy": "peers.yaml"}


def test_what_is_said_is_read() -> None:
    """Addresses, vsock and names, one policy, one epoch."""
    places = ["10.0.0.1:8443", "[::1]:1", "vsock:3:8443", "enclave-0.example.com:8443"]
    found = read_peers({**GOOD, "addresses": places, "epoch": "5m"})
    assert [str(place) for place in found.places] == places
    assert isinstance(found.places[-1], Named)
    assert (found.server_name, found.policy, found.epoch) == (NAME, Path("peers.yaml"), 300.0)


def test_the_epoch_has_a_default() -> None:
    """Ten minutes."""
    assert read_peers(GOOD).epoch == EPOCH_SECONDS == 600.0


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"more": 1}, "the key 'more'"),
        ({"addresses": []}, "0 addresses"),
        ({"addresses": ["10.0.0.1:1"] * (MAX_MEMBERS + 1)}, "65 addresses"),
        ({"addresses": ["10.0.0.1"]}, "peers.addresses.0"),
        ({"addresses": ["unix:/run/a"]}, "peers.addresses.0"),
        ({"addresses": ["a.example.com:0"]}, "peers.addresses.0"),
        ({"addresses": ["a.example.com:65536"]}, "peers.addresses.0"),
        ({"addresses": ["a.example.com:1x"]}, "peers.addresses.0"),
        ({"addresses": ["a b:1"]}, "peers.addresses.0"),
        ({"addresses": "10.0.0.1:1"}, "a list of host:port"),
        ({"server_name": "a b"}, "peers.server_name"),
        ({"policy": 1}, "peers.policy"),
        ({"epoch": "2h"}, "an hour at the most"),
        ({"epoch": 600}, "peers.epoch"),
    ],
)
def test_mistakes(keys: dict[str, object], place: str) -> None:
    """The first one is told, with what may stand there."""
    with pytest.raises(PolicyError, match="expected") as caught:
        read_peers({**GOOD, **keys})
    assert place in str(caught.value)


def test_an_agent_that_ends_no_tls_has_no_peers(tmp_path: Path) -> None:
    """It knows no exporter value, on which a set rests."""
    assert settings(peers=GOOD).peers == read_peers(GOOD)
    with pytest.raises(SettingsError, match="peers: found files beside it"):
        handing_over(tmp_path, peers=GOOD)
