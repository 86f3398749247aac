"""The actuator `webhook`: documents are posted to a URL of the operator.

A document took its way when the hook answers with a status from 200 to 299, within the deadline.
Nothing else of the answer is read. A redirection is refused: where documents go is the
configuration's word alone.
"""

import asyncio
import re
import ssl
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import aiohttp
from pydantic import model_validator

from l4proxy.actuators.actuator import ActuatorError
from l4proxy.actuators.events import Event, encoded
from l4proxy.actuators.hook import Hook
from l4proxy.actuators.listening import pem_file
from l4proxy.actuators.signature import read_key, signed_headers
from l4proxy.config.mistakes import BadValueError, expected
from l4proxy.config.paths import parse_file_path
from l4proxy.config.scalars import duration, parsed, truth
from l4proxy.config.section import Section
from l4proxy.secret_file import no_password, read_token
from routing import PoolName

MAX_URL: Final = 2_048
"""Characters of a URL: servers take some 8,000 in a whole request line."""

MAX_ANSWER_FIELD_BYTES: Final = 8_190
"""Of the status line of an answer, and of each header field: aiohttp's own usual bound."""

MAX_REASON: Final = 300
"""Characters of a reason in a message: a sentence, and not a page of the hook's."""

_LOOPBACK: Final = re.compile(r"localhost|127(?:\.[0-9]{1,3}){3}|::1", re.ASCII)
_FILE: Final = parsed(parse_file_path, str, "/etc/l4proxy/hook.secret")


def read_url(found: object) -> str:
    """Return the URL of a hook.

    Raises:
        BadValueError: It is none of http or https, or has a user or a fragment in it.

    """
    what = "a URL, such as https://hooks.example.com/l4proxy"
    if not isinstance(found, str) or not found.isascii() or not found.isprintable():
        raise expected(found, what)
    if len(found) > MAX_URL or " " in found or "\\" in found:
        raise expected(found, what, f"at most {MAX_URL} characters, no space, no backslash")
    try:
        url = urlsplit(found)
        port = url.port
    except ValueError:
        raise expected(found, what) from None
    if url.scheme not in {"http", "https"} or not url.hostname or port == 0:
        raise expected(found, what)
    if url.username is not None or url.fragment:
        # What was found may hold a password, and is not repeated.
        hint = "without a user and without a fragment"
        raise BadValueError(f"found another, expected {what} ({hint})")
    return found


class WebhookSettings(Section):
    """Where documents are posted, and how both sides know each other."""

    url: Annotated[str, parsed(read_url, str, "https://hooks.example.com/l4proxy")]
    """Where documents are posted."""

    timeout: Annotated[float, duration("100ms", "10s")] = 3.0
    """How long the hook has for one document, the connection included."""

    ca: Annotated[Path, pem_file] | None = None
    """Who signs the hook's certificate, as PEM; the system's authorities when left out."""

    certificate: Annotated[Path, pem_file] | None = None
    """Our own certificate for the hook, with its chain, as PEM."""

    key: Annotated[Path, pem_file] | None = None
    """Its private key, as PEM."""

    token_file: Annotated[Path, _FILE] | None = None
    """A file of mode 0600 with a bearer token for the hook; read for each document."""

    secret_file: Annotated[Path, _FILE] | None = None
    """A file of mode 0600 with the key that signs documents: whsec_ and base64; read for each."""

    insecure: Annotated[bool, truth()] = False
    """Whether http is allowed to a host that is not this one."""

    @model_validator(mode="after")
    def _agree(self) -> "WebhookSettings":
        url = urlsplit(self.url)
        plain = url.scheme == "http"
        if plain and not self.insecure and not _LOOPBACK.fullmatch(url.hostname or ""):
            hint = "whoever stands between could scale for you: use https, or say insecure: true"
            raise BadValueError(f"found http to {url.hostname}, expected https ({hint})")
        if plain and (self.ca or self.certificate):
            raise BadValueError("found ca or certificate beside an http URL, expected https")
        if (self.certificate is None) != (self.key is None):
            raise BadValueError("found only one of certificate and key, expected both or neither")
        return self


class Webhook:
    """Makes actuators that post."""

    name = "webhook"
    settings = WebhookSettings

    def make(self, settings: WebhookSettings, pool: PoolName) -> Hook:
        """Return the actuator of a pool.

        Raises:
            ActuatorError: A file of the settings cannot be used.

        """
        try:
            _tls(settings)
            _secrets(settings)
        except (OSError, ValueError) as error:
            raise ActuatorError(f"the webhook of pool {pool}: {error}") from error
        return Hook(partial(post, settings))


async def post(settings: WebhookSettings, event: Event) -> None:
    """Post one document.

    Raises:
        ActuatorError: The hook did not take it in time, or a file of the settings is unusable.

    """
    url = urlsplit(settings.url)
    # The path and the query may hold a secret of the hook's own.
    whom = f"the webhook at {url.scheme}://{url.hostname}"
    try:
        async with asyncio.timeout(settings.timeout):
            status = await _posted(settings, event)
    except TimeoutError:
        raise ActuatorError(f"{whom}: found no answer in {settings.timeout:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise ActuatorError(f"{whom}: {_why(error)}") from error
    if not 200 <= status < 300:  # noqa: PLR2004 - the class of success (RFC 9110 §15.3)
        raise ActuatorError(f"{whom}: found status {status}, expected 200 to 299")


def _why(error: Exception) -> str:
    # The texts of these repeat the URL.
    if isinstance(error, aiohttp.InvalidURL):
        return "found a URL that cannot be asked"
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return ascii(text)[1:-1][:MAX_REASON]


async def _posted(settings: WebhookSettings, event: Event) -> int:
    body = encoded(event)
    token, key = _secrets(settings)
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": f'"{event.id}"',
        "User-Agent": "l4proxy",
        **signed_headers(key, event.id, time.time(), body),
        **({"Authorization": f"Bearer {token}"} if token else {}),
    }
    # Documents are rare: a connection for each has no state that could be stale.
    connector = aiohttp.TCPConnector(ssl=_tls(settings), force_close=True)
    async with (
        aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=MAX_ANSWER_FIELD_BYTES,
            max_field_size=MAX_ANSWER_FIELD_BYTES,
        ) as session,
        session.post(settings.url, data=body, headers=headers, allow_redirects=False) as answer,
    ):
        return answer.status


def _tls(settings: WebhookSettings) -> ssl.SSLContext | bool:
    """Return what TLS is spoken with; True: it is not."""
    if urlsplit(settings.url).scheme == "http":
        return True
    context = ssl.create_default_context(cafile=settings.ca)
    if settings.certificate is not None:
        context.load_cert_chain(settings.certificate, settings.key, password=no_password)
    return context


def _secrets(settings: WebhookSettings) -> tuple[str | None, bytes | None]:
    """Return the token and the key, as they stand in their files now."""
    key = None if settings.secret_file is None else read_key(settings.secret_file)
    token = None if settings.token_file is None else read_token(settings.token_file)
    return token, key
