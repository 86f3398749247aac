"""Tests of where a routable name may stand."""

import pytest

from routing import ROUTABLE_NAME_BYTES
from routing.routable import server_id_of
from tests.routing.cases import Keys, routable


@pytest.mark.parametrize(
    ("token", "server_id"),
    [
        (routable(7), 7),
        (routable(7) + bytes(192), 7),
        (b"\x01" + routable(7), 7),
        (b"\x01" + routable(7) + b"\xff", 7),
        (b"\x02" + routable(7), None),
        (b"\x01\x01" + routable(7), None),
        (bytes(16), None),
        (b"\x01" * 17, None),
    ],
)
def test_a_name_stands_at_the_start_or_behind_a_version(
    token: bytes, server_id: int | None
) -> None:
    """At offset 0, or at offset 1 where s2n's version byte stands before it; nowhere else."""
    assert server_id_of(token, Keys()) == server_id


@pytest.mark.parametrize("token", [b"", b"\x01", routable(7), b"\x01" + routable(7)])
def test_a_token_that_is_cut_off_names_nobody(token: bytes) -> None:
    """Only whole names are ever asked about."""
    for end in range(len(token)):
        found = server_id_of(token[:end], Keys())
        assert found is None or end >= ROUTABLE_NAME_BYTES
    assert server_id_of(token[: ROUTABLE_NAME_BYTES - 1], Keys()) is None
