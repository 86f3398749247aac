"""Tests of reading names off tickets: every stack's, mixtures, and what only looks like a name."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.control.tickets.layouts import (
    MAX_HANDSHAKES,
    MAX_NAMELESS_HANDSHAKES,
    MIN_HANDSHAKES,
    PLAIN,
    QUIET_HANDSHAKES,
    SHORT,
    VERSIONED,
    KeyName,
    Reading,
    Ticket,
    read_names,
    wants_more,
    with_next,
)
from routing import BackendName, BadTicketName, TicketName, TicketNames
from tests.l4proxy.control.tickets.stacks import Stack

A, B = bytes(range(16)), bytes(range(100, 116))
NOTHING = Reading(frozenset(), ())

OPENSSL, OTHER_OPENSSL = Stack(A), Stack(B)
S2N = Stack(b"\x01" + B)
JSSE = Stack(bytes.fromhex("fffffffe"), 973)
WOLFSSL = Stack(A[:15] + b"\x0e", 174, wolfssl=True)
NSS = Stack(A[:12] + bytes(4), 162)
GO = Stack(b"", 105)
STATEFUL = Stack(b"", 32)


def tickets(*stacks: Stack, seed: int = 1) -> list[Ticket]:
    """A ticket of each."""
    chance = random.Random(seed)
    return [stack.ticket(chance) for stack in stacks]


def interviewed(workers: Sequence[Stack], seed: int) -> list[Ticket]:
    """The tickets of an interview: each visit meets a worker process by chance."""
    chance = random.Random(seed)
    shown = list[Ticket]()
    while wants_more(shown):
        shown.append(chance.choice(workers).ticket(chance))
    return shown


@pytest.mark.parametrize(
    ("stack", "times", "names"),
    [
        (OPENSSL, 2, [KeyName(PLAIN, A)]),
        (NSS, 2, [KeyName(PLAIN, A[:12] + bytes(4))]),
        (S2N, 2, [KeyName(VERSIONED, B)]),
        (JSSE, 3, [KeyName(SHORT, bytes.fromhex("fffffffe"))]),
        (Stack(b"\x01mbd", 130), 3, [KeyName(SHORT, b"\x01mbd")]),
        (WOLFSSL, 2, [KeyName(PLAIN, A[:15] + b"\x0e"), KeyName(PLAIN, A[:15] + b"\x0f")]),
    ],
    ids=["openssl", "nss", "s2n", "jsse", "mbedtls", "wolfssl"],
)
def test_each_stack_has_its_place_for_names(stack: Stack, times: int, names: list[KeyName]) -> None:
    """A name counts from its second ticket on, a short one from its third; before, none does."""
    shown = tickets(*[stack] * times)
    assert read_names(shown) == (frozenset({names[0].layout}), tuple(names))
    assert read_names(shown[:-1]) == NOTHING


@pytest.mark.parametrize("stack", [GO, STATEFUL], ids=["go", "stateful"])
def test_what_is_random_names_nothing(stack: Stack) -> None:
    """Newer Go and stateful servers have no names, however many tickets they show."""
    assert read_names(tickets(*[stack] * 200)) == NOTHING


def test_four_bytes_that_agree_by_chance_are_no_name() -> None:
    """Two tickets may begin alike in four bytes; it takes three to be believed."""
    alike = tickets(Stack(b"abcd"), Stack(b"abcd"))
    assert read_names(alike) == NOTHING
    assert read_names([*alike, *tickets(*[GO] * 20)]) == NOTHING


def test_a_proven_layout_names_every_worker() -> None:
    """Once one name came back, those seen once count too: a ticket was sealed by some key."""
    shown = tickets(OPENSSL, OTHER_OPENSSL, OPENSSL)
    assert read_names(shown).names == (KeyName(PLAIN, A), KeyName(PLAIN, B))
    single = tickets(OTHER_OPENSSL)
    assert read_names(single) == NOTHING
    assert read_names(single, frozenset({PLAIN})).names == (KeyName(PLAIN, B),)


def test_stacks_may_stand_side_by_side() -> None:
    """OpenSSL and s2n behind one address are told apart ticket by ticket."""
    shown = tickets(OPENSSL, S2N, S2N, OPENSSL)
    assert set(read_names(shown).names) == {KeyName(PLAIN, A), KeyName(VERSIONED, B)}


def test_a_name_may_begin_as_s2n_does() -> None:
    """OpenSSL's random name may begin with s2n's version byte; what follows it is not constant."""
    name = b"\x01" + A[1:]
    shown = [Ticket.of(name + bytes([iv]) * 192) for iv in range(2)]
    assert read_names(shown).names == (KeyName(PLAIN, name),)


def test_a_ticket_too_short_for_the_layout_names_nothing() -> None:
    """A server that shows names and then something short is read as far as there is something."""
    shown = [*tickets(OPENSSL, OPENSSL), Ticket.of(b"abc"), Ticket.of(b"")]
    assert read_names(shown).names == (KeyName(PLAIN, A),)
    assert read_names([Ticket.of(b"ab")] * 5) == NOTHING


@pytest.mark.parametrize(
    "stack", [OPENSSL, S2N, JSSE, WOLFSSL, NSS], ids=["openssl", "s2n", "jsse", "wolfssl", "nss"]
)
def test_routing_recognises_the_next_ticket(stack: Stack) -> None:
    """What was read leads routing to the owner for a ticket that nobody has seen before."""
    owner, other = BackendName("a"), BackendName("b")
    names = [name.of(owner) for name in read_names(tickets(*[stack] * 3)).names]
    known = TicketNames([*names, KeyName(PLAIN, bytes(16)).of(other)])
    (fresh,) = tickets(stack, seed=2)
    assert known.owners(fresh.start) == frozenset({owner})


def test_of_a_ticket_only_its_beginning_is_kept() -> None:
    """A ticket of 64 KiB takes 34 bytes, and its length is known."""
    ticket = Ticket.of(b"x" * 65_535)
    assert (len(ticket.start), ticket.length) == (34, 65_535)


def test_a_name_has_the_length_of_its_layout() -> None:
    """A name that routing would refuse is refused here."""
    with pytest.raises(BadTicketName):
        KeyName(SHORT, A)
    assert KeyName(PLAIN, A).of(BackendName("a")) == TicketName(PLAIN, A, BackendName("a"))


def test_a_name_tells_its_tickets() -> None:
    """A ticket begins with the name at its place, and with nothing else."""
    (s2n,) = tickets(S2N)
    assert KeyName(VERSIONED, B).begins(s2n)
    assert not KeyName(PLAIN, B).begins(s2n)


# --- how long to ask ------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_all_workers_are_found(workers: int) -> None:
    """In 200 interviews at least 6 of 7 workers are met, and never is one asked without end."""
    stacks = [Stack(bytes([worker]) * 16) for worker in range(workers)]
    found = 0
    for seed in range(200):
        shown = interviewed(stacks, seed)
        assert MIN_HANDSHAKES <= len(shown) <= MAX_HANDSHAKES
        found += len(read_names(shown).names)
    assert found >= 200 * workers * 6 / 7


def test_one_worker_is_asked_four_times() -> None:
    """The usual backend is left in peace soon."""
    assert len(interviewed([OPENSSL], 1)) == 1 + QUIET_HANDSHAKES


def test_a_crowd_of_workers_is_met_in_part() -> None:
    """With more workers than an interview can meet it ends, and those met have names."""
    shown = interviewed([Stack(bytes([worker]) * 16) for worker in range(60)], 7)
    assert len(shown) == MAX_HANDSHAKES
    assert len(read_names(shown).names) > MAX_HANDSHAKES / 2
    assert not wants_more(shown * 2)


def test_ids_are_recognised_at_once() -> None:
    """A server that keeps its sessions is not asked more than needed: its ids are short."""
    assert len(interviewed([STATEFUL], 1)) == MIN_HANDSHAKES


def test_nameless_tickets_are_given_up() -> None:
    """A stack without names is told from many workers by asking often enough."""
    assert len(interviewed([GO], 1)) == MAX_NAMELESS_HANDSHAKES
    assert len(interviewed([JSSE], 1)) == 1 + QUIET_HANDSHAKES


@given(st.lists(st.binary(max_size=40), max_size=80))
def test_no_backend_is_asked_without_end(shown: list[bytes]) -> None:
    """Whatever a backend shows: it comes to names or none, and to an end."""
    kept = [Ticket.of(ticket) for ticket in shown]
    reading = read_names(kept)
    assert bool(reading.layouts) == bool(reading.names)
    assert not (len(kept) >= MAX_HANDSHAKES and wants_more(kept))


@given(st.lists(st.sampled_from([OPENSSL, OTHER_OPENSSL, S2N]), min_size=2, max_size=12))
def test_the_order_does_not_matter(stacks: list[Stack]) -> None:
    """The names are those that came, in whatever order they came."""
    shown = tickets(*stacks)
    forwards, backwards = read_names(shown), read_names(shown[::-1])
    assert set(forwards.names) == set(backwards.names)
    assert forwards.layouts == backwards.layouts


# --- names to come --------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "values"), [(1_800, 1), (3_600, 1), (3_601, 2), (10_800, 3)])
def test_a_counter_is_known_ahead(seconds: float, values: int) -> None:
    """JSSE counts on each hour; what it will show before it is asked again is known already."""
    now = KeyName(SHORT, bytes.fromhex("fffffffe"))
    ahead = [bytes.fromhex(text) for text in ("ffffffff", "00000000", "00000001")]
    expected = (now, *(KeyName(SHORT, name) for name in ahead[:values]))
    assert with_next([now], seconds) == expected


def test_other_names_do_not_count_on() -> None:
    """What has 16 bytes is random, and its next value as well."""
    names = (KeyName(PLAIN, A), KeyName(VERSIONED, B))
    assert with_next(names, 86_400.0) == names
