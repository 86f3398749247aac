"""Tests of the table of observed tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing import BackendName, Observation, ObservedTokens, PoolName, SeenTokens, key_of
from routing.observed import LIFETIME_SECONDS, MAX_TOKENS, NETWORK_SHARE
from tests.routing.cases import APP, NOW, name

OTHER = PoolName("other")
HOME, OFFICE = bytes([192, 0, 2]), bytes([198, 51, 100])


def _seen(
    token: bytes,
    owner: str = "b0",
    *,
    pool: PoolName = APP,
    network: bytes = HOME,
    at: float = NOW,
) -> Observation:
    return Observation(pool, key_of(token), name(owner), network, at)


def _owner(table: SeenTokens, token: bytes, now: float = NOW) -> BackendName | None:
    return table.owner(APP, token, now)


def _filled(room: int, networks: int = 64) -> ObservedTokens:
    """A full table whose tokens come from many networks."""
    table = ObservedTokens(room)
    for number in range(room):
        token, network = b"%d" % number, b"%d" % (number % networks)
        assert table.add(_seen(token, network=network), NOW)
    return table


@pytest.mark.parametrize("token", [b"id", bytes(32), bytes(33), bytes(65_535)])
def test_what_was_seen_is_known_in_its_pool(token: bytes) -> None:
    """Under the whole token, and in no other pool."""
    table = ObservedTokens()
    assert _owner(table, token) is None
    assert table.add(_seen(token, "b1"), NOW)
    assert _owner(table, token) == "b1"
    assert _owner(table, token + b"?") is None
    assert table.owner(OTHER, token, NOW) is None
    assert table.add(_seen(token, "x", pool=OTHER), NOW)
    assert (table.owner(OTHER, token, NOW), len(table)) == ("x", 2)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_token_takes_a_fixed_room_and_stands_for_itself(one: bytes, other: bytes) -> None:
    """A key is short however long the token is, and two tokens have two keys."""
    assert len(key_of(one)) <= 33
    assert (key_of(one) == key_of(other)) is (one == other)
    assert key_of(key_of(one)) == key_of(one) or len(one) > 32


def test_a_token_lives_its_time_and_no_longer() -> None:
    """Seen again it lives no longer; once it is over it may be seen anew."""
    table = ObservedTokens(lifetime=60.0)
    assert table.add(_seen(b"id"), NOW)
    assert not table.add(_seen(b"id", at=NOW + 50), NOW + 50)
    assert _owner(table, b"id", NOW + 59.9) == "b0"
    assert _owner(table, b"id", NOW + 60) is None
    assert table.add(_seen(b"id", "b1", at=NOW + 60), NOW + 60)
    assert _owner(table, b"id", NOW + 61) == "b1"


def test_what_comes_too_late_is_not_kept() -> None:
    """A worker that hears of an old token does not begin its time anew."""
    table = ObservedTokens(lifetime=60.0)
    assert not table.add(_seen(b"id", at=NOW - 60), NOW)
    assert table.add(_seen(b"id", at=NOW - 59), NOW)
    assert _owner(table, b"id", NOW + 1) is None


def test_nobody_takes_over_a_token_that_lives() -> None:
    """Another backend that shows the same token does not get its clients."""
    table = ObservedTokens()
    assert table.add(_seen(b"id", "b0"), NOW)
    assert not table.add(_seen(b"id", "b1"), NOW)
    assert _owner(table, b"id") == "b0"


def test_a_full_table_keeps_what_lives() -> None:
    """A new token is counted and not taken; nothing is driven out."""
    table = _filled(64)
    assert not table.add(_seen(b"new", network=OFFICE), NOW)
    assert (len(table), table.full, table.over_share) == (64, 1, 0)
    assert _owner(table, b"new") is None
    assert all(_owner(table, b"%d" % number) == "b0" for number in range(64))


def test_a_network_has_its_share_and_leaves_the_rest() -> None:
    """A flood from one network takes its part of the table; another's tokens find room."""
    table = ObservedTokens(160)
    taken = [table.add(_seen(b"%d" % number), NOW) for number in range(50)]
    assert taken == [True] * 10 + [False] * 40
    assert (len(table), table.full, table.over_share) == (10, 0, 40)
    assert table.add(_seen(b"office", network=OFFICE), NOW)


def test_even_the_smallest_table_takes_one_of_a_network() -> None:
    """A share of less than one is one."""
    table = ObservedTokens(1)
    assert table.add(_seen(b"id"), NOW)
    assert not table.add(_seen(b"other", network=OFFICE), NOW)
    assert table.full == 1


def test_room_and_shares_come_back_with_time() -> None:
    """What is over makes room for as many, a few at a time, and for its network too."""
    table = _filled(64)
    later = NOW + LIFETIME_SECONDS
    assert table.add(_seen(b"new", network=b"1", at=later), later)
    assert len(table) == 57
    for number in range(7):
        assert table.add(_seen(b"new %d" % number, network=b"%d" % number, at=later), later)
    assert len(table) == 8
    assert (table.full, table.over_share) == (0, 0)
    assert _owner(table, b"new", later) == "b0"


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5), st.integers(0, 30)), max_size=200))
def test_the_table_never_outgrows_its_bounds(seen: list[tuple[int, int, int]]) -> None:
    """Whatever comes, and in whatever order of time: room and share hold, and no word is stale."""
    table, now = ObservedTokens(20, lifetime=50.0), NOW
    for token, network, step in seen:
        now += step
        table.add(_seen(b"%d" % token, network=b"%d" % network, at=now - 20), now)
        assert len(table) <= 20
    for token in range(41):
        found = table.owner(APP, b"%d" % token, now)
        fresh = [step for step in seen if step[0] == token]
        assert found is None or fresh


def test_the_defaults_are_those_of_the_daemon() -> None:
    """A share is worth something, and the whole is a whole number of shares."""
    assert MAX_TOKENS * NETWORK_SHARE == 2_048
