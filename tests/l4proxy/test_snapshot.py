"""The values that a snapshot is made of."""

import pytest

from l4proxy.refusal import RefusalStyle
from l4proxy.snapshot import Dialling, Settings
from routing import Address
from sni import HelloLimits


@pytest.mark.parametrize(
    ("host", "sources"),
    [
        ("10.0.0.1", ["127.0.0.2", "127.0.0.3"]),
        ("2001:db8::1", ["::1"]),
        ("/run/app.sock", []),
        ("vsock:16", []),
    ],
)
def test_a_dial_leaves_from_an_address_of_its_family(host: str, sources: list[str]) -> None:
    """A unix socket and vsock are dialled from nowhere."""
    dialling = Dialling(sources=("127.0.0.2", "::1", "127.0.0.3"))
    assert dialling.sources_for(Address(host, 0 if host.startswith("/") else 1)) == sources


@pytest.mark.parametrize(
    ("all_workers", "each", "waiting"), [(100, 60, 30), (10, 60, 5), (1, 1, 1)]
)
def test_half_of_the_smaller_bound_may_wait(all_workers: int, each: int, waiting: int) -> None:
    """Clients that say nothing never take the room of all."""
    assert Settings(RefusalStyle.ALERT, 1.0, HelloLimits(), all_workers, each).waiting == waiting
