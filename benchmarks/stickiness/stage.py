"""What every part stands on: enclaves, and pairs of balancers before them that share nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.e2e.balancer import Address, Config, running
from tests.e2e.certificates import Authority, Certificate
from tests.e2e.enclaves import NAME, Enclave
from tests.e2e.knowing import wait_interviewed
from tests.e2e.programs import serving, tool
from tests.ports import free_port

OURS = "l4proxy"
RIVAL = "HAProxy source hash"

SEED = 5
"""Of every choice by chance: both sides of a comparison see the same addresses."""

MOST_OPEN = 4_000
"""Connections that HAProxy is told to bear."""

_HAPROXY = """
global
  maxconn {most}
defaults
  mode tcp
  timeout connect 3s
  timeout client 1h
  timeout server 1h
frontend f
  bind 127.0.0.1:{port} backlog 4096
  tcp-request inspect-delay 5s
  tcp-request content accept if {{ req.ssl_hello_type 1 }}
  use_backend app if {{ req.ssl_sni -i {name} }}
backend app
  balance source
{servers}
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a part of the benchmark plays.

    Attributes:
        base: The folder of the run; each program gets a folder of its own below.
        authority: Whom all clients trust.
        own: The certificate of all enclaves.
        scale: Of the number of clients: 1 for the full run.
    """

    base: Path
    authority: Authority
    own: Certificate
    scale: float = 1.0

    def folder(self, name: str) -> Path:
        """A new folder below the base; the caller makes it."""
        return next(path for n in count() if not (path := self.base / f"{name}-{n}").exists())

    def some(self, clients: int) -> int:
        """So many clients, scaled to the length of the run."""
        return max(3, round(clients * self.scale))


Balance = Callable[[Stage, Sequence[Enclave]], AbstractContextManager[list[Address]]]
"""Starts two balancers before enclaves and tells where clients connect."""


def configured(
    enclaves: Sequence[Enclave], server_ids: Sequence[int] = (), **pool: object
) -> Config:
    """A configuration with one pool, of these enclaves under their names."""
    backends = [
        {"address": f"127.0.0.1:{each.port}", "name": each.name}
        | ({"server_id": server_ids[at]} if server_ids else {})
        for at, each in enumerate(enclaves)
    ]
    return {
        "routes": {NAME: "app"},
        "pools": {"app": {"backends": backends, **pool}},
        "workers": 2,
        "limits": {"per_client": False},
    }


@contextmanager
def ours(stage: Stage, enclaves: Sequence[Enclave], **sticky: object) -> Iterator[list[Address]]:
    """Two daemons of two workers, with default settings but for these of `sticky`."""
    with pair(stage, configured(enclaves, sticky=sticky)) as addresses:
        yield addresses


@contextmanager
def pair(stage: Stage, config: Config, *, learn: bool = True) -> Iterator[list[Address]]:
    """Two daemons with one configuration, and nothing else in common.

    Args:
        stage: Where they play.
        config: Of both.
        learn: Whether to wait until they have asked all backends for tickets.
    """
    with ExitStack() as stack:
        daemons = [stack.enter_context(running(stage.folder("l4proxy"), config)) for _ in range(2)]
        if learn:
            wait_interviewed(*daemons)
        yield [daemon.address for daemon in daemons]


@contextmanager
def rival(stage: Stage, enclaves: Sequence[Enclave]) -> Iterator[list[Address]]:
    """Two HAProxy that route by server name and hash the source address."""
    with ExitStack() as stack:
        yield [stack.enter_context(_haproxy(stage, enclaves)) for _ in range(2)]


@contextmanager
def _haproxy(stage: Stage, enclaves: Sequence[Enclave]) -> Iterator[Address]:
    folder, port = stage.folder("haproxy"), free_port()
    folder.mkdir()
    servers = "\n".join(f"  server {each.name} 127.0.0.1:{each.port}" for each in enclaves)
    text = _HAPROXY.format(most=MOST_OPEN, port=port, name=NAME, servers=servers)
    (folder / "haproxy.cfg").write_text(text, encoding="utf-8")
    with serving([tool("haproxy"), "-db", "-f", "haproxy.cfg"], folder, port):
        yield "127.0.0.1", port


BALANCERS: Mapping[str, Balance] = {OURS: ours, RIVAL: rival}
"""Who is compared."""
