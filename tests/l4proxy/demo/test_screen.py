"""What a demo looks like: within eighty columns, with what matters on it."""

import pytest
from rich.console import Console, RenderableType

from l4proxy.admin.backends import BackendDocument
from l4proxy.demo.screen import checked, drawn, introduction
from l4proxy.demo.stage import APP, WRONG, Stage
from l4proxy.demo.story import Check
from l4proxy.demo.traffic import Scene


def printed(what: RenderableType) -> str:
    """What stands on a screen of eighty columns."""
    console = Console(width=80, highlight=False)
    with console.capture() as capture:
        console.print(what)
    return capture.get()


def document(name: str, trust: str) -> BackendDocument:
    """What the balancer says of an enclave."""
    return {
        "pool": "app",
        "name": name,
        "address": "127.0.0.1:8443",
        "weight": 1,
        "source": "static",
        "phase": "eligible",
        "server_id": None,
        "health": None,
        "tickets": None,
        "draining": False,
        "deadline": None,
        "eligible": trust == "trusted",
        "reason": None if trust == "trusted" else "untrusted",
        "trust": trust,
        "attestation": None,
        "telemetry": None,
        "sessions_open": 0,
        "connections_open": 2,
        "forwarded": 7 if trust == "trusted" else 0,
        "dial_failures": {"econnrefused": 3},
        "bytes_to_backend": 0,
        "bytes_to_client": 0,
    }


@pytest.mark.parametrize(("good", "mark"), [(True, "✓"), (False, "✗")])
def test_a_check_is_a_marked_line(good: bool, mark: str) -> None:
    """The mark tells the outcome without colours."""
    line = printed(checked(Check(good, "all counted", "5 forwarded")))
    assert line.startswith(mark)
    assert "all counted" in line
    assert "5 forwarded" in line


def test_what_a_client_says_stands_on_a_line_of_its_own() -> None:
    """Nobody has to look for it in a sentence."""
    first, second = printed(checked(Check(True, "wrong", "a client", "refused: pcr0"))).splitlines()
    assert first.rstrip().endswith("a client says:")
    assert second.strip() == "refused: pcr0"


async def test_the_live_screen_shows_enclaves_clients_and_news(still: Stage) -> None:
    """Before and after the first look at the balancer the screen is whole and not too wide."""
    scene = Scene()
    assert "0 visits" in printed(drawn(still, scene))
    (client,) = still.clients
    for _ in range(2):
        scene.visited(client, await client.visit(still.door, APP))
    scene.tell("something happened, and the whole story of it is longer than a line can be: cut")
    scene.seen = [document("alpha", "trusted"), document(WRONG, "refuted")]
    screen = printed(drawn(still, scene))
    assert str(still.door) in introduction(still)
    for part in ("alpha", "share", "something happened", "100%", "Ctrl-C", "client 1", "exporter"):
        assert part in screen
    assert "2 visits: 1 fresh, 1 resumed, 0 switched; 0 cut off, 0 refused" in screen
    (wrong,) = (line for line in screen.splitlines() if f" {WRONG} " in line)
    assert wrong.split()[-3:] == ["refuted", "no", "no"]
    assert all(len(line) <= 80 for line in screen.splitlines())
