"""A stage is set up whole, and taken down whole."""

import tempfile
from pathlib import Path

import pytest

from l4proxy.demo.client import DemoClient
from l4proxy.demo.stage import API, WRONG, stage


def held(folder: Path) -> list[Path]:
    """What a folder holds."""
    return list(folder.iterdir())


async def test_everybody_is_there_and_then_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients reach servers by name through the balancer; afterwards no file or port is left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with stage(3) as ready:
        assert held(tmp_path)
        assert len({client.source for client in ready.clients}) == 3
        assert await ready.clients[0].visit(ready.door) in {"alpha", "beta"}
        visitor = DemoClient("127.1.9.1", API)
        assert await visitor.visit(ready.door) == "gamma"
        assert (await ready.status())["state"] == "ready"
        assert {found["name"]: found["trust"] for found in await ready.seen()} == {
            "alpha": "trusted",
            "beta": "trusted",
            "delta": "refuted",
            "gamma": "trusted",
        }
        assert not ready.backend(WRONG).requests
    assert not held(tmp_path)
    with pytest.raises(ConnectionRefusedError):
        await visitor.visit(ready.door)
