"""A fake API server, and its administrator's credentials."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from l4proxy.kubernetes import Access
from l4proxy.kubernetes.kubeconfig import from_kubeconfig
from tests.kubernetes_api.access import write_kubeconfig
from tests.kubernetes_api.server import ApiServer


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ApiServer]:
    """A server without objects."""
    async with ApiServer().running() as found:
        yield found


@pytest.fixture
def access(server: ApiServer, tmp_path: Path) -> Access:
    """The administrator's."""
    return from_kubeconfig(write_kubeconfig(tmp_path / "kubeconfig", server))
