"""The balancer of a demo: the real daemon, as a process of its own."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from l4proxy.admin.client import AdminClient
from l4proxy.demo.enclave import DemoEnclave
from routing import Address, PoolName

# For the daemon to be ready: two workers take less than a second on a machine at rest.
_START_SECONDS = 15.0

# For it to end when asked: more than its own shutdown timeout below.
_STOP_SECONDS = 5.0

# Between two looks into its log while it starts.
_LOOK_SECONDS = 0.02

WORKERS = 2

_READY = re.compile(r"ready: .* listen on (\S+):(\d+)$", re.MULTILINE)
_ADMIN = re.compile(r"admin API on http://(\S+)$", re.MULTILINE)


class BalancerFailed(Exception):
    """The daemon did not start; the text ends with what it said."""


@dataclass(frozen=True, slots=True)
class DemoBalancer:
    """A running daemon.

    Attributes:
        address: Where clients connect.
        admin: Asks its admin API.
        process: The supervisor.

    """

    address: Address
    admin: AdminClient
    process: asyncio.subprocess.Process

    async def stop(self) -> bool:
        """Ask it to end; return whether it did so by itself, in time and with exit status 0."""
        return await _end(self.process) == 0


@contextlib.asynccontextmanager
async def running_balancer(
    policy: Path, pools: Mapping[PoolName, Sequence[DemoEnclave]]
) -> AsyncIterator[DemoBalancer]:
    """Run a daemon over these pools while the block runs; afterwards no process of it is left.

    Args:
        policy: The file that says what enclaves must prove; the daemon's own are put beside it.
        pools: The enclaves, by pool.

    Raises:
        BalancerFailed: It did not come up.

    """
    config, log = policy.with_name("config.yaml"), policy.with_name("balancer.log")
    config.write_text(yaml.safe_dump(configuration(policy, pools), sort_keys=False), "utf-8")
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "l4proxy", "run", str(config),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=stderr,
            # Ctrl-C is for the demo, which then asks its balancer to end.
            start_new_session=True,
        )  # fmt: skip
    try:
        yield await _come_up(process, log)
    finally:
        try:
            await _end(process)
        finally:
            if process.returncode is None:
                # Its workers too: it leads a process group of its own.
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


def configuration(
    policy: Path, pools: Mapping[PoolName, Sequence[DemoEnclave]]
) -> dict[str, object]:
    """Return the configuration: a route for each server name, free ports for everything."""
    return {
        "listeners": ["127.0.0.1:0"],
        "routes": {enclave.server_name: pool for pool in pools for enclave in pools[pool]},
        "pools": {
            pool: {
                "backends": [
                    {"address": str(enclave.address), "name": enclave.name} for enclave in enclaves
                ],
                "attestation": {"policy": str(policy), "every": "5s"},
                "health": {"type": "tls", "every": "1s", "rise": 1, "fall": 2},
                # All clients come from one address, so that nothing but their tickets can bring
                # them back: who has none goes to the next enclave.
                "balance": "round_robin",
                "sticky": {"reservation": False},
                "capacity": {"count": "connections"},
            }
            for pool, enclaves in pools.items()
        },
        "workers": WORKERS,
        "admin": {"address": "127.0.0.1:0"},
        "shutdown": {"timeout": "2s"},
    }


async def _come_up(process: asyncio.subprocess.Process, log: Path) -> DemoBalancer:
    with contextlib.suppress(TimeoutError):
        address, admin = await asyncio.wait_for(_where(process, log), _START_SECONDS)
        return DemoBalancer(address, AdminClient(admin), process)
    raise BalancerFailed(f"the balancer did not start. It said:\n{_said(log)}")


async def _where(process: asyncio.subprocess.Process, log: Path) -> tuple[Address, str]:
    """Return where the daemon listens, and where its admin API is, once it has said so."""
    while True:
        said = _said(log)
        ready, admin = _READY.search(said), _ADMIN.search(said)
        if ready and admin:
            return Address(ready[1], int(ready[2])), admin[1]
        if process.returncode is not None:
            raise BalancerFailed(f"the balancer ended. It said:\n{said}")
        await asyncio.sleep(_LOOK_SECONDS)


def _said(log: Path) -> str:
    return log.read_text("utf-8")


async def _end(process: asyncio.subprocess.Process) -> int | None:
    """Ask the process to end; return its exit status, None if it has not ended in time."""
    if process.returncode is None:
        process.terminate()
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    return None
