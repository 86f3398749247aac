"""The promises of l4proxy.proxy_protocol.errors."""

import pytest

from l4proxy.proxy_protocol import errors
from l4proxy.proxy_protocol.errors import BadProxyHeader, ProxyHeaderError, ProxyHeaderFault

LEAVES = ProxyHeaderError.__subclasses__()


@pytest.mark.parametrize("kind", LEAVES)
def test_each_error_knows_its_fault(kind: type[ProxyHeaderError]) -> None:
    """The map from an error to its label is total, and the labels name the header."""
    assert isinstance(kind.reason, ProxyHeaderFault)
    assert kind.reason.value.startswith("proxy_header_")


def test_each_fault_has_an_error() -> None:
    """No label stands for nothing."""
    assert {kind.reason for kind in LEAVES} == set(ProxyHeaderFault)


def test_the_tree_at_the_top_is_the_tree() -> None:
    """The picture at the top of the module shows each error with its label."""
    lines = [line.split() for line in (errors.__doc__ or "").splitlines() if "── " in line]
    assert {row[1]: row[2] for row in lines} == {
        kind.__name__: kind.reason.value for kind in LEAVES
    }


def test_what_cannot_be_written_is_no_fault_of_a_peer() -> None:
    """A header that we made wrongly is a bad value, and never counted against anybody."""
    assert issubclass(BadProxyHeader, ValueError)
    assert not issubclass(BadProxyHeader, ProxyHeaderError)
