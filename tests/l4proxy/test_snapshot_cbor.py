"""Snapshots: a worker decides by exactly what the supervisor had in mind."""

import math
import weakref
from collections.abc import Iterable
from dataclasses import replace
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.refusal import RefusalStyle
from l4proxy.routable import RoutingKey, RoutingKeys
from l4proxy.snapshot import (
    Dialling,
    Entrance,
    ProxyVersion,
    SessionRules,
    Settings,
    Snapshot,
    Timeouts,
)
from l4proxy.snapshot_cbor import decode_snapshot, encode_snapshot
from routing import (
    Address,
    Backend,
    BackendIndex,
    BackendName,
    Balance,
    Capacity,
    ExternalPsks,
    Hashing,
    HostPattern,
    Mark,
    Pool,
    PoolName,
    Pools,
    Route,
    RouteTable,
    TicketLayout,
    TicketName,
    TicketNames,
)
from sni import HelloLimits

words = st.text(ascii_lowercase, min_size=1, max_size=8)
seconds = st.floats(0.1, 1e6)
bounds = st.none() | st.integers(1, 1_000_000)
addresses = st.builds(
    Address, st.sampled_from(["127.0.0.1", "::1", "vsock:16"]), st.integers(1, 65_535)
)
backends = st.builds(
    Backend,
    words.map(BackendName),
    st.integers(0, 4_095).map(BackendIndex),
    addresses,
    st.integers(1, 256),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.none() | seconds,
    returned_at=st.none() | seconds,
    load=st.none() | st.floats(0, 1),
)
layouts = st.sampled_from([TicketLayout(0, 16), TicketLayout(1, 16), TicketLayout(0, 4)])
ticket_names = layouts.flatmap(
    lambda layout: st.builds(
        TicketName,
        st.just(layout),
        st.binary(min_size=layout.length, max_size=layout.length),
        words.map(BackendName),
    )
)
keys = st.binary(min_size=16, max_size=16).map(RoutingKey)
pools_of = st.builds(
    Pool,
    words.map(PoolName),
    st.lists(backends, max_size=4, unique_by=lambda backend: backend.name).map(
        lambda found: tuple(replace(each, server_id=n) for n, each in enumerate(found))
    ),
    st.sampled_from(Balance),
    st.builds(Capacity, bounds, bounds),
    ticket_names=st.lists(ticket_names, max_size=3).map(TicketNames),
    routable=st.none() | st.lists(keys, min_size=1, max_size=3).map(RoutingKeys),
    external_psks=st.builds(
        ExternalPsks,
        st.dictionaries(st.binary(), words.map(BackendName), max_size=2),
        st.booleans(),
    ),
    hashing=st.sampled_from(Hashing),
    slow_start=st.just(0.0) | seconds,
    mark=st.builds(
        Mark, st.integers(0, 9), st.lists(words.map(BackendName), max_size=2).map(tuple)
    ),
    park=st.just(0.0) | seconds,
)
sessions_of = st.builds(SessionRules, seconds, seconds, *[st.booleans()] * 3)
protocols = st.none() | st.frozensets(st.sampled_from([b"h2", b"http/1.1", b"\xff"]), min_size=1)
patterns = st.builds(
    lambda wild, name: HostPattern.parse(f"{wild}{name}.example"),
    st.sampled_from(["", "*."]),
    words,
)
settings_of = st.builds(
    Settings,
    st.sampled_from(RefusalStyle),
    seconds,
    st.builds(HelloLimits, st.integers(1_024, 65_536), st.integers(1, 16_384)),
    st.integers(1, 1_000_000),
    st.integers(1, 500_000),
    st.integers(0, 1_000),
    st.integers(1, 1 << 30),
    st.booleans(),
    st.booleans(),
    st.lists(
        st.builds(Entrance, words, st.booleans(), st.lists(words, max_size=2).map(tuple)),
        max_size=2,
    ).map(tuple),
)
timeouts_of = st.builds(Timeouts, *[seconds] * 3, seconds | st.just(math.inf), *[seconds] * 2)
diallings_of = st.builds(
    Dialling,
    st.dictionaries(words.map(BackendName), st.sampled_from(ProxyVersion), max_size=2),
    st.lists(st.sampled_from(["127.0.0.2", "::1"]), max_size=2).map(tuple),
)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Any snapshot whose routes lead to its pools."""
    pools = {
        pool.name: pool
        for pool in draw(st.lists(pools_of, min_size=1, max_size=3, unique_by=lambda p: p.name))
    }
    names = st.sampled_from(list(pools))
    routes = draw(
        st.lists(
            st.builds(Route, patterns, names, protocols, st.booleans()),
            max_size=5,
            unique_by=lambda route: (route.pattern, route.alpn),
        )
    )
    table = RouteTable(routes, draw(st.none() | names))
    return Snapshot(
        Pools(table, pools),
        {name: draw(timeouts_of) for name in pools},
        draw(settings_of),
        {name: draw(diallings_of) for name in pools},
        {name: draw(sessions_of) for name in pools},
    )


POOL = PoolName("p")


def _encoded(*members: Backend, names: Iterable[TicketName] = ()) -> bytes:
    """A snapshot of one pool, on its way."""
    return encode_snapshot(
        Snapshot(
            pools=Pools(
                RouteTable((), POOL), {POOL: Pool(POOL, members, ticket_names=TicketNames(names))}
            ),
            timeouts={POOL: Timeouts(1.0, 1.0, 1.0)},
            settings=Settings(RefusalStyle.ALERT, 1.0, HelloLimits(), 1, 1),
            dialling={POOL: Dialling()},
            sessions={POOL: SessionRules()},
        )
    )


def test_a_ranking_outlives_a_change_of_health() -> None:
    """A pool whose members stay the same keeps the ranking that was worked out for it."""
    backend = Backend(BackendName("a"), BackendIndex(0), Address("127.0.0.1", 1))

    first = decode_snapshot(_encoded(backend))
    sick = decode_snapshot(_encoded(replace(backend, healthy=False)), first)
    other = decode_snapshot(_encoded(replace(backend, weight=2)), sick)

    assert sick.pools.pools[POOL].ranking is first.pools.pools[POOL].ranking
    assert other.pools.pools[POOL].ranking is not first.pools.pools[POOL].ranking


def test_ticket_names_are_read_once_and_kept_no_longer() -> None:
    """The same names are the same value; those of older snapshots leave nothing behind."""
    names = [TicketName(TicketLayout(0, 16), bytes([n]) * 16, BackendName("a")) for n in (1, 2)]
    first = decode_snapshot(_encoded(names=names))
    again = decode_snapshot(_encoded(names=names), first)
    assert again.pools.pools[POOL].ticket_names is first.pools.pools[POOL].ticket_names

    old = weakref.ref(first.pools.pools[POOL].ticket_names.names)
    decode_snapshot(_encoded(names=names[:1]), again)
    del first, again
    assert old() is None


@given(snapshots())
def test_a_snapshot_survives_the_channel(snapshot: Snapshot) -> None:
    """Routes in their order, pools, timeouts and settings arrive as they were."""
    heard = decode_snapshot(encode_snapshot(snapshot))
    assert heard.pools.table.routes == snapshot.pools.table.routes
    assert heard.pools.table.default == snapshot.pools.table.default
    assert heard.pools.pools == snapshot.pools.pools
    assert list(heard.pools.pools) == list(snapshot.pools.pools)
    assert heard.timeouts == snapshot.timeouts
    assert heard.settings == snapshot.settings
    assert heard.dialling == snapshot.dialling
    assert heard.sessions == snapshot.sessions


@given(snapshots())
def test_one_snapshot_has_one_encoding(snapshot: Snapshot) -> None:
    """Encoding what was decoded gives the same bytes."""
    document = encode_snapshot(snapshot)
    assert encode_snapshot(decode_snapshot(document)) == document


@pytest.mark.parametrize("document", [b"", b"\xa0", b"\x01"])
def test_a_broken_document_ends_the_worker(document: bytes) -> None:
    """What our own supervisor never sends is no snapshot: it raises, whatever it is."""
    with pytest.raises(Exception, match=r".*"):
        decode_snapshot(document)
