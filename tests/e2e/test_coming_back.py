"""Clients that come back are on their enclave: from anywhere, through any balancer.

Stock nginx, both versions of TLS, balancers that share nothing. The same in large, with figures:
`make bench-sticky`.
"""

import ssl
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from random import Random

import pytest

from l4proxy.control.tickets.learner import ROUND_SECONDS
from tests.e2e.balancer import Address, Config, Start
from tests.e2e.certificates import Authority, Certificate
from tests.e2e.enclaves import NAME, Enclave, enclaves, new_key
from tests.e2e.knowing import wait_interviewed
from tests.e2e.returning import Visitor, context_for, sources
from tests.l4proxy.cli.calls import call

CLIENTS = 12
RETURNS = 3
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)

SERVER_IDS = (7, 11, 4_294_967_295)
QUIET = {"tickets": False, "session_ids": False}
"""Nothing is learned, nothing is remembered."""

both_keys = pytest.mark.parametrize("files", [False, True], ids=["nginx's own keys", "key files"])


@pytest.fixture(scope="module")
def own(authority: Authority) -> Certificate:
    """The certificate of all enclaves."""
    return authority.issue(NAME)


@pytest.fixture
def visitors(authority: Authority) -> list[Visitor]:
    """Clients, of one version of TLS and the other in turn."""
    contexts = cycle([context_for(authority, version) for version in VERSIONS])
    return [Visitor(context) for context in islice(contexts, CLIENTS)]


@pytest.fixture
def addresses() -> Iterator[str]:
    """Where clients come from, each time from elsewhere."""
    return sources(Random(5))


def _config(there: Sequence[Enclave], sticky: Config, ids: Sequence[int] = ()) -> Config:
    backends = [
        {"address": f"127.0.0.1:{each.port}", "name": each.name}
        | ({"server_id": ids[at]} if ids else {})
        for at, each in enumerate(there)
    ]
    pool = {"backends": backends, "sticky": {"reservation": False, **sticky}}
    return {"routes": {NAME: "app"}, "pools": {"app": pool}, "workers": 2}


def _pair(start: Start, config: Config) -> list[Address]:
    """Two balancers of one configuration that know the tickets of their backends."""
    balancers = [start(config), start(config)]
    wait_interviewed(*balancers)
    return [each.address for each in balancers]


def _all_come(
    visitors: Sequence[Visitor], balancers: Sequence[Address], addresses: Iterator[str]
) -> None:
    """Each comes once, to the balancer that it did not come to the last time."""
    for at, visitor in enumerate(visitors):
        balancer = balancers[(at + len(visitor.seen)) % len(balancers)]
        visitor.visit(balancer, next(addresses))


@both_keys
def test_who_comes_back_resumes_on_the_first_enclave(
    start: Start,
    own: Certificate,
    tmp_path: Path,
    visitors: list[Visitor],
    addresses: Iterator[str],
    files: bool,
) -> None:
    """Every resumption is accepted, through two balancers that share nothing, in both versions."""
    keys = [new_key() if files else None for _ in range(3)]
    with enclaves(tmp_path / "enclaves", own, keys) as there:
        balancers = _pair(start, _config(there, {}))
        for _ in range(1 + RETURNS):
            _all_come(visitors, balancers, addresses)
    for visitor in visitors:
        first, *again = visitor.seen
        assert not first.resumed
        assert [seen.resumed for seen in again] == [True] * RETURNS
        assert {seen.enclave for seen in again} == {first.enclave}
    assert len({visitor.seen[0].enclave for visitor in visitors}) > 1


@both_keys
def test_a_rotated_key_is_noticed(
    start: Start,
    own: Certificate,
    tmp_path: Path,
    visitors: list[Visitor],
    addresses: Iterator[str],
    files: bool,
) -> None:
    """What an enclave issues under a new key resumes there, and nobody else is disturbed."""
    keys = [new_key() if files else None for _ in range(3)]
    with enclaves(tmp_path / "enclaves", own, keys) as there:
        balancers = _pair(start, _config(there, {}))
        _all_come(visitors, balancers, addresses)
        rotated = next(each for each in there if each.name == visitors[0].seen[0].enclave)
        time.sleep(ROUND_SECONDS)  # a pool is asked once in so long
        rotated.rotate(new_key() if files else None)
        for _ in range(1 + RETURNS):
            _all_come(visitors, balancers, addresses)
    for visitor in visitors:
        before, at_once, *later = visitor.seen
        assert at_once.resumed == (before.enclave != rotated.name)
        assert [seen.resumed for seen in later] == [True] * RETURNS
        assert {seen.enclave for seen in [at_once, *later]} == {before.enclave}


def test_routable_names_need_no_knowledge(
    start: Start,
    own: Certificate,
    tmp_path: Path,
    visitors: list[Visitor],
    addresses: Iterator[str],
) -> None:
    """Balancers that have just started and ask nobody anything send everybody back."""
    keys = _mint(tmp_path)
    with enclaves(tmp_path / "enclaves", own, keys) as there:
        sticky = {**QUIET, "routable_keys": [str(tmp_path / "routing.key")]}
        config = _config(there, sticky, SERVER_IDS)
        _all_come(visitors, [start(config).address], addresses)
        balancers = [start(config).address, start(config).address]
        for _ in range(RETURNS):
            _all_come(visitors, balancers, addresses)
    for visitor in visitors:
        first, *again = visitor.seen
        assert [seen.resumed for seen in again] == [True] * RETURNS
        assert {seen.enclave for seen in again} == {first.enclave}


def _mint(folder: Path) -> list[bytes]:
    """A routing key, and a ticket key for each server id, as an operator makes them."""
    routing_key = folder / "routing.key"
    assert call("routing-key", routing_key).returncode == 0
    keys = []
    for server_id in SERVER_IDS:
        minted = call("ticket-name", "--server-id", str(server_id), "--key", routing_key)
        output = folder / f"{server_id}.key"
        made = call("ticket-key", "--name", minted.stdout.strip(), "--output", output)
        assert made.returncode == 0, made.stderr
        keys.append(output.read_bytes())
    return keys
