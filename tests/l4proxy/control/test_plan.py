"""The plan: what a configuration says is what workers decide by."""

import math
import os

import pytest

from l4proxy.config import parse_config
from l4proxy.control import plan as module
from l4proxy.control.found import Found, Phase
from l4proxy.control.membership import Member
from l4proxy.control.plan import (
    Cells,
    Resources,
    Standing,
    TooManyBackends,
    connections_for,
    plan,
)
from l4proxy.control.roll import Roll
from l4proxy.limits import MAX_BACKENDS, RESERVED_DESCRIPTORS
from l4proxy.refusal import RefusalStyle
from l4proxy.routable import RoutingKey, RoutingKeys
from l4proxy.shared_load import SharedLoad, create
from l4proxy.snapshot import (
    Dialling,
    Entrance,
    ProxyVersion,
    SessionRules,
    Timeouts,
)
from l4proxy.snapshot_cbor import decode_snapshot, encode_snapshot
from routing import (
    NO_MARK,
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
    OpenConnections,
    PoolName,
    Route,
    TicketLayout,
    TicketName,
    TicketNames,
)

ROOM = Resources(workers=2, descriptors=1_064)
APP, API = PoolName("app"), PoolName("api")
PLAIN = """
listeners: ["127.0.0.1:8443"]
routes: {app.example.com: app}
pools: {app: ["127.0.0.1:443"]}
"""
RICH = """
listeners:
  - 127.0.0.1:8443
  - {address: "[::1]:8444", proxy_protocol: true, trusted: [10.0.0.0/8, "::1"]}
routes:
  app.example.com: [{pool: app}, {pool: api, alpn: [h2]}]
  "*.app.example.com": {pool: app, instance_name: true}
  default: api
refusal: reset
pools:
  app:
    backends:
      - {address: "10.0.0.1:1", name: one, weight: 3, proxy_protocol: v1}
      - "[::1]:2"
      - unix:/run/b.sock
    proxy_protocol: v2
    source: [10.0.0.5, "::5"]
    balance: least_sessions
    capacity: {count: connections, sessions_per_backend: 5, connections_per_backend: 7}
    timeouts:
      {connect: 1s, idle: 2m, half_closed: 3s, lifetime: 4h, user_timeout: 5s, keepalive: 6s}
  api: ["10.0.0.3:3"]
limits:
  {connections: 300, per_client: off, hello_timeout: 4s, hello_bytes: 8KiB, buffers: 1MiB}
access_log: stdout
log_clients: full
"""


def key(pool: str, backend: str) -> tuple[PoolName, BackendName]:
    """A backend of a pool."""
    return PoolName(pool), BackendName(backend)


def test_everything_said_is_in_the_snapshot() -> None:
    """Routes, pools, capacities, timeouts and settings are those of the configuration."""
    found = plan(parse_config(RICH, "rich"), Cells(), ROOM)
    assert set(found.pools.table.routes) == {
        Route(HostPattern.parse("app.example.com"), APP),
        Route(HostPattern.parse("app.example.com"), API, frozenset([b"h2"])),
        Route(HostPattern.parse("*.app.example.com"), APP, instance_name=True),
    }
    assert found.pools.table.default == API
    app = found.pools.pools[APP]
    assert app.backends == (
        Backend(BackendName("one"), BackendIndex(0), Address("10.0.0.1", 1), 3),
        Backend(BackendName("[::1]:2"), BackendIndex(1), Address("::1", 2)),
        Backend(BackendName("b.sock"), BackendIndex(2), Address("/run/b.sock", 0)),
    )
    assert (app.balance, app.capacity) == (Balance.LEAST_SESSIONS, Capacity(5, 7))
    assert found.pools.pools[API].backends[0].index == 3
    assert found.timeouts[APP] == Timeouts(1.0, 120.0, 3.0, 14_400.0, 5.0, 6.0)
    settings = found.settings
    assert (settings.refusal, settings.hello_timeout) == (RefusalStyle.RESET, 4.0)
    assert settings.hello.wire_bytes == 8_192
    assert (settings.connections, settings.worker_connections) == (300, 500)
    assert (settings.per_client, settings.buffers) == (0, 1_048_576)
    assert (settings.access_log, settings.full_addresses) == (True, True)
    assert settings.entrances == (
        Entrance("127.0.0.1:8443"),
        Entrance("[::1]:8444", proxied=True, trusted=("10.0.0.0/8", "::1/128")),
    )


def test_what_is_not_said_is_the_default() -> None:
    """No end to a lifetime, no header, no source of our own, no access log, a bound a client."""
    found = plan(parse_config(PLAIN, "plain"), Cells(), ROOM)
    assert found.timeouts[APP].lifetime == math.inf
    assert found.dialling[APP] == Dialling()
    assert found.settings.per_client == 200
    assert (found.settings.access_log, found.settings.full_addresses) == (False, False)


