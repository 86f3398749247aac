"""Free ports are nobody else's."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.ports import LEASE, Lease, free_port

# Each process has its own, far below what is leased: two runs at a time are in nobody's way.
START = LEASE.ports.start - 10_000
BLOCKS = [range(START, START + 5), range(START + 5, START + 10)]
SINGLE = range(START + 10, START + 11)
HOST = "127.0.0.1"
LEASE_AND_WAIT = """
import sys
from tests.ports import Lease
lease = Lease([range(int(sys.argv[1]), int(sys.argv[2]))])
print("leased", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def lease() -> Iterator[Lease]:
    """The first of two small blocks."""
    with closing(Lease(BLOCKS)) as leased:
        yield leased


def test_two_leases_share_no_port(lease: Lease) -> None:
    """A block that is leased is passed over, until it is given back."""
    with closing(Lease(BLOCKS)) as other:
        assert not set(other.ports) & set(lease.ports)
        with pytest.raises(RuntimeError, match="all blocks of ports are leased"):
            Lease(BLOCKS)
    with closing(Lease(BLOCKS)) as again:
        assert again.ports == other.ports


def test_no_port_comes_twice_in_a_round(lease: Lease) -> None:
    """A port that was handed out is not at once handed out again, though nobody listens yet."""
    drawn = [lease.free_port(HOST) for _ in lease.ports]
    assert sorted(drawn) == list(lease.ports)
    assert lease.free_port(HOST) == drawn[0]


def test_a_port_in_use_is_passed_over(lease: Lease) -> None:
    """Whoever has it, and on whichever address it is asked for."""
    taken = lease.ports[0]
    with socket.create_server((HOST, taken)):
        assert lease.free_port(HOST) == lease.ports[1]
        rest = [lease.free_port("0.0.0.0") for _ in lease.ports]  # noqa: S104 - all addresses are the case
    assert taken not in rest


def test_a_block_without_a_free_port_says_so() -> None:
    """Nobody waits for a port for ever."""
    full = rf"all ports from {SINGLE.start} are in use on 127\.0\.0\.1"
    with (
        closing(Lease([SINGLE])) as lease,
        socket.create_server((HOST, SINGLE.start)),
        pytest.raises(RuntimeError, match=full),
    ):
        lease.free_port(HOST)


def test_a_host_of_another_machine_is_an_error(lease: Lease) -> None:
    """It is not taken for a port in use."""
    with pytest.raises(OSError, match="assign requested address"):
        lease.free_port("192.0.2.1")


def test_the_lease_of_a_killed_process_is_free() -> None:
    """No run of tests has to be cleaned up after."""
    command = [sys.executable, "-c", LEASE_AND_WAIT, str(SINGLE.start), str(SINGLE.stop)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"leased\n"
            with pytest.raises(RuntimeError, match="all blocks of ports are leased"):
                Lease([SINGLE])
        finally:
            process.kill()
            process.wait(20)
    Lease([SINGLE]).close()


def test_the_suite_stays_below_the_kernels_choice() -> None:
    """No connection that goes out is given such a port."""
    assert 20_000 <= free_port() < 32_000
