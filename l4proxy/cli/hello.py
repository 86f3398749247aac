"""`l4proxy hello`: what a captured first flight says, as JSON."""

import argparse
import json
import sys
from io import FileIO
from pathlib import Path

from l4proxy.cli.command import Command, Exit
from sni import (
    NEED_DATA,
    HelloError,
    HelloFault,
    HelloPeeker,
    HelloReceived,
    HelloRejected,
    ja4,
)

_MORE = """\
FILE holds the bytes that a client sent, from the first one; without FILE they are read from
standard input. What stands behind the hello is not looked at.

outcome  hello        with every field that routing reads
         incomplete   the bytes end before the hello does
         not-tls      the first bytes are no TLS handshake record
         malformed    TLS, but no hello that may be routed; `reason` says why, as metrics do

examples:
  l4proxy hello captured.bin
  l4proxy hello --compact < captured.bin
"""

_OUTCOMES = {HelloFault.TRUNCATED: "incomplete", HelloFault.NOT_TLS: "not-tls"}
_MALFORMED = "malformed"

_READ_BYTES = 16_384  # one TLS record


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "file", metavar="FILE", nargs="?", type=Path, help="the bytes; standard input without it"
    )
    parser.add_argument("--compact", action="store_true", help="JSON on one line")


def run(arguments: argparse.Namespace) -> Exit:
    """Print what the bytes of a file, or of standard input, are."""
    path: Path | None = arguments.file
    try:
        with FileIO(0 if path is None else str(path), closefd=path is not None) as file:
            outcome = _peek(file)
    except OSError as error:
        where = "standard input" if path is None else path
        print(f"l4proxy: {where} cannot be read: {error.strerror}", file=sys.stderr)
        return Exit.UNUSABLE
    document = described(outcome)
    print(json.dumps(document, indent=None if arguments.compact else 2))
    return Exit.FINE if isinstance(outcome, HelloReceived) else Exit.FAILED


def described(outcome: HelloReceived | HelloRejected) -> dict[str, object]:
    """Return the JSON document of an outcome.

    Bytes are in hex, versions in hex with `0x`, protocols in ASCII with everything else escaped.
    """
    if isinstance(outcome, HelloRejected):
        return _rejected(outcome.error)
    hello = outcome.hello
    return {
        "outcome": "hello",
        "sni": hello.server_name,
        "alpn": [protocol.decode("ascii", "backslashreplace") for protocol in hello.alpn],
        "legacy_version": f"{hello.legacy_version:#06x}",
        "supported_versions": [f"{version:#06x}" for version in hello.supported_versions],
        "session_id": hello.session_id.hex(),
        "ticket": None if hello.ticket is None else hello.ticket.hex(),
        "psk_identities": [offered.identity.hex() for offered in hello.psk_identities],
        "early_data": hello.early_data,
        "ech": hello.ech,
        "ja4": ja4(hello),
        "bytes": outcome.wire_bytes,
        "records": outcome.records,
    }


def _rejected(error: HelloError) -> dict[str, object]:
    return {
        "outcome": _OUTCOMES.get(error.reason, _MALFORMED),
        "reason": error.reason.value,
        "detail": str(error),
        "alert": None if error.alert is None else int(error.alert),
    }


def _peek(file: FileIO) -> HelloReceived | HelloRejected:
    """Read until the bytes are a hello or never can be: at most `MAX_HELLO_BYTES` and one read."""
    peeker = HelloPeeker()
    while (event := peeker.next_event()) is NEED_DATA:
        chunk = file.read(_READ_BYTES)
        if chunk:
            peeker.receive_data(chunk)
        else:
            peeker.receive_eof()
    return event


COMMAND = Command("hello", "parse captured client bytes into JSON", _MORE, configure, run)
