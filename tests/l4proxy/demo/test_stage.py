"""A stage is set up whole, and taken down whole."""

import tempfile
from pathlib import Path

import pytest

from l4proxy.client import Fault, NotAttested
from l4proxy.demo import stage as stages
from l4proxy.demo.balancer import BalancerFailed
from l4proxy.demo.stage import API, APP, WRONG, Stage, stage


def held(folder: Path) -> list[Path]:
    """What a folder holds."""
    return list(folder.iterdir())


async def test_everybody_is_there_and_then_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients reach enclaves by name through the balancer; afterwards no file or port is left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with stage(3) as ready:
        assert held(tmp_path)
        assert len({client.name for client in ready.clients}) == 3
        assert (await ready.clients[0].visit(ready.door, APP)).enclave in {"alpha", "beta"}
        assert (await ready.clients[0].visit(ready.door, API)).enclave == "gamma"
        assert (await ready.status())["state"] == "ready"
        assert {found["name"]: found["trust"] for found in await ready.seen()} == {
            "alpha": "trusted",
            "beta": "trusted",
            "delta": "refuted",
            "gamma": "trusted",
        }
        assert not ready.enclave(WRONG).application.requests
    assert not held(tmp_path)
    for door in (ready.door, ready.enclave("alpha").address):
        with pytest.raises(NotAttested) as caught:
            await ready.stranger.visit(door, APP)
        assert caught.value.fault is Fault.UNREACHABLE


async def test_a_balancer_that_never_decides_is_told(
    still: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait for verdicts has an end."""

    async def undecided(_: Stage) -> bool:
        return False

    monkeypatch.setattr(Stage, "_decided", undecided)
    monkeypatch.setattr(stages, "_LOOK_SECONDS", 0.0)
    with pytest.raises(BalancerFailed, match="has not asked"):
        await still.known()


async def test_a_balancer_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason comes out as it is, and enclaves that ran already are taken down."""

    def fail(*_: object) -> None:
        raise BalancerFailed("it said: no")

    monkeypatch.setattr(stages, "running_balancer", fail)
    with pytest.raises(BalancerFailed, match="it said: no"):
        async with stage(1):
            raise AssertionError
