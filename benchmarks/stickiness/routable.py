"""Routable ticket names, and balancers that were started a second ago and ask nobody anything."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from stickiness.crowd import VERSIONS, Crowd
from stickiness.figures import Share
from stickiness.stage import Stage, configured, pair
from tests.e2e.enclaves import enclaves

CLIENTS = 1_000
RETURNS = 5
SERVER_IDS = (7, 11, 4_294_967_295)
QUIET = {"tickets": False, "session_ids": False, "reservation": False}
"""Nothing is learned, nothing is remembered."""


def measure(stage: Stage) -> Iterator[Share]:
    """First visits through one pair of balancers, which then end; all others through a new pair."""
    folder = stage.folder("keys")
    folder.mkdir()
    keys = mint(folder, SERVER_IDS)
    with enclaves(stage.folder("enclaves"), stage.own, keys) as there:
        sticky = {**QUIET, "routable_keys": [str(folder / "routing.key")]}
        config = configured(there, SERVER_IDS, sticky=sticky)
        crowd = Crowd.of(stage, list(VERSIONS.values()), stage.some(CLIENTS))
        with pair(stage, config, learn=False) as addresses:
            crowd.visit(addresses)
        with pair(stage, config, learn=False) as addresses:
            for _ in range(RETURNS):
                crowd.visit(addresses)
    yield crowd.resumed("routable names, balancers just started: resumptions accepted", 1.0)
    yield crowd.at_home("routable names, balancers just started: on the first enclave", 1.0)


def mint(folder: Path, server_ids: tuple[int, ...]) -> list[bytes]:
    """Makes a routing key, and a ticket key around a routable name for each server, as the guide.

    Returns:
        The ticket keys, as nginx reads them.
    """
    routing_key = folder / "routing.key"
    _l4proxy("routing-key", str(routing_key))
    keys = []
    for server_id in server_ids:
        name = _l4proxy("ticket-name", "--server-id", str(server_id), "--key", str(routing_key))
        output = folder / f"{server_id}.key"
        _l4proxy("ticket-key", "--name", name.strip(), "--output", str(output))
        keys.append(output.read_bytes())
    return keys


def _l4proxy(*words: str) -> str:
    command = [sys.executable, "-m", "l4proxy", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
