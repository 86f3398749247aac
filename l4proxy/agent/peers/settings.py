"""Who the peers of an agent are, and by which policy they are verified."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from attestation import PolicyError
from attestation.policy_values import each, mapping, seconds, short, text
from l4proxy.agent.addresses import UNIX, Address, parse_address
from l4proxy.set_wire import MAX_EPOCH_SECONDS, MAX_MEMBERS
from sni import BadServerName, ServerName

EPOCH_SECONDS: Final = 600.0
"""Seconds for which a peer that was verified is a member of the set, unless told otherwise."""

_MAX_PORT = 65_535
_KEYS = ("addresses", "server_name", "policy", "epoch")


@dataclass(frozen=True, slots=True)
class Named:
    """A peer by its name.

    Attributes:
        host: A DNS name; each time it is looked up anew.
        port: Of it.

    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


Place = Address | Named


@dataclass(frozen=True, slots=True)
class PeersSettings:
    """The settings of `peers`.

    Attributes:
        places: Where they are; the agent itself may be among them.
        server_name: Said in the handshake with each of them.
        policy: The file of the policy that they must meet.
        epoch: Seconds for which one that was verified is a member.

    """

    places: tuple[Place, ...]
    server_name: str
    policy: Path
    epoch: float


def read_peers(found: object) -> PeersSettings:
    """Return what stands under `peers`.

    Raises:
        PolicyError: It is not of its shape; the first mistake, with its path.

    """
    path = ("peers",)
    value = mapping(found, path, _KEYS)
    places = each(value.get("addresses"), (*path, "addresses"), "a list of host:port")
    if not 0 < len(places) <= MAX_MEMBERS:
        expected = f"1 to {MAX_MEMBERS}"
        raise PolicyError((*path, "addresses"), f"{len(places)} addresses", expected)
    epoch = seconds(value["epoch"], (*path, "epoch")) if "epoch" in value else EPOCH_SECONDS
    if epoch > MAX_EPOCH_SECONDS:
        raise PolicyError((*path, "epoch"), short(value["epoch"]), "an hour at the most")
    return PeersSettings(
        places=tuple(
            _place(place, (*path, "addresses", index)) for index, place in enumerate(places)
        ),
        server_name=_name(text(value.get("server_name"), (*path, "server_name")), path),
        policy=Path(text(value.get("policy"), (*path, "policy"))),
        epoch=epoch,
    )


def _place(found: object, path: tuple[str | int, ...]) -> Place:
    expected = "host:port, ip:port, [v6]:port or vsock:CID:PORT"
    said = text(found, path)
    if said.startswith(UNIX):
        raise PolicyError(path, short(said), expected)
    try:
        return parse_address(said)
    except ValueError:
        pass
    host, _, port = said.rpartition(":")
    try:
        named = str(ServerName.parse(host))
    except BadServerName as error:
        raise PolicyError(path, short(said), expected) from error
    if not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) <= _MAX_PORT):
        raise PolicyError(path, short(said), expected)
    return Named(named, int(port))


def _name(said: str, path: tuple[str, ...]) -> str:
    try:
        return str(ServerName.parse(said))
    except BadServerName as error:
        raise PolicyError((*path, "server_name"), short(said), "a DNS name") from error
