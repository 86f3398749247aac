"""Ticket-key files: the given name in front, secrets behind, in the form that each server reads."""

import os
from base64 import b64decode

import pytest

from l4proxy.ticket_key import KEY_NAME_BYTES, KeyFormat, ticket_key
from routing import ROUTABLE_NAME_BYTES

NAME = bytes(range(16))

LENGTHS = {
    KeyFormat.NGINX48: 48,
    KeyFormat.NGINX80: 80,
    KeyFormat.OPENSSL: 80,
    KeyFormat.BORINGSSL: 48,
    KeyFormat.NODE: 48,
}
LINES = {KeyFormat.HAPROXY48: 48, KeyFormat.HAPROXY: 80}


def test_every_format_is_tested() -> None:
    """A format that is added is added here."""
    assert LENGTHS.keys() | LINES.keys() == set(KeyFormat)


@pytest.mark.parametrize(("key_format", "length"), LENGTHS.items())
def test_a_binary_key(key_format: KeyFormat, length: int) -> None:
    """The name as it is, then as many secret bytes as the server wants, all drawn at once."""
    drawn = os.urandom(length - 16)
    assert ticket_key(NAME, key_format, lambda size: drawn[:size]) == NAME + drawn


@pytest.mark.parametrize(("key_format", "length"), LINES.items())
def test_lines_of_base64(key_format: KeyFormat, length: int) -> None:
    """HAProxy's three keys are one, so that whichever encrypts, the name is in front."""
    drawn = os.urandom(length - 16)
    text = ticket_key(NAME, key_format, lambda size: drawn[:size])
    assert text.endswith(b"\n")
    keys = [b64decode(line, validate=True) for line in text.splitlines()]
    assert keys == [NAME + drawn] * 3


def test_no_two_keys_are_alike() -> None:
    """The same name twice makes two keys: secrets come from nowhere but the entropy."""
    first, second = (ticket_key(NAME, KeyFormat.NGINX80, os.urandom) for _ in range(2))
    assert first[:16] == second[:16]
    assert first[16:] != second[16:]


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_name_has_one_length(length: int) -> None:
    """A key around anything but sixteen bytes is an error, never a shifted secret."""
    with pytest.raises(ValueError, match=f"ticket name of {length} bytes, expected 16"):
        ticket_key(bytes(length), KeyFormat.NGINX80, os.urandom)


def test_a_routable_name_is_a_key_name() -> None:
    """What is minted fits what servers write in front of their tickets."""
    assert KEY_NAME_BYTES == ROUTABLE_NAME_BYTES
