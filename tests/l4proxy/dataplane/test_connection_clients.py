"""Who a client is: told by a PROXY header before it, told to its backend, and what it may have."""

from dataclasses import replace

import pytest

from l4proxy.dataplane.room import Peer as Client
from l4proxy.limits import LINGER_SECONDS, WAITING_SHARE
from l4proxy.proxy_protocol import HeaderReader, HeaderReceived, IpEndpoint, ProxyHeader
from l4proxy.snapshot import Dialling, Entrance, ProxyVersion, Snapshot
from routing import BackendName, Balance, Pools
from tests.l4proxy.dataplane.loopback import Clock, Peer, quiet, settle
from tests.l4proxy.dataplane.room import APP, HELLO_TIMEOUT, logging, nobody, snapshot
from tests.l4proxy.dataplane.stage import ADDRESS, HELLO, WHO, Stage, converse, use
from tests.l4proxy.proxy_protocol.headers import (
    BLOCK_UNIX,
    CLIENT,
    CLIENT_6,
    LINE_4,
    LINE_6,
    LOCAL,
    PROXY,
    SERVER,
    UNIX,
    UNSPEC,
    v2,
)
from tests.sni import hellos

BEHIND = Entrance("10.0.0.1:443", proxied=True, trusted=("192.0.2.0/24",))
PROXIED = Client(ADDRESS, 50_000, BEHIND)
STRANGER = Client(bytes([203, 0, 113, 7]), 50_000, BEHIND)


def limited(present: Snapshot, per_client: int) -> Snapshot:
    """The same with a bound for each client, and a log with full addresses."""
    settings = replace(present.settings, per_client=per_client, access_log=True)
    return replace(present, settings=settings)


# --- a header before the hello -------------------------------------------------------------------


@pytest.mark.parametrize("cut", [0, 1, 12, 28, 29, 100])
def test_header_and_hello_come_in_any_pieces(stage: Stage, cut: int) -> None:
    """Fused or split anywhere: the backend hears the hello alone."""
    use(stage, snapshot(stage.ports[0]))
    wire = v2() + HELLO
    client, _ = stage.arrive(wire[:cut], who=PROXIED)
    quiet(stage.engine, 2)
    client.say(wire[cut:])
    quiet(stage.engine, 2)
    converse(stage, client, stage.backend())


def test_a_stranger_with_a_header_is_refused(stage: Stage) -> None:
    """A peer outside the trusted networks is reset unread, whatever it says."""
    use(stage, snapshot(stage.ports[0]))
    client, _ = stage.arrive(v2() + HELLO, who=STRANGER)
    settle(stage.engine, client.heard_all(b"", "reset"))
    settle(stage.engine, lambda: stage.room.balanced)
    assert stage.room.counted == {("refused", "proxy_untrusted"): 1}


@pytest.mark.parametrize(
    ("wire", "label"),
    [
        (HELLO, "proxy_header_missing"),
        (v2(length=5_000), "proxy_header_too_long"),
        (v2(b"short"), "proxy_header_malformed"),
    ],
)
def test_without_a_good_header_there_is_no_service(stage: Stage, wire: bytes, label: str) -> None:
    """Where a header is demanded, a hello without one is not looked at."""
    use(stage, snapshot(stage.ports[0]))
    client, _ = stage.arrive(wire, who=PROXIED)
    settle(stage.engine, client.heard_all(b"", "fin"))
    client.finish()
    settle(stage.engine, lambda: stage.room.balanced)
    assert stage.room.counted == {("refused", label): 1}


@pytest.mark.parametrize("end", ["silence", "reset", "nonsense", "others"])
def test_a_client_without_a_hello_is_logged_by_its_name(stage: Stage, end: str) -> None:
    """However a client ends whose header came and whose hello did not, the log says who it was."""
    present = logging(snapshot(stage.ports[0]))
    use(stage, replace(present, settings=replace(present.settings, worker_connections=2)))
    stage.room.access_log.full_addresses = True
    client, _ = stage.arrive(LINE_4, who=PROXIED)
    if end == "silence":
        stage.clock.now += HELLO_TIMEOUT
    elif end == "reset":
        client.reset()
    elif end == "nonsense":
        client.say(b"GET /")
    else:
        stage.arrive()
    settle(stage.engine, lambda: client.sock.fileno() == -1 or client.has_ended())
    stage.end()
    assert "192.0.2.1" in [line["client"] for line in stage.room.lines()]


