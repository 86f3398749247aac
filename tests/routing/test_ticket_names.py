"""Tests of the ticket names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing import BadTicketName, TicketLayout, TicketName, TicketNames
from tests.routing.cases import JSSE, OPENSSL, S2N, name, owned

KEY = bytes(range(16))
SEALED = bytes(160)


def _who(names: TicketNames, ticket: bytes) -> set[str] | None:
    """The owners of a ticket as plain text."""
    owners = names.owners(ticket)
    return None if owners is None else set(map(str, owners))


def test_a_known_name_leads_to_its_owner() -> None:
    """The first 16 bytes of a ticket decide; what is sealed behind them is not read."""
    names = TicketNames([owned("a", KEY), owned("b", KEY[::-1])])
    assert _who(names, KEY + SEALED) == {"a"}
    assert _who(names, KEY[::-1] + SEALED) == {"b"}
    assert _who(names, KEY) == {"a"}
    assert _who(names, SEALED) is None


def test_a_name_behind_a_version_byte_is_found_there_only() -> None:
    """s2n's names stand at offset 1 of a ticket that begins with 0x01."""
    names = TicketNames([owned("a", KEY, S2N)])
    assert _who(names, b"\x01" + KEY + SEALED) == {"a"}
    assert _who(names, b"\x02" + KEY + SEALED) is None
    assert _who(names, KEY + SEALED) is None


def test_every_layout_of_the_pool_is_asked_the_longest_first() -> None:
    """A pool of several TLS stacks finds each one's names; more bytes that agree win."""
    names = TicketNames([owned("short", KEY[:4], JSSE), owned("long", KEY), owned("s2n", KEY, S2N)])
    assert _who(names, KEY + SEALED) == {"long"}
    assert _who(names, KEY[:4] + SEALED) == {"short"}
    assert _who(names, b"\x01" + KEY + SEALED) == {"s2n"}


def test_a_shared_key_has_several_owners() -> None:
    """Backends that share a key all open its tickets."""
    assert _who(TicketNames([owned("a", KEY), owned("b", KEY)]), KEY) == {"a", "b"}


@pytest.mark.parametrize(
    ("layouts", "ticket", "could"),
    [
        ([OPENSSL], KEY, True),
        ([OPENSSL], KEY[:15], False),
        ([OPENSSL, JSSE], KEY[:15], True),
        ([S2N], b"\x01" + KEY, True),
        ([S2N], b"\x01" + KEY[:15], False),
        ([S2N], b"\x02" + KEY, False),
        ([], KEY, False),
    ],
)
def test_not_every_ticket_has_a_place_for_a_name(
    layouts: list[TicketLayout], ticket: bytes, could: bool
) -> None:
    """What is too short, or begins otherwise, can hold no name of the pool's layouts."""
    names = TicketNames(owned("a", bytes(layout.length), layout) for layout in layouts)
    assert names.could_name(ticket) is could


def test_equal_names_are_equal_values() -> None:
    """Two maps of the same names are the same, in whatever order they were given."""
    entries = [owned("a", KEY), owned("b", KEY[::-1])]
    assert TicketNames(entries) == TicketNames(entries[::-1])
    assert hash(TicketNames(entries)) == hash(TicketNames(entries[::-1]))
    assert TicketNames(entries) != TicketNames()
    assert TicketNames() != frozenset()


def test_no_names_are_false() -> None:
    """A pool that uses no names says so by truth."""
    assert not TicketNames()
    assert TicketNames([owned("a", KEY)])


@pytest.mark.parametrize(("offset", "length"), [(-1, 16), (2, 16), (0, 3), (1, 0)])
def test_a_layout_that_no_stack_writes_is_refused(offset: int, length: int) -> None:
    """Names stand at the start or behind one version byte, and have four bytes or more."""
    with pytest.raises(BadTicketName, match=f"of {length} bytes at offset {offset}, expected"):
        TicketLayout(offset, length)


def test_a_name_is_as_long_as_its_layout_says() -> None:
    """A name of another length is refused, with both lengths and the owner."""
    with pytest.raises(BadTicketName, match="of 15 bytes for 'a', expected 16"):
        TicketName(OPENSSL, KEY[:15], name("a"))


@given(st.binary(max_size=64))
def test_made_up_tickets_name_nobody(ticket: bytes) -> None:
    """Bytes that are not a known name, GREASE among them, are unknown, whatever their length."""
    names = TicketNames([owned("a", KEY), owned("b", KEY, S2N)])
    if not ticket.startswith((KEY, b"\x01" + KEY)):
        assert _who(names, ticket) is None
