"""Which event loops the tests of the supervisor's rooms run on."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

# Rooms that use the loop's own socket calls, which each loop brings itself.
_ON_BOTH = {"test_probe", "test_prober"}

Factories = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Factories:
    """Run what touches sockets on the daemon's loop as well as on the one that everybody has."""
    both = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return both if item.path.stem in _ON_BOTH else {"asyncio": asyncio.new_event_loop}