def test_a_header_alone_is_waited_behind(stage: Stage, clock: Clock) -> None:
    """A header without a hello is a client without one: cut at the deadline, logged by its name."""
    use(stage, logging(snapshot(stage.ports[0])))
    stage.room.access_log.full_addresses = True
    client, _ = stage.arrive(LINE_4, who=PROXIED)
    clock.now += HELLO_TIMEOUT
    settle(stage.engine, client.heard_all(b"", "fin"))
    clock.now += LINGER_SECONDS
    settle(stage.engine, lambda: stage.room.balanced)
    assert stage.room.counted == {("refused", "hello_timeout"): 1}
    (line,) = stage.room.lines()
    assert line["client"] == "192.0.2.1"


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (LINE_4, "192.0.2.1"),
        (LINE_6, "2001:db8::1"),
        (v2(), "192.0.2.1"),
        (
            v2(bytes(10) + b"\xff\xff\xc0\x00\x02\x09" + CLIENT_6.address + bytes(4), 0x21),
            "192.0.2.9",
        ),
        (v2(b"", UNSPEC, LOCAL), "192.0.2.7"),
        (b"PROXY UNKNOWN\r\n", "192.0.2.7"),
        (v2(BLOCK_UNIX, UNIX, PROXY), "192.0.2.7"),
    ],
)
def test_the_log_knows_the_client_behind_the_proxy(
    stage: Stage, header: bytes, client: str
) -> None:
    """The header's source; the peer itself where the header names no IP client (LOCAL, UNKNOWN)."""
    use(stage, logging(snapshot(stage.ports[0])))
    stage.room.access_log.full_addresses = True
    found, _ = stage.arrive(header + HELLO, who=PROXIED)
    converse(stage, found, stage.backend())
    (line,) = stage.room.lines()
    assert (line["client"], line["listener"]) == (client, "10.0.0.1:443")


def test_clients_behind_a_proxy_are_selected_for_as_themselves(stage: Stage) -> None:
    """By affinity, each network behind a proxy goes where it would go without the proxy."""
    present = snapshot(*stage.ports)
    pool = replace(present.pools.pools[APP], balance=Balance.AFFINITY)
    use(stage, replace(present, pools=Pools(present.pools.table, {APP: pool})))
    reached = []
    for number in range(8):
        address = bytes([10, number, 0, 1])
        header = v2(address + bytes([192, 0, 2, 9, 1, 1, 1, 187]))
        for who, wire in (
            (Client(address, 50_000, WHO.entrance), HELLO),
            (PROXIED, header + HELLO),
        ):
            client, _ = stage.arrive(wire, who=who)
            (cell,) = stage.room.slots
            reached.append(cell)
            converse(stage, client, stage.backend(cell))
    assert reached[::2] == reached[1::2]
    assert set(reached) == {0, 1}


# --- a header for the backend --------------------------------------------------------------------


def introduced(stage: Stage, backend: Peer, hello: bytes = HELLO) -> ProxyHeader:
    """The header that this backend heard before the hello."""
    settle(stage.engine, lambda: backend.has_ended() or backend.heard.endswith(hello))
    reader = HeaderReader()
    reader.receive_data(backend.heard)
    event = reader.next_event()
    assert isinstance(event, HeaderReceived)
    assert event.rest == hello
    return event.header


@pytest.mark.parametrize("version", ProxyVersion)
def test_a_backend_is_told_who_its_client_is(stage: Stage, version: ProxyVersion) -> None:
    """The header of its version, then the hello, unchanged; others of the pool get none."""
    dialling = Dialling({BackendName("b0"): version})
    use(stage, logging(snapshot(stage.ports[0], dialling=dialling)))
    hello = hellos.python_hello("app.example.com", ["h2"])
    client, _ = stage.arrive(hello)
    backend = stage.backend()
    header = introduced(stage, backend, hello)
    assert header.version == version.value
    host, port = client.sock.getpeername()
    assert header.source == IpEndpoint(ADDRESS, 50_000)
    assert header.destination == IpEndpoint(bytes(map(int, host.split("."))), port)
    converse(stage, client, backend, backend.heard)
    (line,) = stage.room.lines()
    if version is ProxyVersion.V2:
        assert (header.authority, header.alpn) == (b"app.example.com", b"h2")
        assert header.unique_id == str(line["id"]).encode()
    assert len(str(line["id"])) == 16


def test_only_backends_that_want_a_header_get_one(stage: Stage) -> None:
    """The other backend of the same pool hears the hello first."""
    dialling = Dialling({BackendName("b1"): ProxyVersion.V2})
    use(stage, snapshot(stage.ports[0], dialling=dialling))
    client, _ = stage.arrive(HELLO)
    converse(stage, client, stage.backend())