def test_backends_are_dialled_as_each_expects() -> None:
    """A backend's own PROXY header comes before its pool's; sources are text."""
    dialling = plan(parse_config(RICH, "rich"), Cells(), ROOM).dialling[APP]
    v1, v2 = ProxyVersion
    assert dialling.proxy == {"one": v1, "[::1]:2": v2, "b.sock": v2}
    assert dialling.sources == ("10.0.0.5", "::5")


def test_those_who_exist_are_planned_for() -> None:
    """Members beside the configuration's have cells too; who is not usable gets no traffic."""
    config = parse_config(PLAIN, "plain")
    roll = Roll(config)
    roll.put(APP, Member(BackendName("put"), Address("10.0.0.7", 7), 4))
    usable = {APP: frozenset({BackendName("put")})}
    found = plan(config, Cells(), ROOM, Standing(roll, usable)).pools.pools[APP]
    assert found.backends == (
        Backend(BackendName("put"), BackendIndex(0), Address("10.0.0.7", 7), 4),
        Backend(
            BackendName("127.0.0.1:443"), BackendIndex(1), Address("127.0.0.1", 443), healthy=False
        ),
    )


STICKY = """
listeners: ["127.0.0.1:8443"]
routes: {app.example.com: app}
pools:
  app:
    backends:
      - {address: "127.0.0.1:443", name: a, server_id: 7}
      - {address: "127.0.0.1:444", name: b}
    hash: maglev
    slow_start: 30s
    sticky: {tickets: false, session_ids: false, reservation: 5s, external_psks: {device: b}}
    session: {idle: 1m}
    capacity: {count: connections}
"""


@pytest.mark.parametrize(
    ("phase", "healthy", "active", "draining"),
    [
        (Phase.ELIGIBLE, True, True, False),
        (Phase.HELD, True, False, False),
        (Phase.DRAINING, True, True, True),
        (Phase.WAITING, False, True, False),
    ],
)
def test_what_a_source_says_of_a_backend_counts(
    phase: Phase, healthy: bool, active: bool, draining: bool
) -> None:
    """Held ones get no new session, draining ones are on their way out, waiting ones get nothing.

    An operator's drain and a probe's verdict stand all the same.
    """
    text = PLAIN.replace('["127.0.0.1:443"]', "[{kubernetes: {service: s, port: 443}}]")
    config = parse_config(text, "plan")
    roll = Roll(config)
    (source,) = (name for _, name in roll.sources())
    roll.discovered(APP, source, [Found(Address("10.0.0.1", 443), BackendName("a"), phase)])
    for standing, well, drained in (
        (Standing(roll), True, False),
        (Standing(roll, usable={APP: frozenset()}), False, False),
        (Standing(roll, drains={(APP, BackendName("a")): None}), True, True),
    ):
        (backend,) = plan(config, Cells(), ROOM, standing).pools.pools[APP].backends
        assert backend.healthy is (healthy and well)
        assert backend.active is active
        assert backend.draining is (draining or drained)


def test_what_holds_sessions_is_in_the_snapshot() -> None:
    """Server ids, routing keys, names, drains, returns, and what the pool says of sessions."""
    config = parse_config(STICKY, "sticky")
    name = TicketName(TicketLayout(0, 16), bytes(16), BackendName("a"))
    keys = RoutingKeys([RoutingKey(bytes(16))])
    standing = Standing(
        Roll(config),
        drains={key("app", "a"): 90.0, key("app", "b"): None},
        returned={key("app", "b"): 50.0},
        names={APP: TicketNames([name])},
        keys={APP: keys},
    )
    found = plan(config, Cells(), ROOM, standing)
    pool = found.pools.pools[APP]
    first, second = pool.backends
    assert (first.server_id, first.draining, first.drain_deadline) == (7, True, 90.0)
    assert (second.server_id, second.draining, second.drain_deadline) == (None, True, None)
    assert (first.returned_at, second.returned_at) == (None, 50.0)
    assert (pool.hashing, pool.slow_start) == (Hashing.MAGLEV, 30.0)
    assert pool.external_psks == ExternalPsks({b"device": BackendName("b")})
    assert pool.ticket_names.owners(bytes(20)) == frozenset({BackendName("a")})
    assert pool.routable is keys
    assert found.sessions[APP] == SessionRules(60.0, 5.0, by_connections=True)


