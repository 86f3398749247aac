"""The other end of the admin API: one question, one document, in bounded time and memory."""

import http
import http.client
import json
import socket
from collections.abc import Mapping
from typing import TypeVar, cast

TIMEOUT_SECONDS = 5.0
"""For connecting, and for each read: the daemon is on this machine, and answers in milliseconds."""

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
"""The largest answer that is read: 4,096 backends take some 2 MB."""


UNIX = "unix:"
"""What stands before the path of a unix socket."""


class AdminUnavailable(Exception):
    """Nothing that is our admin API answers there; the text says what does."""


class AdminRefused(Exception):
    """The admin API does not do what it was asked; the text is its reason."""


_D = TypeVar("_D")


class AdminClient:
    """Asks the admin API of one daemon. Each question is a connection of its own."""

    def __init__(self, address: str) -> None:
        """Remember the address, `host:port` or `unix:/path`; nothing is sent yet."""
        self._address = address

    def ask(self, page: str, kind: type[_D]) -> _D:
        """Return the document of a page, which has the keys of `kind`.

        Raises:
            AdminUnavailable: Nobody listens, or whoever does is not our admin API.

        """
        _, document = self._exchange("GET", page, None)
        if not kind.__annotations__.keys() <= document.keys():
            raise self._stranger(" of this version")
        return cast("_D", document)

    def change(self, method: str, page: str, document: object = None) -> Mapping[str, object]:
        """Ask for a change, `PUT` or `DELETE`; return what the API says of it.

        Raises:
            AdminUnavailable: Nobody listens, or whoever does is not our admin API.
            AdminRefused: It cannot be done.

        """
        body = None if document is None else json.dumps(document)
        status, answer = self._exchange(method, page, body)
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise AdminRefused(str(answer.get("error", f"status {status}")))
        return answer

    def _exchange(self, method: str, page: str, body: str | None) -> tuple[int, dict[str, object]]:
        try:
            connection = _connection(self._address)
            try:
                connection.request(method, page, body)
                answer = connection.getresponse()
                text = answer.read(MAX_DOCUMENT_BYTES)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise AdminUnavailable(f"no admin API at {self._address}: {why}") from error
        try:
            document = json.loads(text)
        except ValueError as error:
            raise self._stranger() from error
        if not isinstance(document, dict):
            raise self._stranger()
        return answer.status, document

    def _stranger(self, more: str = "") -> AdminUnavailable:
        return AdminUnavailable(f"what answers at {self._address} is no admin API{more}")


def _connection(address: str) -> http.client.HTTPConnection:
    if address.startswith(UNIX):
        return _UnixConnection(address.removeprefix(UNIX))
    return http.client.HTTPConnection(address, timeout=TIMEOUT_SECONDS)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the path instead of the host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(self._path)
