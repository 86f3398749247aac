"""What can go wrong with an API server: a stable word for it, and what the server said."""

from enum import StrEnum
from http import HTTPStatus
from typing import Final

from l4proxy.kubernetes.objects import text

MAX_QUOTED: Final = 200
"""Characters of an API server's message that ours repeats: enough to know what it is about."""

MAX_RETRY_AFTER_SECONDS: Final = 60.0
"""The longest pause that an API server may ask of us: it says 1 as a rule."""


class ApiFault(StrEnum):
    """Why a question to the API brought nothing; labels of log lines and metrics."""

    CREDENTIALS = "credentials"
    """There is nothing to be let in by: no service account, no kubeconfig, or a broken one."""

    UNREACHABLE = "unreachable"
    """No connection, or none to whom our certificate authority vouches for."""

    TIMEOUT = "timeout"

    UNAUTHORIZED = "unauthorized"
    """401: the server does not know who we are."""

    FORBIDDEN = "forbidden"
    """403: it knows, and its RBAC rules do not allow this."""

    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    """409: the object is another one by now; read it again."""

    GONE = "gone"
    """410: the version that was asked for is forgotten; list again."""

    BUSY = "busy"
    """429: too many questions."""

    REFUSED = "refused"
    """Any other 4xx, and answers that send us elsewhere."""

    SERVER = "server"
    """5xx."""

    MALFORMED = "malformed"
    """An answer that is not what the API's documents say."""

    TOO_LARGE = "too_large"


class ApiError(Exception):
    """A question to the API brought nothing.

    Attributes:
        fault: Why, in a word.
        retry_after: Seconds that the server wants to be left alone; None: it did not say.

    """

    def __init__(self, fault: ApiFault, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.fault: Final = fault
        self.retry_after: Final = retry_after


_FAULTS: Final = {
    HTTPStatus.UNAUTHORIZED: ApiFault.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN: ApiFault.FORBIDDEN,
    HTTPStatus.NOT_FOUND: ApiFault.NOT_FOUND,
    HTTPStatus.CONFLICT: ApiFault.CONFLICT,
    HTTPStatus.GONE: ApiFault.GONE,
    HTTPStatus.TOO_MANY_REQUESTS: ApiFault.BUSY,
}

_ADVICE: Final = {
    ApiFault.UNAUTHORIZED: "the token or client certificate is not accepted",
    ApiFault.FORBIDDEN: "RBAC does not allow it: its Role is in docs/kubernetes.md",
}


def refusal(what: str, status: int, said: object, retry_after: str | None = None) -> ApiError:
    """Return the error for an answer that is none.

    Args:
        what: The question, `list /apis/…`.
        status: Of HTTP, or the code of a `Status` object.
        said: The `Status` object, as far as there is one.
        retry_after: The header of that name.
    """
    server = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    fault = _FAULTS.get(HTTPStatus(status)) if status in _KNOWN else None
    fault = fault or (ApiFault.SERVER if server else ApiFault.REFUSED)
    message = ascii((text(said, "message") or "")[:MAX_QUOTED])[1:-1]
    advice = _ADVICE.get(fault, "")
    parts = [f"{what}: the API server answers {status}", advice, message]
    return ApiError(fault, ": ".join(part for part in parts if part), _seconds(retry_after))


_KNOWN: Final = frozenset(HTTPStatus)


def _seconds(retry_after: str | None) -> float | None:
    if retry_after is None or not (retry_after.isascii() and retry_after.isdigit()):
        return None
    return min(float(retry_after[:_DIGITS]), MAX_RETRY_AFTER_SECONDS)


# More digits than these say no more than a minute does.
_DIGITS: Final = 6
