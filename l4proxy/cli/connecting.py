"""The work of `l4proxy connect`: one connection for a script, or a port with its live view."""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Coroutine, Mapping
from typing import NamedTuple

from rich.console import Console
from rich.live import Live

from attestation import Json, OnSwitch, Policy, Reattest, Strangers
from l4proxy.cli.arguments import Place
from l4proxy.cli.command import Exit
from l4proxy.client import AttestedClient, LocalPort, NotAttested, Rules
from l4proxy.client.port import Behind, listen
from l4proxy.client.view import Journal, Lines

_REFRESH_SECONDS = 0.25


class Job(NamedTuple):
    """What is to be done.

    Attributes:
        client: Connects.
        behind: Where to.

    """

    client: AttestedClient
    behind: Behind


def rules_of(arguments: argparse.Namespace, policy: Policy) -> Rules:
    """Return what a policy says of connections; an option goes before it.

    Raises:
        ValueError: What comes of it cannot be had.

    """
    said = Rules.by(policy)
    strangers = None if arguments.set in {None, "off"} else Strangers(arguments.set)
    return Rules(
        on_switch=OnSwitch(arguments.on_switch or said.on_switch),
        reattest=Reattest(arguments.reattest or said.reattest),
        max_lineage=arguments.max_lineage or said.max_lineage,
        timeout=arguments.timeout,
        strangers=said.strangers if arguments.set is None else strangers,
    )


def once(job: Job) -> Exit:
    """Connect once, and print what came of it as JSON."""
    try:
        account = asyncio.run(_once(job))
    except NotAttested as error:
        print(json.dumps({"verdict": "refused", **error.as_document()}, indent=2))
        return Exit.FAILED
    print(json.dumps({"verdict": "accepted", **account}, indent=2))
    return Exit.FINE


def serve(job: Job, local: Place) -> Exit:
    """Serve a local port until SIGTERM or Ctrl-C."""
    try:
        listener = listen(local.host, local.port)
    except OSError as error:
        print(
            f"l4proxy: cannot listen on {local}: {os.strerror(error.errno or 0)}", file=sys.stderr
        )
        return Exit.FAILED
    title = f"{local} leads to {job.behind.host}:{job.behind.port}"
    with listener:
        asyncio.run(_until_told(_shown(job, listener, title)))
    return Exit.FINE


async def _once(job: Job) -> Mapping[str, Json]:
    connection = await job.client.connect(*job.behind)
    with contextlib.suppress(OSError):
        await connection.stream.end()
    connection.close()
    return connection.account.as_document()


async def _until_told(work: Coroutine[None, None, None]) -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work)
        await told.wait()
        task.cancel()


async def _shown(job: Job, listener: socket.socket, title: str) -> None:
    """Serve, and draw it where somebody looks; elsewhere print a line for each connection."""
    console = Console(highlight=False)
    if not console.is_terminal:
        print(f"ready: {title}", flush=True)
        await LocalPort(job.client, job.behind, Lines()).serve(listener)
        return
    journal = Journal(title)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(LocalPort(job.client, job.behind, journal).serve(listener))
        tasks.create_task(_draw(journal, console))


async def _draw(journal: Journal, console: Console) -> None:
    with Live(journal.draw(), console=console, auto_refresh=False) as live:
        try:
            while True:
                await asyncio.sleep(_REFRESH_SECONDS)
                live.update(journal.draw(), refresh=True)
        finally:
            live.update(journal.draw())
