"""What a running daemon is doing, on one screen."""

import json
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TypedDict

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from l4proxy.admin.backends import BackendDocument, BackendsDocument, TicketsDocument
from l4proxy.admin.client import AdminClient
from l4proxy.admin.scaling import PoolScalingDocument, ScalingDocument
from l4proxy.admin.view import StatusDocument
from l4proxy.cli.scaled import scaling_table

WATCH_SECONDS = 1.0
"""Between two looks: workers report their counters as often."""


class Overview(TypedDict):
    """The documents that an overview is made of."""

    status: StatusDocument
    backends: list[BackendDocument]
    scaling: list[PoolScalingDocument]


def look(client: AdminClient) -> Overview:
    """Ask a daemon what it is doing.

    Raises:
        AdminUnavailable: It does not answer.

    """
    return {
        "status": client.ask("/api/v1/status", StatusDocument),
        "backends": client.ask("/api/v1/backends", BackendsDocument)["backends"],
        "scaling": client.ask("/api/v1/scaling", ScalingDocument)["pools"],
    }


def show(overview: Overview) -> None:
    """Print an overview for a reader."""
    Console(highlight=False).print(_drawn(overview))


def show_as_json(overview: Overview) -> None:
    """Print an overview as one JSON document."""
    print(json.dumps(overview, indent=2))


def watch(client: AdminClient) -> None:
    """Show an overview and keep it fresh, until Ctrl-C or until the daemon is gone.

    Raises:
        AdminUnavailable: It does not answer.

    """
    console = Console(highlight=False)
    with Live(_drawn(look(client)), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(WATCH_SECONDS)
            live.update(_drawn(look(client)), refresh=True)


def watch_as_json(client: AdminClient) -> None:
    """Print an overview as a line of JSON each second, until Ctrl-C or until the daemon is gone.

    Raises:
        AdminUnavailable: It does not answer.

    """
    while True:
        print(json.dumps(look(client)))
        sys.stdout.flush()
        time.sleep(WATCH_SECONDS)


def _drawn(overview: Overview) -> RenderableType:
    parts: list[RenderableType] = [_daemon(overview["status"]), "", _backends(overview["backends"])]
    if overview["scaling"]:
        parts += ["", scaling_table(overview["scaling"])]
    return Group(*parts)


def _daemon(status: StatusDocument) -> Table:
    workers = status["workers"]
    ready = sum(worker["ready"] for worker in workers)
    deaths = sum(worker["deaths"] for worker in workers)
    connections = status["connections"]
    table = Table.grid(padding=(0, 2, 0, 0))
    colour = "green" if status["state"] == "ready" else "yellow"
    table.add_row(
        "l4proxy",
        Text.assemble(
            status["version"], "  ", (status["state"], colour), f"  snapshot {status['snapshot']}"
        ),
    )
    table.add_row("listens on", ", ".join(status["listeners"]))
    table.add_row("workers", f"{ready} of {len(workers)} ready, {deaths} replaced")
    table.add_row(
        "connections",
        f"{connections['open']:,} open of {connections['limit']:,}; {connections['accepted']:,} "
        f"accepted, {connections['forwarded']:,} forwarded, {connections['refused']:,} refused",
    )
    for warning in status["warnings"]:
        table.add_row(Text("beware", "bold red"), Text(warning, "red"))
    for name, counts in (
        ("refused", status["refused"]),
        ("paused", status["accept_pauses"]),
        ("failures", status["internal_failures"]),
    ):
        if any(counts.values()):
            table.add_row(name, counted(counts))
    return table


def counted(counts: Mapping[str, int]) -> str:
    """Return counts as text, those that are zero left out."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)


def _backends(backends: list[BackendDocument]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("pool", "backend"):
        table.add_column(title, overflow="fold")
    for title in ("sessions", "open", "forwarded", "names"):
        table.add_column(title, justify="right")
    for title in ("new", "trouble"):
        table.add_column(title, overflow="fold")
    for backend in backends:
        name, address = backend["name"], backend["address"]
        table.add_row(
            Text(backend["pool"]),
            Text(name if name == address else f"{name} ({address})"),  # "[::1]" is no markup
            f"{backend['sessions_open']:,}",
            f"{backend['connections_open']:,}",
            f"{backend['forwarded']:,}",
            _names(backend["tickets"]),
            _room(backend),
            _trouble(backend),
        )
    return table


def _room(backend: BackendDocument) -> Text:
    """Return whether a backend may have new sessions, and how long a drained one keeps its own."""
    reason, deadline = backend["reason"], backend["deadline"]
    if reason is None:
        return Text("yes", "green")
    left = "" if deadline is None else f", {timedelta(seconds=round(deadline))} left"
    return Text(reason + left, "red")


def _names(found: TicketsDocument | None) -> str:
    """Return how many names a backend's tickets are known by, if it was asked."""
    return "-" if found is None or found["asked"] is None else f"{found['names']:,}"


def _trouble(backend: BackendDocument) -> str:
    """Return which dials have failed, what was not proved, why no names of tickets are known."""
    tickets, proof = backend["tickets"], backend["attestation"]
    fault = "" if tickets is None or tickets["fault"] is None else f"tickets: {tickets['fault']}"
    # The name of the check alone: what it found has a hundred digits, and stands in the JSON.
    check = (proof["reason"] or "").partition(":")[0] if proof is not None else ""
    doubt = f"{backend['trust']}: {check}" if check else ""
    return "; ".join(filter(None, (counted(backend["dial_failures"]), doubt, fault))) or "-"
