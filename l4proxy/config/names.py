"""The names that a configuration gives: pools, backends, and the hosts of routes."""

from typing import Final

from l4proxy.config.mistakes import BadValueError, expected
from l4proxy.config.scalars import REFUSE, Scalar, text
from routing import Address, BackendName, HostPattern, PoolName, RoutingError
from sni import BadServerName, ServerName

# They stand in metrics, logs and paths of the admin API: no spaces, no slashes, no surprises.
# 63 characters, as a DNS label has.
POOL_PATTERN: Final = r"[A-Za-z][A-Za-z0-9._-]{0,62}"
# An address is a name too, unless another is given. With an IPv6 address it has 47 characters.
BACKEND_PATTERN: Final = r"[A-Za-z0-9\[][A-Za-z0-9.:\]_-]{0,62}"

# Words that `routes` or YAML itself would read as something else than the pool of that name.
_TAKEN: Final = frozenset({str(REFUSE), "true", "false", "yes", "no", "on", "off", "null"})

_POOL: Final = text("a name of letters, digits, '.', '_' and '-', a letter first", POOL_PATTERN)
_BACKEND: Final = text("a name of letters, digits, '.', '_', '-' and ':'", BACKEND_PATTERN)


def read_pool_name(found: object) -> PoolName:
    """Return the name of a pool.

    Raises:
        BadValueError: another character, too long, or a word with a meaning of its own.
    """
    name = _POOL.read(found)
    if name.lower() in _TAKEN:
        raise expected(found, "another name", "this word has a meaning of its own")
    return PoolName(name)


def read_backend_name(found: object) -> BackendName:
    """Return the name of a backend.

    Raises:
        BadValueError: another character, or too long.
    """
    return BackendName(_BACKEND.read(found))


def default_backend_name(address: Address) -> BackendName:
    """Return what a backend without a name is called: its address, or the file of its socket.

    The file may have a name that `read_backend_name` does not take.
    """
    return BackendName(address.host.rpartition("/")[2] if address.is_path else str(address))


def read_host_name(found: object) -> ServerName:
    """Return a DNS host name, in its one normal spelling.

    Raises:
        BadValueError: it is no host name, or an IP address.
    """
    if not isinstance(found, str):
        raise expected(found, "a host name, such as app.example.com")
    try:
        return ServerName.parse(found)
    except BadServerName as error:
        raise expected(found, "a host name, such as app.example.com") from error


def read_pattern(found: object) -> HostPattern:
    """Return the host pattern of a route, in its one normal spelling.

    Raises:
        BadValueError: it is neither a host name nor `*.` before one.
    """
    if not isinstance(found, str):
        raise expected(found, 'a host name, or "*." before one')
    try:
        return HostPattern.parse(found)
    except RoutingError as error:
        raise BadValueError(str(error).removeprefix(f"{found!r}: ")) from error


pool_name: Final = Scalar(read_pool_name, str, _POOL.schema)
backend_name: Final = Scalar(read_backend_name, str, _BACKEND.schema)
host_name: Final = Scalar(read_host_name, str, {"type": "string"})
host_pattern: Final = Scalar(read_pattern, str, {"type": "string"})
