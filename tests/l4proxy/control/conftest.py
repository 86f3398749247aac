"""What the tests of the supervisor's rooms share: event loops to run on, and a certificate."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from tests.l4proxy.control.servers import Certificate, make_certificate

# Rooms that use the loop's own socket calls, which each loop brings itself.
_ON_BOTH = {
    *("test_connection", "test_line", "test_openmetrics", "test_probe", "test_prober"),
    "test_tls_line",
}

Factories = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Factories:
    """Run what touches sockets on the daemon's loop as well as on the one that everybody has."""
    both = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return both if item.path.stem in _ON_BOTH else {"asyncio": asyncio.new_event_loop}


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for all servers of these tests."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))
