"""Who may come in, who gives way, and whose PROXY header is believed."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.dataplane.admission import Admission, trusts
from l4proxy.snapshot import Entrance
from tests.l4proxy.dataplane.room import nobody

HERE, THERE = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])


class Waiter:
    """Waits for a hello; notes that it had to give way."""

    def __init__(self) -> None:
        self.gone = 0

    def give_way(self) -> None:
        """Note it."""
        self.gone += 1


def test_a_client_has_so_many_and_no_more() -> None:
    """The bound is each client's own, and one that leaves makes room."""
    admission = Admission()
    assert [admission.admit(HERE, 2) for _ in range(3)] == [True, True, False]
    assert admission.admit(THERE, 2)
    admission.leave(HERE)
    assert [admission.admit(HERE, 2) for _ in range(2)] == [True, False]
    for client in (HERE, HERE, THERE):
        admission.leave(client)
    assert nobody(admission)


def test_without_a_bound_everybody_is_admitted_and_counted() -> None:
    """A bound that comes later counts those who were there."""
    admission = Admission()
    assert all(admission.admit(HERE, 0) for _ in range(1_000))
    assert not admission.admit(HERE, 1_000)


def test_the_oldest_gives_way() -> None:
    """One too many: the one that has waited longest goes, once, and the others stay."""
    admission = Admission()
    waiters = [Waiter() for _ in range(5)]
    for waiter in waiters:
        admission.wait(waiter, 3)
    assert [waiter.gone for waiter in waiters] == [1, 1, 0, 0, 0]
    admission.waited(waiters[2])
    admission.waited(waiters[2])
    admission.wait(waiters[0], 3)
    assert [waiter.gone for waiter in waiters] == [1, 1, 0, 0, 0]


def test_unfinished_hellos_share_a_budget() -> None:
    """Beyond it the oldest gives way, whoever grew; what has gone is held no more."""
    admission = Admission()
    waiters = [Waiter() for _ in range(3)]
    for waiter in waiters:
        admission.wait(waiter, 10)
        admission.grew(waiter, 40, 100)
    assert [waiter.gone for waiter in waiters] == [1, 0, 0]
    assert admission.held == 80
    admission.grew(waiters[0], 1_000, 100)
    admission.grew(waiters[2], 1_000, 100)
    assert [waiter.gone for waiter in waiters] == [1, 1, 1]
    assert admission.held == 0
    assert nobody(admission)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=40), st.integers(0, 4))
def test_counts_come_back_to_nothing(steps: list[tuple[int, bool]], limit: int) -> None:
    """Any order of coming and going: never beyond the bound, and in the end no entry is left."""
    admission = Admission()
    present: list[bytes] = []
    for number, comes in steps:
        client = bytes([10, 0, 0, number])
        if not comes and client in present:
            present.remove(client)
            admission.leave(client)
        elif comes and admission.admit(client, limit):
            present.append(client)
        assert not limit or all(present.count(each) <= limit for each in present)
    for client in present:
        admission.leave(client)
    assert nobody(admission)


@pytest.mark.parametrize(
    ("peer", "networks", "trusted"),
    [
        ("192.0.2.1", ["192.0.2.0/24"], True),
        ("192.0.3.1", ["192.0.2.0/24"], False),
        ("::ffff:192.0.2.1", ["192.0.2.0/24"], True),
        ("::ffff:192.0.3.1", ["192.0.2.0/24"], False),
        ("::ffff:192.0.2.1", ["::/0"], False),
        ("2001:db8::1", ["2001:db8::/32"], True),
        ("2001:db9::1", ["2001:db8::/32", "192.0.2.0/24"], False),
        ("192.0.2.1", ["2001:db8::/32", "192.0.2.1/32"], True),
        ("192.0.2.1", [], False),
    ],
)
def test_trust_is_by_network(peer: str, networks: list[str], trusted: bool) -> None:
    """A peer is trusted in a network of its own family; mapped into IPv6 it counts as IPv4."""
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    entrance = Entrance("127.0.0.1:8443", proxied=True, trusted=tuple(networks))
    assert trusts(entrance, socket.inet_pton(family, peer)) is trusted


def test_a_client_is_full_exactly_when_it_is_not_admitted() -> None:
    """Asking takes no place, and says what taking one would."""
    admission = Admission()
    for limit, taken in ((2, 0), (2, 1), (0, 5)):
        assert not admission.is_full(b"a", limit), (limit, taken)
        assert admission.admit(b"a", limit)
    assert admission.is_full(b"a", 3)
    assert not admission.admit(b"a", 3)


def test_an_ipv6_host_is_one_client_whatever_its_address() -> None:
    """A host has a whole /64 to choose from; its neighbour's connections are not its own."""
    admission = Admission()
    network = bytes.fromhex("20010db800000001")
    assert admission.admit(network + bytes(7) + b"\x01", 1)
    assert admission.is_full(network + bytes(7) + b"\x02", 1)
    assert not admission.admit(network + bytes(7) + b"\x02", 1)
    assert admission.admit(bytes.fromhex("20010db800000002") + bytes(8), 1)
    admission.leave(network + bytes(7) + b"\x01")
    assert admission.admit(network + bytes(7) + b"\x02", 1)
