"""Routable names: minted here, read there, and nothing else is taken for one."""

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.routable import (
    KEY_BYTES,
    NONCE_BYTES,
    RoutingKey,
    RoutingKeys,
    mint,
)
from l4proxy.secret_file import BadSecretFile, write_secret
from routing import MAX_SERVER_ID, ROUTABLE_NAME_BYTES, RoutableNames

OLD, CURRENT, NEXT, SPARE = (RoutingKey(bytes([number]) * KEY_BYTES) for number in range(4))
NONCE = b"\x01\x02\x03\x04"


def _block(key: RoutingKey, plain: bytes) -> bytes:
    cipher = Cipher(AES128(key.secret), ECB())  # noqa: S305 - one block, as specified
    return cipher.encryptor().update(plain)


@given(
    st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES),
    st.integers(0, MAX_SERVER_ID),
    st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES),
)
def test_what_is_minted_is_read(secret: bytes, server_id: int, nonce: bytes) -> None:
    """Every server id comes back, under every key, with every nonce."""
    name = mint(RoutingKey(secret), server_id, nonce)
    assert len(name) == ROUTABLE_NAME_BYTES
    assert RoutingKeys([RoutingKey(secret)]).server_id(name) == server_id


def test_the_layout_is_what_it_says() -> None:
    """Server id 4 bytes, format 2, zeros 6, nonce 4: one block of AES-128."""
    plain = bytes.fromhex("0000002a000100000000000001020304")
    assert mint(CURRENT, 42, NONCE) == _block(CURRENT, plain)


def test_a_known_name() -> None:
    """Names outlive the version that minted them: these bytes are read for ever."""
    key = RoutingKey(bytes(range(KEY_BYTES)))
    name = mint(key, 7, NONCE)
    assert name.hex() == "4913d2e3d37b8a2675d57f17432c85a4"
    assert RoutingKeys([key]).server_id(name) == 7


def test_several_keys_are_live_at_once() -> None:
    """Names of the old, the current and the next key are read, those of any other are not."""
    keys: RoutableNames = RoutingKeys([OLD, CURRENT, NEXT])
    assert [keys.server_id(mint(key, 9, NONCE)) for key in (OLD, CURRENT, NEXT)] == [9, 9, 9]
    assert keys.server_id(mint(SPARE, 9, NONCE)) is None
    assert RoutingKeys([]).server_id(mint(OLD, 9, NONCE)) is None


def test_no_random_name_is_taken_for_ours() -> None:
    """Of a million random names, as GREASE makes them, none leads anywhere under any key."""
    keys = RoutingKeys([OLD, CURRENT, NEXT])
    drawn = os.urandom(1_000_000 * ROUTABLE_NAME_BYTES)
    names = (drawn[at : at + 16] for at in range(0, len(drawn), ROUTABLE_NAME_BYTES))
    assert not any(keys.server_id(name) is not None for name in names)


@pytest.mark.parametrize("bit", range(32, 96))
def test_every_bit_of_the_check_counts(bit: int) -> None:
    """One wrong bit of format or zeros, and it is no name: 2**-64 for a random one."""
    plain = (7).to_bytes(4, "big") + b"\x00\x01" + bytes(6) + NONCE
    wrong = int.from_bytes(plain, "big") ^ (1 << (127 - bit))
    name = _block(CURRENT, wrong.to_bytes(16, "big"))
    assert RoutingKeys([CURRENT]).server_id(name) is None


@given(st.integers(0, 8 * ROUTABLE_NAME_BYTES - 1))
def test_a_changed_name_leads_nowhere(bit: int) -> None:
    """A name cannot be turned into another server's by changing its bits."""
    name = int.from_bytes(mint(CURRENT, 7, NONCE), "big") ^ (1 << bit)
    assert RoutingKeys([CURRENT]).server_id(name.to_bytes(ROUTABLE_NAME_BYTES, "big")) is None


@pytest.mark.parametrize("length", [0, 1, 15, 17, 32])
def test_other_lengths_are_no_names_and_spoil_nothing(length: int) -> None:
    """What is not sixteen bytes is no name, and the next name is read as ever."""
    keys = RoutingKeys([OLD, CURRENT])
    name = mint(CURRENT, 7, NONCE)
    assert keys.server_id((name * 2)[:length]) is None
    assert keys.server_id(name) == 7


def test_names_of_one_server_differ() -> None:
    """Two nonces make two names without a common part that tells the server."""
    assert mint(CURRENT, 7, bytes(4)) != mint(CURRENT, 7, NONCE)


@pytest.mark.parametrize(
    ("server_id", "nonce"), [(-1, NONCE), (MAX_SERVER_ID + 1, NONCE), (1, b""), (1, bytes(5))]
)
def test_what_has_no_room_is_not_minted(server_id: int, nonce: bytes) -> None:
    """A server id or a nonce of another size is an error, never cut to fit."""
    with pytest.raises(ValueError, match="expected"):
        mint(CURRENT, server_id, nonce)


def test_the_same_keys_are_equal() -> None:
    """Two snapshots with the same keys in the same order can be told to be the same."""
    assert RoutingKeys([OLD, NEXT]) == RoutingKeys([OLD, NEXT])
    assert hash(RoutingKeys([OLD, NEXT])) == hash(RoutingKeys([OLD, NEXT]))
    assert RoutingKeys([OLD]) != RoutingKeys([NEXT])
    assert RoutingKeys([OLD]) != OLD


def test_keys_are_not_shown() -> None:
    """No log and no traceback shows a key by accident."""
    key = RoutingKey.fresh()
    assert key.secret.hex() not in repr(key)
    assert repr(key.secret) not in repr(key)
    assert key.secret.hex() not in repr(RoutingKeys([key]))


def test_fresh_keys_differ() -> None:
    """Each key is random."""
    assert RoutingKey.fresh() != RoutingKey.fresh()


def test_a_key_has_one_length() -> None:
    """A key of AES-192 or AES-256 is refused, as is half a key."""
    for length in (0, 8, 24, 32):
        with pytest.raises(ValueError, match=f"routing key of {length} bytes, expected 16"):
            RoutingKey(bytes(length))


def test_a_file_keeps_a_key(tmp_path: Path) -> None:
    """What is written by one is read by another; the end of the line may be missing."""
    key = RoutingKey.fresh()
    write_secret(tmp_path / "whole", key.line())
    write_secret(tmp_path / "open", key.line()[:-1])
    assert RoutingKey.load(tmp_path / "whole") == RoutingKey.load(tmp_path / "open") == key


GOOD = b"l4proxy-routing-key-1 " + b"0123456789abcdef" * 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:-1],
        GOOD + b"0",
        GOOD + b"\r\n",
        GOOD + b"\n\n",
        GOOD + b"\n" + GOOD,
        b" " + GOOD,
        GOOD.replace(b"-1 ", b"-2 "),
        GOOD.upper(),
        GOOD.replace(b"a", b"A"),
        GOOD.replace(b"a", b"g"),
        GOOD[22:],
        bytes(16),
        b"-----BEGIN PRIVATE KEY-----\n",
        b"l4proxy-routing-key-1 " + "\N{ARABIC-INDIC DIGIT ZERO}".encode() * 32,
    ],
)
def test_another_file_is_no_key(tmp_path: Path, data: bytes) -> None:
    """Whatever is not exactly a key is refused, with the path and what is expected, unquoted."""
    path = tmp_path / "file"
    write_secret(path, data)
    with pytest.raises(BadSecretFile, match="no routing key, expected one line") as caught:
        RoutingKey.load(path)
    assert str(path) in str(caught.value)
    assert "0123456789" not in str(caught.value)
