"""What a demo looks like: within eighty columns, with what matters on it."""

import pytest
from rich.console import Console, RenderableType

from l4proxy.demo.screen import checked, drawn, introduction
from l4proxy.demo.stage import STRANGER, stage
from l4proxy.demo.story import Check
from l4proxy.demo.traffic import Scene


def printed(what: RenderableType) -> str:
    """What stands on a screen of eighty columns."""
    console = Console(width=80, highlight=False)
    with console.capture() as capture:
        console.print(what)
    return capture.get()


@pytest.mark.parametrize(("good", "mark"), [(True, "✓"), (False, "✗")])
def test_a_check_is_a_marked_line(good: bool, mark: str) -> None:
    """The mark tells the outcome without colours."""
    line = printed(checked(Check(good, "all counted", "5 forwarded")))
    assert line.startswith(mark)
    assert "all counted" in line
    assert "5 forwarded" in line


async def test_the_live_screen_shows_servers_clients_and_news() -> None:
    """Before and after the first look at the balancer the screen is whole and not too wide."""
    scene = Scene()
    async with stage(2) as ready:
        assert "0 visits" in printed(drawn(ready, scene))
        scene.visited(STRANGER, ready.backends[0].name)
        scene.tell("something happened")
        scene.status, scene.seen = await ready.status(), await ready.seen()
        await ready.backend("beta").stop()
        screen = printed(drawn(ready, scene))
        assert str(ready.door.address) in introduction(ready)
    for part in ("alpha", "beta", "gamma", "share", "something happened", "100%", "Ctrl-C"):
        assert part in screen
    (beta,) = (line for line in screen.splitlines() if " beta " in line)
    assert beta.rstrip().endswith("no")
    assert all(len(line) <= 80 for line in screen.splitlines())
