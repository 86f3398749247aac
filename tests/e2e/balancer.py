"""The daemon as an operator starts it: `l4proxy run`, a process of its own, on free ports."""

import http.client
import json
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import yaml

from tests.e2e.processes import Process
from tests.e2e.waiting import PATIENCE, until
from tests.ports import free_port

COMMAND = (sys.executable, "-m", "l4proxy", "run")
ROOT = Path(__file__).parents[2]

Config = Mapping[str, object]
"""A configuration, without what every test leaves to `Balancer`: listeners, workers, admin."""

Address = tuple[str, int]
"""Host and port."""

Page = Mapping[str, "Page"] | list["Page"] | str | int | float | bool | None
"""A JSON document."""

_READY = re.compile(r"ready: \d+ workers listen on (.*)")


def _without_stickiness(pool: object) -> object:
    written_out = {"backends": pool} if isinstance(pool, list) else pool
    return {"sticky": "off", **written_out} if isinstance(written_out, dict) else pool


class Balancer:
    """A running daemon.

    Attributes:
        path: Its configuration.
        process: The supervisor.
        addresses: Where clients connect, in the configuration's order.
    """

    def __init__(
        self, folder: Path, config: Config, descriptors: int = 0, *, sticks: bool = True
    ) -> None:
        """Starts it.

        Args:
            folder: Of this daemon alone, for its configuration and its log.
            config: What the defaults of these tests are overridden with.
            descriptors: Its descriptor limit; 0: that of the tests.
            sticks: Whether pools that say nothing of stickiness have it, as is the default. Most
                backends of these tests speak no TLS, and count who comes.
        """
        self._sticks = sticks
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "config.yaml"
        self._log = folder / "log"
        self._admin = free_port()
        self._version = 0
        self._defaults = {
            "listeners": ["127.0.0.1:0"],
            "workers": 1,
            "shutdown": {"timeout": "3s"},
            "admin": {
                "address": f"127.0.0.1:{self._admin}",
                "socket": str(folder / "admin.sock"),
            },
        }
        self.write(config)
        with self._log.open("wb") as log:
            self._running = subprocess.Popen(
                [*COMMAND, str(self.path)], cwd=ROOT, stdout=log, stderr=log
            )
        if descriptors:
            limits = (descriptors, descriptors)
            resource.prlimit(self._running.pid, resource.RLIMIT_NOFILE, limits)
        self.process = Process(self._running.pid)
        self.addresses: list[Address] = []

    def write(self, config: Config) -> None:
        """Replaces the file of its configuration, which it reads at the start and on SIGHUP."""
        document = {**self._defaults, **config}
        if not self._sticks and isinstance(pools := config.get("pools"), dict):
            document["pools"] = {name: _without_stickiness(pool) for name, pool in pools.items()}
        text = yaml.safe_dump(document, sort_keys=False)
        self.path.write_text(text, encoding="utf-8")

    def wait_ready(self) -> None:
        """Waits until all workers accept, and notes where they listen."""
        end = time.monotonic() + PATIENCE
        while not (found := _READY.search(self.log)):
            assert not self.ended, self.log
            assert time.monotonic() < end, self.log
            time.sleep(0.02)
        pairs = (where.rpartition(":") for where in found[1].split(", "))
        self.addresses = [(host.strip("[]"), int(port)) for host, _, port in pairs]

    @property
    def address(self) -> Address:
        """Where clients connect, if it listens on one address only."""
        (address,) = self.addresses
        return address

    @property
    def log(self) -> str:
        """Everything it has written so far."""
        return self._log.read_text(encoding="utf-8")

    @property
    def ended(self) -> bool:
        """Whether the supervisor has ended."""
        return self._running.poll() is not None

    def workers(self) -> list[Process]:
        """The present workers, in the order of their seats; none while one is replaced."""
        seats = cast("list[dict[str, int | None]]", self.status()["workers"])
        if not all(seat["ready"] for seat in seats):
            return []
        return [Process(seat["pid"]) for seat in seats if seat["pid"] is not None]

    @property
    def worker(self) -> Process:
        """The only worker."""
        (worker,) = self.workers()
        return worker

    @property
    def page_address(self) -> str:
        """Where its admin API is, that anybody may read."""
        return f"127.0.0.1:{self._admin}"

    def page(self, path: str) -> str:
        """A page of the admin API."""
        url = f"http://127.0.0.1:{self._admin}{path}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return cast("bytes", answer.read()).decode()

    def change(self, method: str, path: str, document: object = None) -> tuple[int, Page]:
        """Asks for a change over the unix socket; returns status and document."""
        connection = http.client.HTTPConnection("localhost", timeout=PATIENCE)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with connection.sock as sock:
            sock.settimeout(PATIENCE)
            sock.connect(str(self.path.with_name("admin.sock")))
            connection.request(method, path, None if document is None else json.dumps(document))
            answer = connection.getresponse()
            return answer.status, cast("Page", json.loads(answer.read()))

    def backend(self, name: str) -> Mapping[str, Page] | None:
        """What the daemon says of a backend; None: it has none of that name."""
        document = cast("Mapping[str, Page]", json.loads(self.page("/api/v1/backends")))
        backends = cast("list[Mapping[str, Page]]", document["backends"])
        return next((each for each in backends if each["name"] == name), None)

    def status(self) -> Mapping[str, Page]:
        """What the daemon says of itself."""
        return cast("Mapping[str, Page]", json.loads(self.page("/api/v1/status")))

    def counted(self, group: str, label: str) -> int:
        """One of its counters; workers report theirs once a second."""
        return cast("Mapping[str, int]", self.status()[group]).get(label, 0)

    def expect_counted(self, group: str, label: str, at_least: int = 1) -> None:
        """Waits until a counter has come so far."""
        what = f"{group} by {label}: {at_least}"
        until(what, lambda: self.counted(group, label) >= at_least)

    def open_connections(self) -> int:
        """How many connections are open now."""
        return cast("Mapping[str, int]", self.status()["connections"])["open"]

    def reload(self, config: Config) -> None:
        """Changes the configuration of the running daemon; returns when all workers obey it."""
        before = cast("int", self.status()["snapshot"])
        self.write(config)
        self.process.signal(signal.SIGHUP)
        until("the new configuration is in force", lambda: self._applied(before + 1))

    def _applied(self, version: int) -> bool:
        workers = cast("list[dict[str, int]]", self.status()["workers"])
        return all(worker["applied"] >= version for worker in workers)

    def wait_ended(self, patience: float = PATIENCE) -> int:
        """Waits for the end of the daemon and returns its exit status."""
        return self._running.wait(patience)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it and returns its exit status; nothing of it is left when this returns."""
        family = [self.process, *self.process.children()]
        try:
            if not self.ended:
                self.process.signal(number)
            return self.wait_ended()
        finally:
            for process in family:
                if process.alive:
                    process.signal(signal.SIGKILL)
            self._running.wait(PATIENCE)


Start = Callable[[Config], Balancer]
"""Starts a daemon that runs until the end of the test, or of the module."""


@contextmanager
def running(
    folder: Path, config: Config, descriptors: int = 0, *, sticks: bool = True
) -> Iterator[Balancer]:
    """A daemon that ends with the block, in which none of its own errors may have come up."""
    balancer = Balancer(folder, config, descriptors, sticks=sticks)
    try:
        balancer.wait_ready()
        yield balancer
    finally:
        balancer.stop()
    assert "Traceback" not in balancer.log, balancer.log
