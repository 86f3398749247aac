"""The agent's own configuration: small, and every mistake an error."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from attestation import AttestationError, PolicyError
from attestation.agent_claims import Claim
from attestation.policy_values import choice, each, hexadecimal, mapping, seconds, short, text
from l4proxy.agent.addresses import Address, parse_address
from l4proxy.agent.certificates import Csr, Imported, SelfSigned, Source
from l4proxy.agent.peers.settings import PeersSettings, read_peers
from l4proxy.agent.telemetry.settings import TelemetrySettings, parse_telemetry
from l4proxy.agent.yaml_file import YamlError, parse_yaml, read_bytes
from l4proxy.ticket_key import KEY_NAME_BYTES, KeyFormat
from sni import BadServerName, ServerName

MAX_CONNECTIONS: Final = 10_000
"""Connections at once: each takes two descriptors, and an enclave has little memory."""

_T = TypeVar("_T")
_KEYS = (
    "listen",
    "application",
    "protocol",
    "files",
    "tee",
    "image",
    "instance",
    "claims",
    "manifest",
    "certificate",
    "ticket_name",
    "publish",
    "telemetry",
    "peers",
    "renew",
    "idle",
    "connections",
    "ready_file",
)
_CERTIFICATE = ("self_signed", "csr", "provided")
_RENEW, _IDLE, _CONNECTIONS = 3600.0, 3600.0, 1000


class SettingsError(AttestationError):
    """The file cannot be used: the operator's fault."""


class Tee(StrEnum):
    """Where evidence comes from."""

    NITRO = "nitro"
    CONFIGFS_TSM = "configfs-tsm"
    SIMULATED = "simulated"


class Protocol(StrEnum):
    """What the application speaks: over HTTP evidence can be asked for by a path."""

    HTTP = "http"
    TCP = "tcp"


@dataclass(frozen=True, slots=True)
class Termination:
    """The agent ends TLS, and passes the bytes on.

    Attributes:
        application: Where they go.
        protocol: What they are.

    """

    application: Address
    protocol: Protocol


