"""An enclave of the demo: it dies when told, comes back with new keys, and can be robbed."""

import asyncio
import hashlib

import pytest

from attestation.x509 import load_certificate, split_pem
from l4proxy.client import Continuity, Fault, NotAttested
from l4proxy.demo.client import DemoClient
from l4proxy.demo.enclave import DemoEnclave
from l4proxy.demo.policy import OTHER_IMAGE
from l4proxy.demo.stage import APP
from routing import BackendName

PATIENCE = 20.0


async def test_it_comes_back_as_another(
    alpha: DemoEnclave, client: DemoClient, tasks: asyncio.TaskGroup
) -> None:
    """One that was killed refuses, and is back at its address with another key."""
    before = await client.visit(alpha.address, APP)
    await alpha.kill()
    states = [alpha.running]
    with pytest.raises(NotAttested) as caught:
        await client.visit(alpha.address, APP)
    assert caught.value.fault is Fault.UNREACHABLE
    await alpha.start(tasks)
    assert [*states, alpha.running] == [False, True]
    after = await client.visit(alpha.address, APP)
    assert after.account.standing is Continuity.SWITCHED
    assert after.account.previous == before.account.instance


async def test_killing_cuts_what_is_open(alpha: DemoEnclave, client: DemoClient) -> None:
    """A client in the middle of a visit notices that its enclave is gone."""

    async def visit() -> None:
        with pytest.raises(OSError, match=r"."):
            await client.visit(alpha.address, APP, requests=100_000, pause=0.01)

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as both:
        both.create_task(visit())
        while not alpha.application.requests:  # noqa: ASYNC110 - no event tells of requests
            await asyncio.sleep(0.01)
        await alpha.kill()
        await alpha.kill()  # the end of a demo need not know what its story has killed


async def test_it_runs_what_it_is_told(client: DemoClient, tasks: asyncio.TaskGroup) -> None:
    """Another image is what its TEE measures."""
    wrong = DemoEnclave(BackendName("delta"), APP, OTHER_IMAGE)
    await wrong.start(tasks)
    with pytest.raises(NotAttested, match="pcr0"):
        await client.visit(wrong.address, APP)
    await wrong.kill()


async def test_what_leaks_is_its_key(alpha: DemoEnclave, client: DemoClient) -> None:
    """The key that is given away is the one by which clients know it."""
    (leaf,) = split_pem((await alpha.leaked()).chain, 1)
    visit = await client.visit(alpha.address, APP)
    assert visit.account.instance == hashlib.sha256(load_certificate(leaf).spki).digest()


async def test_one_that_never_ran_has_no_key() -> None:
    """There is nothing to steal before it was started."""
    with pytest.raises(RuntimeError, match="never started"):
        await DemoEnclave(BackendName("beta"), APP).leaked()
