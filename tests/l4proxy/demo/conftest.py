"""What the tests of the demo share: an enclave that runs, and a stage on which nothing does."""

import asyncio
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import create_autospec

import pytest

from attestation import Policy
from l4proxy.admin.client import AdminClient
from l4proxy.demo.balancer import DemoBalancer
from l4proxy.demo.client import DemoClient
from l4proxy.demo.enclave import DemoEnclave
from l4proxy.demo.policy import OTHER_IMAGE, write_policy
from l4proxy.demo.stage import APP, WRONG, Stage
from l4proxy.plugins import installed_kinds
from l4proxy.policy_file import load_policy
from routing import Address, BackendName, PoolName

KINDS = installed_kinds()


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    """What the demo accepts, as a file."""
    return write_policy(tmp_path)


@pytest.fixture
def policy(policy_file: Path) -> Policy:
    """The same, read."""
    return load_policy(policy_file, KINDS)


@pytest.fixture
def client(policy: Policy) -> DemoClient:
    """A client that remembers nobody."""
    return DemoClient("client 1", policy, KINDS)


@pytest.fixture
async def tasks() -> AsyncIterator[asyncio.TaskGroup]:
    """Among which a test's enclaves live."""
    async with asyncio.TaskGroup() as group:
        yield group


@pytest.fixture
async def alpha(tasks: asyncio.TaskGroup) -> AsyncIterator[DemoEnclave]:
    """An enclave that runs."""
    enclave = DemoEnclave(BackendName("alpha"), APP)
    await enclave.start(tasks)
    yield enclave
    await enclave.kill()


@pytest.fixture
def still(alpha: DemoEnclave, client: DemoClient, tasks: asyncio.TaskGroup) -> Stage:
    """A stage without a balancer: its door is that of an enclave, which answers to any name."""
    wrong = DemoEnclave(WRONG, APP, OTHER_IMAGE)
    pools = {PoolName("app"): [alpha, wrong]}
    return Stage(pools, balancer_at(alpha.address), (client,), client, tasks)


def balancer_at(door: Address) -> DemoBalancer:
    """A balancer that is none: nothing runs, and its admin API does not answer."""
    return DemoBalancer(door, AdminClient("127.0.0.1:9"), create_autospec(Process))


def nowhere() -> Address:
    """An address at which nobody listens."""
    return Address("127.0.0.1", 9)