@dataclass(frozen=True, slots=True)
class Files:
    """The application ends TLS itself, with what the agent writes here.

    Attributes:
        directory: Gets `server.key`, `server.crt` and `ticket.key`.
        ticket_key: In which form the last one is.
        reload: The command that makes the application read them again; empty: none.

    """

    directory: Path
    ticket_key: KeyFormat
    reload: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration.

    Attributes:
        listen: Where clients connect: with TLS where the agent ends it, else plain HTTP, for the
            application to pass the questions on to.
        mode: Who ends TLS.
        tee: Where evidence comes from.
        image: What a simulated TEE measures.
        instance: This enclave's name among its like.
        claims: The service's own.
        manifest: The secondary manifest's file; None: there is none.
        certificate: Where the certificate comes from.
        ticket_name: What session tickets begin with, 16 bytes; None: something random.
        publish: Where balancers read the names of the ticket keys; None: nowhere.
        telemetry: What it tells of its load, and to whom; None: nothing.
        peers: The other enclaves of its pool, which it verifies; None: it tells of none.
        renew: Seconds after which evidence in the certificate is renewed at the latest.
        idle: Seconds without a byte after which a connection is closed.
        connections: Most of them at once.
        ready_file: Is made once the manifest is sealed and clients are served; None: nothing is.

    """

    listen: Address
    mode: Termination | Files
    tee: Tee
    image: bytes
    instance: str
    claims: Mapping[str, Claim]
    manifest: Path | None
    certificate: Source
    ticket_name: bytes | None
    publish: Address | None
    telemetry: TelemetrySettings | None
    peers: PeersSettings | None
    renew: float
    idle: float
    connections: int
    ready_file: Path | None


def load_settings(path: Path) -> Settings:
    """Return the settings of a file.

    Raises:
        SettingsError: It cannot be read, or something in it is wrong: the first mistake.

    """
    try:
        return parse_settings(read_bytes(path).decode())
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except (SettingsError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error


def parse_settings(document: str) -> Settings:
    """Return the settings that a document in YAML states.

    Raises:
        SettingsError: Something in it is wrong: the first mistake.

    """
    try:
        return _settings(mapping(parse_yaml(document), (), _KEYS))
    except YamlError as error:
        raise SettingsError(str(error)) from error
    except PolicyError as error:
        where = ".".join(map(str, error.path)) or "the file"
        raise SettingsError(f"{where}: found {error.found}, expected {error.expected}") from error


def _settings(found: Mapping[str, object]) -> Settings:
    tee = choice(Tee, found.get("tee"), ("tee",))
    image = _optional(found, "image", lambda value: text(value, ("image",)).encode())
    if (image is not None) != (tee is Tee.SIMULATED):
        expected = "text with tee: simulated, and with no other"
        raise PolicyError(("image",), short(found.get("image")), expected)
    return Settings(
        listen=_listen(found, "listen"),
        mode=_mode(found),
        tee=tee,
        image=image or b"",
        instance=_optional(found, "instance", lambda value: text(value, ("instance",))) or "",
        claims=_claims(found.get("claims", {})),
        manifest=_optional(found, "manifest", lambda value: _path(value, "manifest")),
        certificate=_certificate(found.get("certificate")),
        ticket_name=_optional(
            found,
            "ticket_name",
            lambda value: hexadecimal(value, KEY_NAME_BYTES, ("ticket_name",)),
        ),
        publish=_listen(found, "publish") if "publish" in found else None,
        telemetry=parse_telemetry(found),
        peers=_peers(found),
        renew=_duration(found, "renew", _RENEW),
        idle=_duration(found, "idle", _IDLE),
        connections=_connections(found.get("connections", _CONNECTIONS)),
        ready_file=_optional(found, "ready_file", lambda value: _path(value, "ready_file")),
    )


def _mode(found: Mapping[str, object]) -> Termination | Files:
    if ("application" in found) == ("files" in found):
        both = "both" if "files" in found else "neither"
        raise PolicyError(("application",), both, "either application or files")
    if "application" in found:
        protocol = choice(Protocol, found.get("protocol"), ("protocol",))
        return Termination(_address(found["application"], "application"), protocol)
    if "protocol" in found:
        raise PolicyError(("protocol",), short(found["protocol"]), "application beside it")
    files = mapping(found["files"], ("files",), ("directory", "ticket_key", "reload"))
    return Files(
        directory=_path(files.get("directory"), "files", "directory"),
        ticket_key=choice(KeyFormat, files.get("ticket_key", "nginx80"), ("files", "ticket_key")),
        reload=tuple(
            text(word, ("files", "reload", index))
            for index, word in enumerate(
                each(files.get("reload", []), ("files", "reload"), "a command as a list of words")
            )
        ),
    )


def _peers(found: Mapping[str, object]) -> PeersSettings | None:
    if "peers" in found and "files" in found:
        raise PolicyError(("peers",), "files beside it", "application: sets rest on the exporter")
    return _optional(found, "peers", read_peers)


def _certificate(found: object) -> Source:
    path = ("certificate",)
    value = mapping(found, path, _CERTIFICATE)
    if len(value) != 1:
        raise PolicyError(path, f"{len(value)} ways", f"one of {', '.join(_CERTIFICATE)}")
    [(way, content)] = value.items()
    if way == "self_signed":
        return SelfSigned(_names(mapping(content, (*path, way), ("names",)), way))
    if way == "provided":
        given = mapping(content, (*path, way), ("certificate", "key"))
        return Imported(
            _path(given.get("certificate"), *path, way, "certificate"),
            _path(given.get("key"), *path, way, "key"),
        )
    return _csr(mapping(content, (*path, way), ("names", "request", "answer", "url", "ca")))


def _csr(value: Mapping[str, object]) -> Csr:
    path = ("certificate", "csr")
    names = _names(value, "csr")
    if "url" in value:
        url = text(value["url"], (*path, "url"))
        if not url.startswith(("http://", "https://")) or value.keys() & {"request", "answer"}:
            expected = "http:// or https://, and neither request nor answer beside it"
            raise PolicyError((*path, "url"), short(url), expected)
        ca = _optional(value, "ca", lambda file: _path(file, *path, "ca"))
        return Csr(names, url=url, ca=ca)
    if "ca" in value:
        raise PolicyError((*path, "ca"), short(value["ca"]), "url beside it")
    request = _path(value.get("request"), *path, "request")
    return Csr(names, request=request, answer=_path(value.get("answer"), *path, "answer"))


def _names(value: Mapping[str, object], way: str) -> tuple[str, ...]:
    path = ("certificate", way, "names")
    names = each(value.get("names"), path, "a list of DNS names")
    if not names:
        raise PolicyError(path, "no name", "one at least")
    return tuple(_dns_name(name, (*path, index)) for index, name in enumerate(names))


def _dns_name(found: object, path: tuple[str | int, ...]) -> str:
    try:
        return str(ServerName.parse(text(found, path)))
    except BadServerName as error:
        raise PolicyError(path, short(found), "a DNS name") from error


def _claims(found: object) -> Mapping[str, Claim]:
    claims: dict[str, Claim] = {}
    for name, value in mapping(found, ("claims",)).items():
        if not isinstance(value, str | int):
            raise PolicyError(("claims", name), short(value), "text, a number, true or false")
        claims[name] = value
    return claims


def _address(found: object, key: str) -> Address:
    try:
        return parse_address(text(found, (key,)))
    except ValueError as error:
        if isinstance(error, PolicyError):
            raise
        expected = str(error).removeprefix("expected ")
        raise PolicyError((key,), short(found), expected) from error


def _listen(found: Mapping[str, object], key: str) -> Address:
    address = _address(found.get(key), key)
    if isinstance(address.place, str):
        raise PolicyError((key,), short(found[key]), "ip:port, [v6]:port or vsock:CID:PORT")
    return address


def _path(found: object, *path: str) -> Path:
    return Path(text(found, path))


def _duration(found: Mapping[str, object], key: str, default: float) -> float:
    return seconds(found[key], (key,)) if key in found else default


def _connections(found: object) -> int:
    if type(found) is int and 0 < found <= MAX_CONNECTIONS:
        return found
    raise PolicyError(("connections",), short(found), f"a whole number from 1 to {MAX_CONNECTIONS}")


def _optional(found: Mapping[str, object], key: str, read: Callable[[object], _T]) -> _T | None:
    return read(found[key]) if key in found else None
