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
from l4proxy.demo.backend import DemoBackend
from l4proxy.demo.tee import policy
from routing import Address, PoolName

# For the daemon to be ready: two workers take less than a second on a machine at rest.
_START_SECONDS = 15.0

# For it to end when asked: more than its own shutdown timeout below.
_STOP_SECONDS = 5.0

# Between two looks into its log while it starts.
_LOOK_SECONDS = 0.02

WORKERS = 2

POLICY = "policy.yaml"
"""The file, beside the configuration, that says what servers must prove."""

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
    folder: Path, pools: Mapping[PoolName, Sequence[DemoBackend]]
) -> AsyncIterator[DemoBalancer]:
    """Run a daemon over these pools while the block runs; afterwards no process of it is left.

    Raises:
        BalancerFailed: It did not come up.

    """
    config, log = folder / "config.yaml", folder / "balancer.log"
    (folder / POLICY).write_text(yaml.safe_dump(dict(policy())), "utf-8")
    config.write_text(yaml.safe_dump(configuration(pools), sort_keys=False), "utf-8")
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


def configuration(pools: Mapping[PoolName, Sequence[DemoBackend]]) -> dict[str, object]:
    """Return the configuration: a route for each server name, free ports for everything."""
    return {
        "listeners": ["127.0.0.1:0"],
        "routes": {backend.server_name: pool for pool in pools for backend in pools[pool]},
        "pools": {
            pool: {
                "backends": [
                    {"address": str(backend.address), "name": backend.name} for backend in backends
                ],
                "attestation": {"policy": POLICY},
                # The story shows where the balance leads a client of no session: it waits neither
                # for a reservation to end nor for sessions, which move a home that is full.
                "sticky": {"reservation": False},
                "capacity": {"count": "connections"},
            }
            for pool, backends in pools.items()
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
