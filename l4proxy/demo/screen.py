"""What a demo looks like in a terminal of eighty columns."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from l4proxy.client import Continuity
from l4proxy.demo.stage import Stage
from l4proxy.demo.story import Check
from l4proxy.demo.traffic import Scene

_TITLE_WIDTH = 25
_STYLES = {Continuity.FRESH: "green", Continuity.RESUMED: "cyan", Continuity.SWITCHED: "yellow"}


def introduction(stage: Stage) -> str:
    """Return who takes part."""
    enclaves = ", ".join(enclave.name for enclave in stage.enclaves)
    return (
        f"One balancer at {stage.door}, {len(stage.enclaves)} enclaves ({enclaves}), "
        f"{len(stage.clients)} clients: all on this machine. The TEE is simulated: it proves "
        "nothing."
    )


def checked(check: Check) -> Table:
    """Return the lines of one check."""
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(width=1)
    row.add_column(width=_TITLE_WIDTH)
    row.add_column()
    mark = Text("✓", "green") if check.good else Text("✗", "bold red")
    found = Text(check.found)
    if check.said:
        found = Text.assemble(found, " says:\n", (check.said, "yellow"))
    row.add_row(mark, check.title, found)
    return row


def drawn(stage: Stage, scene: Scene) -> RenderableType:
    """Return the live screen."""
    return Group(
        Text(introduction(stage)), "", _enclaves(stage, scene), "", _clients(stage, scene), "",
        _visits(scene), "", _news(scene), "", Text("Ctrl-C ends the demo.", "dim"),
    )  # fmt: skip


def _enclaves(stage: Stage, scene: Scene) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("pool", "enclave"):
        table.add_column(title)
    for title in ("open", "forwarded", "share", "requests", "failed"):
        table.add_column(title, justify="right")
    table.add_column("proof")
    table.add_column("new")
    table.add_column("runs")
    total = sum(found["forwarded"] for found in scene.seen) or 1
    for found in scene.seen:
        enclave = stage.enclave(found["name"])
        reason = found["reason"]
        table.add_row(
            found["pool"],
            found["name"],
            str(found["connections_open"]),
            str(found["forwarded"]),
            f"{found['forwarded'] / total:.0%}",
            str(enclave.application.requests),
            str(sum(found["dial_failures"].values())),
            Text(found["trust"], "green" if found["trust"] == "trusted" else "red"),
            "yes" if reason is None else "no",
            Text("yes", "green") if enclave.running else Text("no", "red"),
        )
    return table


def _clients(stage: Stage, scene: Scene) -> Text:
    counted = ", ".join(f"{scene.standings[standing]} {standing}" for standing in Continuity)
    refused = 0 if scene.status is None else scene.status["connections"]["refused"]
    return Text(
        f"{len(stage.clients)} clients, {scene.standings.total()} visits: {counted}; "
        f"{scene.cut_off} cut off, {refused} refused"
    )


def _visits(scene: Scene) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("when", "who", "connection", "rests on", "enclave, and the start of its key"):
        table.add_column(title)
    for when, who, (_, account) in scene.visits:
        standing = Text(account.standing, _STYLES[account.standing])
        table.add_row(when, who, standing, account.basis, account.name)
    return table


def _news(scene: Scene) -> Text:
    # Each on a line: on what a terminal breaks, nobody would find the next one.
    return Text("\n".join(scene.news), no_wrap=True, overflow="ellipsis")
