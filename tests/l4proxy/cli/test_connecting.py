"""What `l4proxy connect` does: once, or behind a port until it is told to stop."""

import argparse
import asyncio
import io
import json
import os
import pty
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

from attestation import Policy, SimulatedTee
from l4proxy.cli.arguments import Place
from l4proxy.cli.command import Exit
from l4proxy.cli.connect import configure
from l4proxy.cli.connecting import Job, once, rules_of, serve
from l4proxy.client import AttestedClient, OnSwitch, Reattest, Rules, Strangers
from l4proxy.client.port import Behind
from tests.l4proxy.agent.parts import KINDS, NAME, PATIENCE, policy
from tests.l4proxy.client.parts import HOST, SECRET, Enclave, Server, serving
from tests.ports import free_port


@contextmanager
def server(enclave: Enclave | None = None) -> Iterator[Server]:
    """A server in a thread of its own."""
    ready: Future[Server] = Future()
    over = threading.Event()

    async def run() -> None:
        async with serving(Server(enclave or Enclave())) as found:
            ready.set_result(found)
            await asyncio.to_thread(over.wait, 2 * PATIENCE)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        yield ready.result(PATIENCE)
    finally:
        over.set()
        thread.join(PATIENCE)


def rules(said: Policy, *options: str) -> Rules:
    """What a policy and the options of a command come to."""
    parser = argparse.ArgumentParser()
    configure(parser)
    return rules_of(parser.parse_args(["--policy", "p", "--once", *options, "a:1"]), said)


def test_an_option_goes_before_the_policy() -> None:
    """What neither says is as the defaults have it."""
    said = policy(on_switch="allow", max_lineage="5m", set="refuse")
    assert rules(policy()) == Rules()
    assert rules(said) == Rules.by(said)
    assert rules(policy(), "--set", "reattest").strangers is Strangers.REATTEST
    options = ("--set", "off", "--reattest", "always", "--max-lineage", "7", "--timeout", "8")
    expected = Rules(OnSwitch.REFUSE, Reattest.ALWAYS, 7.0, 8.0)
    assert rules(said, "--on-switch", "refuse", *options) == expected


def job(behind: Server) -> Job:
    """To connect there."""
    client = AttestedClient(policy(), kinds=KINDS)
    return Job(client, Behind(HOST, behind.port, NAME))


def test_once_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    """A script gets status 0, and the whole account."""
    with server() as found:
        assert once(job(found)) is Exit.FINE
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "accepted"
    assert document["standing"] == "fresh"
    assert document["attestation"]["accepted"] is True
    assert not found.heard


def test_once_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A script gets status 1, the fault, and what was found and expected."""
    with server(Enclave(SimulatedTee(b"other"))) as found:
        assert once(job(found)) is Exit.FAILED
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "refused"
    assert document["fault"] == "refused"
    failed = [each for each in document["attestation"]["checks"] if each["outcome"] == "failed"]
    assert failed[0]["found"]
    assert failed[0]["expected"]


async def reached(local: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection, as soon as somebody listens."""
    while True:
        try:
            return await asyncio.open_connection(*local)
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)


def say_and_stop(local: Place) -> None:
    """An application says its secret through the port; then the command is told to stop."""

    async def visit() -> None:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await reached(local)
            writer.write(SECRET)
            assert await reader.readexactly(len(SECRET)) == SECRET
            writer.close()

    try:
        asyncio.run(visit())
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def served(behind: Server) -> Exit:
    """The command, from its start to SIGTERM."""
    local = Place(HOST, free_port())
    application = threading.Thread(target=say_and_stop, args=(local,))
    application.start()
    try:
        return serve(job(behind), local)
    finally:
        application.join(PATIENCE)


def test_a_port_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal there is a line for each connection; SIGTERM ends it in good order."""
    with server() as found:
        assert served(found) is Exit.FINE
        assert found.heard == SECRET
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ready: 127.0.0.1:")
    assert lines[1].startswith("fresh (exporter): ")


def test_a_port_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal there is a live table."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "110")
    ours, theirs = pty.openpty()
    came = io.BytesIO()

    def read() -> None:
        while True:
            try:
                came.write(os.read(ours, 65_536))
            except OSError:
                return

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal, server() as found:
        monkeypatch.setattr(sys, "stdout", terminal)
        assert served(found) is Exit.FINE
    reader.join(PATIENCE)
    os.close(ours)
    assert b"leads to" in came.getvalue()
    assert b"1 fresh" in came.getvalue()