@pytest.mark.parametrize(
    ("barred", "drained", "expected"),
    [
        ({}, {}, (True, False, False, None)),
        ({}, {"a": 90.0}, (True, False, True, 90.0)),
        ({"a": None}, {}, (False, False, False, None)),
        ({"a": None}, {"a": None}, (False, False, True, None)),
        ({"a": 70.0}, {}, (False, False, True, 70.0)),
        ({"a": 70.0}, {"a": 90.0}, (False, False, True, 70.0)),
        ({"a": 70.0}, {"a": None}, (False, False, True, 70.0)),
        ({"a": -math.inf}, {}, (False, True, False, None)),
        ({"a": -math.inf}, {"a": 90.0}, (False, True, True, 90.0)),
        ({"b": -math.inf}, {}, (True, False, False, None)),
    ],
)
def test_who_has_no_proof_gets_nothing_new(
    barred: dict[str, float | None],
    drained: dict[str, float | None],
    expected: tuple[bool, bool, bool, float | None],
) -> None:
    """And loses what it has: at once if it is refuted, by and by if its proof has ended."""
    config = parse_config(STICKY, "sticky")
    standing = Standing(
        Roll(config),
        drains={key("app", name): end for name, end in drained.items()},
        barred={key("app", name): end for name, end in barred.items()},
    )
    found = plan(config, Cells(), ROOM, standing)
    first = decode_snapshot(encode_snapshot(found)).pools.pools[APP].backends[0]
    assert first == found.pools.pools[APP].backends[0]
    assert (first.trusted, first.refuted, first.draining, first.drain_deadline) == expected


def test_sessions_are_sticky_unless_somebody_says_otherwise() -> None:
    """Names are learned, tokens observed, places reserved; `sticky: off` ends all of it."""
    rules = plan(parse_config(PLAIN, "plain"), Cells(), ROOM).sessions[APP]
    assert rules == SessionRules(600.0, 10.0, learns=True, observes=True)
    off = PLAIN.replace('["127.0.0.1:443"]', '{backends: ["127.0.0.1:443"], sticky: off}')
    assert plan(parse_config(off, "off"), Cells(), ROOM).sessions[APP] == SessionRules()


def test_a_check_of_the_cells_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether there is room for everybody, and for one more, is asked before anything is done."""
    monkeypatch.setattr(module, "MAX_BACKENDS", 2)
    roll, cells = Roll(parse_config(PLAIN, "plain")), Cells()
    one = BackendName("127.0.0.1:443")
    cells.check(roll, (APP, one), key("app", "more"))
    with pytest.raises(TooManyBackends):
        cells.check(roll, key("app", "more"), key("app", "most"))
    with pytest.raises(KeyError):
        cells[APP, one]


@pytest.mark.parametrize("text", [PLAIN, RICH])
def test_a_plan_can_be_sent(text: str) -> None:
    """What the supervisor plans is what a worker decodes."""
    found = plan(parse_config(text, "text"), Cells(), ROOM)
    heard = decode_snapshot(encode_snapshot(found))
    assert heard.pools.pools == found.pools.pools
    assert heard.settings == found.settings
    assert (heard.timeouts, heard.dialling) == (found.timeouts, found.dialling)
    assert heard.sessions == found.sessions


def test_connections_left_to_us_are_what_all_workers_have_room_for() -> None:
    """`auto` is the descriptors of every worker together."""
    found = plan(parse_config(PLAIN, "plain"), Cells(), ROOM)
    assert found.settings.connections == 2 * found.settings.worker_connections == 1_000


@pytest.mark.parametrize(
    ("descriptors", "connections"),
    [(0, 1), (RESERVED_DESCRIPTORS + 3, 1), (1_024, 480), (1_048_576, 524_256)],
)
def test_two_descriptors_make_a_connection(descriptors: int, connections: int) -> None:
    """What is reserved is not counted, and one connection is always possible."""
    assert connections_for(descriptors) == connections


def test_a_backend_keeps_its_cell() -> None:
    """Over reloads, in any order, whoever comes or goes; the cell of one gone is free again."""
    cells = Cells()
    cells.assign([key("a", "1"), key("a", "2"), key("b", "1")])
    before = {found: cells[found] for found in (key("a", "2"), key("b", "1"))}
    cells.assign([key("c", "9"), key("b", "1"), key("a", "2")])
    assert {found: cells[found] for found in before} == before
    assert cells[key("c", "9")] == 0
    with pytest.raises(KeyError):
        cells[key("a", "1")]


def test_a_cell_that_still_counts_is_not_given_away() -> None:
    """The connections of a removed backend are never taken for those of a new one."""
    load = OpenConnections()
    cells = Cells(load)
    cells.assign([key("a", "1")])
    load.opened(cells[key("a", "1")])
    cells.assign([key("a", "2")])
    assert cells[key("a", "2")] == 1
    load.closed(BackendIndex(0))
    cells.assign([key("a", "2"), key("a", "3")])
    assert cells[key("a", "3")] == 0


def test_sessions_of_a_removed_backend_are_not_counted_on_a_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A successor does not begin full of idle sessions; where no other cell is left, it begins."""
    monkeypatch.setattr(module, "MAX_BACKENDS", 2)
    descriptor = create(1)
    load = SharedLoad(descriptor, 1)
    try:
        load.sessions_row(0)[0] = 5
        cells = Cells(load)
        cells.assign([key("a", "2")])
        assert cells[key("a", "2")] == 1
        cells.assign([key("a", "2"), key("a", "3")])
        assert cells[key("a", "3")] == 0
    finally:
        load.close()
        os.close(descriptor)