@pytest.mark.parametrize(
    ("header", "source"), [(LINE_4, CLIENT), (v2(), CLIENT), (LINE_6, CLIENT_6)]
)
@pytest.mark.parametrize("version", ProxyVersion)
def test_the_client_behind_a_proxy_is_passed_on(
    stage: Stage, header: bytes, source: IpEndpoint, version: ProxyVersion
) -> None:
    """Behind a listener with headers, the backend hears of the original client and its goal."""
    use(stage, snapshot(stage.ports[0], dialling=Dialling({BackendName("b0"): version})))
    client, _ = stage.arrive(header + HELLO, who=PROXIED)
    backend = stage.backend()
    found = introduced(stage, backend)
    assert found.source == source
    if source is CLIENT:
        assert found.destination == SERVER
    converse(stage, client, backend, backend.heard)


def test_a_local_header_passes_the_peer_on(stage: Stage) -> None:
    """A proxy's own connection (LOCAL) is the proxy's, for the backend too."""
    dialling = Dialling({BackendName("b0"): ProxyVersion.V2})
    use(stage, snapshot(stage.ports[0], dialling=dialling))
    client, _ = stage.arrive(v2(b"", UNSPEC, LOCAL) + HELLO, who=PROXIED)
    backend = stage.backend()
    assert introduced(stage, backend).source == IpEndpoint(ADDRESS, 50_000)
    converse(stage, client, backend, backend.heard)


# --- what a client may have ----------------------------------------------------------------------


def test_one_client_too_many_is_shed_and_room_comes_back(stage: Stage) -> None:
    """Beyond its bound a client is reset at once, without a word; others and later ones are not."""
    use(stage, limited(snapshot(stage.ports[0]), 2))
    first, _ = stage.arrive(HELLO)
    second, _ = stage.arrive()  # waiting for a hello counts too
    third, _ = stage.arrive(HELLO)
    settle(stage.engine, third.heard_all(b"", "reset"))
    other, _ = stage.arrive(HELLO, who=Client(bytes([192, 0, 2, 8]), 50_000, WHO.entrance))
    assert stage.room.counted["refused", "client_limit"] == 1
    second.reset()
    settle(stage.engine, lambda: stage.room.open == 2)
    fourth, _ = stage.arrive(HELLO)
    backends = [stage.backend() for _ in range(3)]
    for client, backend in zip((first, other, fourth), backends, strict=True):
        settle(stage.engine, backend.heard_all(HELLO))
        client.finish()
        settle(stage.engine, backend.heard_all(HELLO, "fin"))
        backend.finish()
    settle(stage.engine, lambda: stage.room.balanced)


def test_behind_a_proxy_each_client_has_its_own_bound(stage: Stage) -> None:
    """The proxy itself may have any number; the clients it names may not."""
    use(stage, limited(snapshot(stage.ports[0]), 1))
    for number in range(3):
        address = bytes([10, 0, 0, number])
        stage.arrive(v2(address + bytes(8)) + HELLO, who=PROXIED)
    assert stage.room.counted.get(("refused", "client_limit")) is None
    again, _ = stage.arrive(v2(bytes([10, 0, 0, 1]) + bytes(8)) + HELLO[:9], who=PROXIED)
    again.say(HELLO[9:])
    settle(stage.engine, again.heard_all(b"", "reset"))
    assert stage.room.counted["refused", "client_limit"] == 1


def test_a_bound_that_is_lowered_lets_all_leave(stage: Stage) -> None:
    """Whoever was admitted under another bound, or none, is counted out when it goes."""
    use(stage, limited(snapshot(stage.ports[0]), 0))
    clients = [stage.arrive(HELLO[:9])[0] for _ in range(4)]
    use(stage, limited(snapshot(stage.ports[0]), 1))
    for client in clients:
        client.reset()
    settle(stage.engine, lambda: stage.room.balanced)
    assert nobody(stage.room.admission)


def test_too_many_that_wait_cost_the_oldest(stage: Stage) -> None:
    """Silent clients take half the room; beyond it the longest silence is reset."""
    present = snapshot(stage.ports[0])
    use(stage, replace(present, settings=replace(present.settings, worker_connections=6)))
    assert stage.room.snapshot.settings.waiting == int(6 * WAITING_SHARE) == 3
    first, second, third = (stage.arrive(HELLO[:number])[0] for number in (0, 1, 2))
    second.say(HELLO[1:])  # waits no more
    quiet(stage.engine)
    fourth, _ = stage.arrive(HELLO[:3])
    quiet(stage.engine)
    assert [client.has_ended() for client in (first, third, fourth)] == [False] * 3
    fifth, _ = stage.arrive()
    settle(stage.engine, first.heard_all(b"", "reset"))
    assert [client.has_ended() for client in (third, fourth, fifth)] == [False] * 3
    assert stage.room.counted["refused", "too_many_waiting"] == 1
    third.say(HELLO[2:])  # the others are served
    quiet(stage.engine)
    backends = [stage.backend() for _ in range(2)]
    settle(stage.engine, backends[1].heard_all(HELLO))
