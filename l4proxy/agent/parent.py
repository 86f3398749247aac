"""The parent authority: takes a request with evidence in it, and gives a certificate chain.

By file: the request is written, and the chain is waited for. By HTTP: the request is posted, and
the answer is the chain.
"""

import asyncio
import http.client
import secrets
import ssl
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from l4proxy.agent.certificates import (
    MAX_CHAIN_BYTES,
    BadCertificate,
    Credentials,
    Csr,
    TlsKey,
    read_chain,
)

LOOK_SECONDS: Final = 0.5
"""Seconds between two looks for the chain's file."""

HTTP_SECONDS: Final = 30.0
"""Seconds that an authority may be silent over HTTP: it checks evidence first."""

_OK = 200


async def ask(source: Csr, key: TlsKey, request: bytes) -> Credentials:
    """Return the credentials that the authority gives for a request in PEM.

    By file it waits as long as it takes: somebody may have to carry the file.

    Raises:
        BadCertificate: It refuses, or gives a chain for another key.
        OSError: It cannot be reached.

    """
    if source.url is not None:
        return key.with_chain(await asyncio.to_thread(_post, source.url, source.ca, request))
    if source.request is None or source.answer is None:
        raise BadCertificate("csr: found neither url nor request and answer")
    # An old chain would be taken for the answer.
    source.answer.unlink(missing_ok=True)
    _place(source.request, request)
    while True:
        try:
            return key.with_chain(read_chain(source.answer))
        except (FileNotFoundError, BadCertificate):
            # A chain that is half written is none yet, and the next look finds the whole.
            await asyncio.sleep(LOOK_SECONDS)


def _place(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees a half of it."""
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    half.write_bytes(data)
    half.replace(path)


def _post(url: str, ca: Path | None, request: bytes) -> bytes:
    place = urlsplit(url)
    host, port = place.hostname or "", place.port
    if place.scheme == "https":
        trust = ssl.create_default_context(cafile=None if ca is None else str(ca))
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=HTTP_SECONDS, context=trust
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=HTTP_SECONDS)
    try:
        target = (place.path or "/") + (f"?{place.query}" if place.query else "")
        connection.request("POST", target, request, {"Content-Type": "application/pkcs10"})
        response = connection.getresponse()
        chain = response.read(MAX_CHAIN_BYTES + 1)
    except http.client.HTTPException as error:
        raise BadCertificate(f"{url}: {type(error).__name__}") from error
    finally:
        connection.close()
    if response.status != _OK or len(chain) > MAX_CHAIN_BYTES:
        found = f"status {response.status}, {len(chain)} bytes"
        raise BadCertificate(f"{url}: {found}, expected 200 and at most {MAX_CHAIN_BYTES}")
    return chain