def test_more_backends_than_cells_change_nothing() -> None:
    """The refusal names both numbers, and the cells stay as they were."""
    cells = Cells()
    cells.assign([key("a", "1")])
    many = [key("b", str(number)) for number in range(MAX_BACKENDS + 1)]
    with pytest.raises(TooManyBackends, match=r"found 4097 .* at most 4096"):
        cells.assign(many)
    assert cells[key("a", "1")] == 0
    cells.assign(many[:-1])
    assert len({cells[found] for found in many[:-1]}) == MAX_BACKENDS


def test_a_plan_beyond_the_cells_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pool counts."""
    monkeypatch.setattr(module, "MAX_BACKENDS", 2)
    with pytest.raises(TooManyBackends):
        plan(parse_config(RICH, "rich"), Cells(), ROOM)


def test_scaling_is_told_to_workers() -> None:
    """Who rests, when whom wakes, how long a hello waits, and the load that backends claim."""
    text = """
listeners: ["127.0.0.1:8443"]
routes: {app.example.com: app, api.example.com: api}
pools:
  app:
    backends: [{address: "127.0.0.1:1", name: a}, {address: "127.0.0.1:2", name: b}]
    capacity: {sessions_per_backend: 9}
    scaling: {park: 7s}
  api: ["127.0.0.1:3"]
"""
    config = parse_config(text, "scaled")
    resting, mark = BackendName("b"), Mark(1, (BackendName("b"),))
    standing = Standing(
        Roll(config), resting={(APP, resting)}, marks={APP: mark}, loads={(APP, resting): 0.5}
    )
    snapshot = plan(config, Cells(), ROOM, standing)
    app, api = snapshot.pools.pools[APP], snapshot.pools.pools[API]
    assert [(each.active, each.load) for each in app.backends] == [(True, None), (False, 0.5)]
    assert (app.mark, app.park) == (mark, 7.0)
    assert (api.mark, api.park, api.backends[0].active) == (NO_MARK, 0.0, True)
    assert decode_snapshot(encode_snapshot(snapshot)).pools.pools[APP] == app


def test_who_is_sealed_gets_nothing() -> None:
    """Not even a client that comes back with a ticket, which a drain alone would let in."""
    config = parse_config(PLAIN, "sealed")
    (member,) = Roll(config).members(APP)
    key = APP, member.name
    standing = Standing(Roll(config), drains={key: None}, sealed={key})
    (backend,) = plan(config, Cells(), ROOM, standing).pools.pools[APP].backends
    assert (backend.draining, backend.healthy, backend.drain_deadline) == (True, False, None)


def test_no_mark_wakes_who_goes_by_the_word_of_who_found_it() -> None:
    """Nor one that only keeps its sessions."""
    text = PLAIN.replace('["127.0.0.1:443"]', "[{dns: {name: a.b, port: 1}}]")
    roll = Roll(parse_config(text, "found"))
    ((pool, source),) = roll.sources()
    phases = (Phase.ELIGIBLE, Phase.DRAINING, Phase.HELD, Phase.ELIGIBLE)
    names = [BackendName(name) for name in "abcd"]
    found = [
        Found(Address("10.0.0.1", port), name, phase)
        for port, (name, phase) in enumerate(zip(names, phases, strict=True), 1)
    ]
    roll.discovered(pool, source, found)
    standing = Standing(roll, marks={APP: Mark(1, tuple(names))})
    snapshot = plan(parse_config(text, "found"), Cells(), ROOM, standing)
    assert snapshot.pools.pools[APP].mark == Mark(1, (names[0], names[3]))


def test_a_mark_wakes_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ones of its order: each decision looks at those that are awake."""
    monkeypatch.setattr(module, "MAX_WAKING", 1)
    config = parse_config(
        PLAIN.replace('"127.0.0.1:443"', '"127.0.0.1:443", "127.0.0.1:444"'), "two"
    )
    names = tuple(member.name for member in Roll(config).members(APP))
    standing = Standing(Roll(config), marks={APP: Mark(1, names)})
    found = plan(config, Cells(), ROOM, standing).pools.pools[APP].mark
    assert found == Mark(1, names[:1])


def test_a_backend_without_a_cell_is_known_to_have_none() -> None:
    """It is in no plan yet."""
    cells = Cells()
    cells.assign([(APP, BackendName("a"))])
    assert cells.get((APP, BackendName("a"))) == cells[APP, BackendName("a")]
    assert cells.get((APP, BackendName("b"))) is None
