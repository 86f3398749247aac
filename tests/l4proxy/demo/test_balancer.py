"""The balancer of a demo is the real daemon, and nothing of it is left."""

import contextlib
import os
import signal
from pathlib import Path

import pytest
import yaml

from l4proxy.admin.view import StatusDocument
from l4proxy.config import parse_config
from l4proxy.demo import balancer
from l4proxy.demo.balancer import BalancerFailed, configuration, running_balancer
from l4proxy.demo.enclave import DemoEnclave
from routing import PoolName
from tests.e2e.processes import Process

APP = PoolName("app")


async def test_it_runs_and_ends_when_asked(policy_file: Path, alpha: DemoEnclave) -> None:
    """It is ready when the block begins, answers its admin API, and ends with status 0."""
    async with running_balancer(policy_file, {APP: [alpha]}) as running:
        status = running.admin.ask("/api/v1/status", StatusDocument)
        assert status["state"] == "ready"
        assert status["listeners"] == [str(running.address)]
        assert await running.stop()


async def test_nothing_of_it_is_left(policy_file: Path, alpha: DemoEnclave) -> None:
    """However the block ends, supervisor and workers end too."""
    family: list[Process] = []
    with contextlib.suppress(ZeroDivisionError):
        async with running_balancer(policy_file, {APP: [alpha]}) as running:
            supervisor = Process(running.process.pid)
            family = [supervisor, *supervisor.children()]
            raise ZeroDivisionError
    assert len(family) == 1 + balancer.WORKERS
    assert not [process for process in family if process.alive]


async def test_one_that_does_not_end_is_killed(
    policy_file: Path, alpha: DemoEnclave, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A balancer that ignores the request to end is ended, its workers with it."""
    monkeypatch.setattr(balancer, "_STOP_SECONDS", 0.1)
    async with running_balancer(policy_file, {APP: [alpha]}) as running:
        os.kill(running.process.pid, signal.SIGSTOP)
    assert await running.process.wait() == -signal.SIGKILL


async def test_one_that_does_not_start_is_told(
    policy_file: Path, alpha: DemoEnclave, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error holds what the daemon said."""
    monkeypatch.setattr(balancer, "configuration", lambda *_: {"nonsense": 1})
    with pytest.raises(BalancerFailed, match="nonsense"):
        async with running_balancer(policy_file, {APP: [alpha]}):
            raise AssertionError


async def test_its_configuration_is_one(policy_file: Path, alpha: DemoEnclave) -> None:
    """Every server has its route, and every port is free."""
    text = yaml.safe_dump(configuration(policy_file, {APP: [alpha]}))
    found = parse_config(text, "demo")
    assert str(found.listeners[0].address) == "127.0.0.1:0"
    assert [str(backend.address) for backend in found.pools[APP].backends] == [str(alpha.address)]
