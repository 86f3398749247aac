"""Any mix of clients and backends: in the end every count is back where it began."""

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l4proxy.dataplane.engine import Engine
from l4proxy.dataplane.room import Peer as Client
from l4proxy.snapshot import Dialling, Entrance, ProxyVersion
from routing import BackendName, Capacity
from tests.l4proxy.dataplane.loopback import Clock, Peer, open_descriptors
from tests.l4proxy.dataplane.room import logging, snapshot
from tests.l4proxy.dataplane.stage import HELLO, WHO, Stage, use
from tests.l4proxy.proxy_protocol.headers import v2
from tests.ports import free_port
from tests.sni import hellos

BEHIND = Entrance("10.0.0.1:443", proxied=True, trusted=("192.0.2.0/24",))
WIRES = [
    HELLO,
    hellos.python_hello("other.example.com"),
    b"GET / HTTP/1.1\r\n\r\n",
    b"",
    v2() + HELLO,
]
ACTS = [
    *("arrive", "arrive behind", "arrive from afar", "more", "finish", "reset"),
    *("answer", "hang up", "backend resets", "time", "turn"),
]
steps = st.tuples(
    st.integers(0, 7),
    st.sampled_from(ACTS),
)


class Play:
    """Clients and backends that do as they are told."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.clients: list[tuple[Peer, bytes]] = []
        self.backends: list[Peer] = []
        self.arrived = 0

    def arrive(self, number: int, what: str) -> None:
        """Connect with some first words, or only a part of them."""
        address = bytes([203, 0, 113, 9]) if what.endswith("afar") else bytes([192, 0, 2, number])
        entrance = WHO.entrance if what == "arrive" else BEHIND
        wire = WIRES[number % len(WIRES)]
        cut = len(wire) if number % 2 else len(wire) // 2
        client, _ = self.stage.arrive(wire[:cut], who=Client(address, 1, entrance))
        self.clients.append((client, wire[cut:]))
        self.arrived += 1

    def act(self, number: int, what: str) -> None:
        """Let one client or backend do something, if it is there."""
        if what in {"more", "finish", "reset"}:
            if self.clients:
                index = number % len(self.clients)
                client, rest = self.clients[index]
                {"more": lambda: client.say(rest or b"more"), "finish": client.finish}.get(
                    what, client.reset
                )()
                self.clients[index] = client, b""
        elif self.backends:
            backend = self.backends[number % len(self.backends)]
            {
                "answer": lambda: backend.say(b"answer"),
                "hang up": backend.sock.close,
                "backend resets": backend.reset,
            }[what]()

    def accept(self) -> None:
        """Take what the backends got."""
        for server in self.stage.servers:
            server.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock, _ = server.accept()
                self.stage.keep(sock)
                self.backends.append(Peer(sock))


@settings(max_examples=12)
@given(st.lists(steps, max_size=30), st.integers(0, 2), st.sampled_from([None, 1]))
def test_all_that_was_taken_is_given_back(
    plan: list[tuple[int, str]], per_client: int, cap: int | None
) -> None:
    """Slots, admissions, places to wait, kept bytes, descriptors; and a line for each client."""
    before = open_descriptors()
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr("l4proxy.dataplane.engine.time", clock)
        engine = Engine()
        stage = Stage(engine, clock)
        play = Play(stage)
        dialling = Dialling({BackendName("b0"): ProxyVersion.V2})
        present = snapshot(
            *stage.ports, free_port(), dialling=dialling, capacity=Capacity(cap, cap)
        )
        values = replace(
            present.settings, per_client=per_client, worker_connections=4, buffers=10_000
        )
        use(stage, logging(replace(present, settings=values)))
        for number, what in plan:
            if what.startswith("arrive"):
                play.arrive(number, what)
            elif what == "time":
                clock.now += (0.01, 0.2, 1.0, 5.0)[number % 4]
            elif what != "turn":
                with contextlib.suppress(OSError):  # a peer that is closed already
                    play.act(number, what)
            engine.turn(0.001)
            play.accept()
        stage.end()
        assert stage.room.balanced
        assert stage.room.failures == []
        assert len(stage.room.lines()) == play.arrived
        stage.close()
        engine.close()
    assert open_descriptors() == before
