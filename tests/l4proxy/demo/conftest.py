"""What the tests of the demo share: a server of its cast."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from l4proxy.demo.backend import DemoBackend
from l4proxy.demo.certificates import Authority
from routing import BackendName

NAME = "app.example.test"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Issues certificates into the test's own folder."""
    return Authority(tmp_path)


@pytest.fixture
def trust(authority: Authority) -> ssl.SSLContext:
    """What clients trust."""
    return authority.client_context()


@pytest.fixture
async def alpha(authority: Authority) -> AsyncIterator[DemoBackend]:
    """A running server."""
    context = authority.server_context("alpha", NAME)
    backend = DemoBackend(BackendName("alpha"), NAME, context)
    await backend.start()
    yield backend
    await backend.stop()
