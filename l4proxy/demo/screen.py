"""What a demo looks like in a terminal of eighty columns."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from l4proxy.demo.stage import Stage
from l4proxy.demo.story import Check
from l4proxy.demo.traffic import Scene

_TITLE_WIDTH = 24


def introduction(stage: Stage) -> str:
    """Return who takes part."""
    servers = ", ".join(backend.name for backend in stage.backends)
    return (
        f"One balancer at {stage.door.address}, {len(stage.backends)} simulated enclaves "
        f"({servers}), {len(stage.clients)} clients: all on this machine, each client from a "
        "network of its own."
    )


def checked(check: Check) -> Table:
    """Return the line of one check."""
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(width=1)
    row.add_column(width=_TITLE_WIDTH)
    row.add_column()
    mark = Text("✓", "green") if check.good else Text("✗", "bold red")
    row.add_row(mark, check.title, Text(check.found))
    return row


def drawn(stage: Stage, scene: Scene) -> RenderableType:
    """Return the live screen."""
    return Group(
        Text(introduction(stage)), "", _servers(stage, scene), "", _clients(stage, scene), "",
        Text("\n".join(scene.news)), "", Text("Ctrl-C ends the demo.", "dim"),
    )  # fmt: skip


def _servers(stage: Stage, scene: Scene) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("pool", "server"):
        table.add_column(title)
    for title in ("open", "forwarded", "share", "requests", "failed"):
        table.add_column(title, justify="right")
    table.add_column("proof")
    table.add_column("new")
    table.add_column("runs")
    total = sum(found["forwarded"] for found in scene.seen) or 1
    for found in scene.seen:
        backend = stage.backend(found["name"])
        reason = found["reason"]
        table.add_row(
            found["pool"],
            found["name"],
            str(found["connections_open"]),
            str(found["forwarded"]),
            f"{found['forwarded'] / total:.0%}",
            str(backend.requests),
            str(sum(found["dial_failures"].values())),
            Text(found["trust"], "green" if found["trust"] == "trusted" else "red"),
            "yes" if reason is None else "no",
            Text("yes", "green") if backend.running else Text("no", "red"),
        )
    return table


def _clients(stage: Stage, scene: Scene) -> Text:
    visits = scene.came_back + scene.strayed
    share = scene.came_back / visits if visits else 1.0
    refused = 0 if scene.status is None else scene.status["connections"]["refused"]
    return Text(
        f"{len(stage.clients)} clients, {visits} visits, {share:.0%} to the same server as before; "
        f"{refused} refused"
    )
