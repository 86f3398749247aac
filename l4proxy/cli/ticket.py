"""`l4proxy routing-key`, `ticket-name`, `ticket-key`: tickets that say where they come from."""

import argparse
import json
import os
import sys
from pathlib import Path

from l4proxy.cli.command import Command, Exit
from l4proxy.ticket_key import KEY_NAME_BYTES, KeyFormat, ticket_key

_ROUTING_KEY_MORE = """\
Run it in the control plane. Balancers read names with the key, `l4proxy ticket-name` mints them;
enclaves never need it. The file is readable by its owner alone and never written over.

examples:
  l4proxy routing-key routing.key
"""

_TICKET_NAME_MORE = """\
Run it in the control plane. A name is 32 hex digits: the server id, encrypted under the routing
key. It holds no secret, and it is all that an enclave is given.

examples:
  l4proxy ticket-name --server-id 7 --key routing.key
  l4proxy ticket-name --server-id 7 --key routing.key --count 1000 > names.txt
"""

_TICKET_KEY_MORE = """\
Run it inside the enclave: the secrets are made here and must never leave. Whoever holds the whole
file can resume the enclave's sessions, and so impersonate it. The file is readable by its owner
alone and never written over. Without --output the key goes to standard output, but never to a
terminal.

examples:
  l4proxy ticket-key --name 5f0c1f0a4fe1a0d3c4b0a3a1e6a5d7c2 --output ticket.key
  l4proxy ticket-key --name 5f0c1f0a4fe1a0d3c4b0a3a1e6a5d7c2 --format haproxy --output ticket.keys
"""


def server_id(text: str) -> int:
    """Read a server id.

    Raises:
        argparse.ArgumentTypeError: It is no number of four bytes.

    """
    from routing import MAX_SERVER_ID

    if not (text.isascii() and text.isdigit()) or int(text) > MAX_SERVER_ID:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected 0 to {MAX_SERVER_ID}")
    return int(text)


def count(text: str) -> int:
    """Read how many.

    Raises:
        argparse.ArgumentTypeError: It is no number, or none at all.

    """
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected 1 or more")
    return int(text)


def ticket_name(text: str) -> bytes:
    """Read a ticket name.

    Raises:
        argparse.ArgumentTypeError: It is not sixteen bytes in hex.

    """
    try:
        name = bytes.fromhex(text)
    except ValueError:
        name = b""
    if len(name) != KEY_NAME_BYTES or len(text) != 2 * KEY_NAME_BYTES:
        raise argparse.ArgumentTypeError(
            f"found {text!r}, expected {2 * KEY_NAME_BYTES} hex digits"
        )
    return name


def key_format(text: str) -> KeyFormat:
    """Read who is to read a ticket-key file.

    Raises:
        argparse.ArgumentTypeError: Nobody is called so.

    """
    try:
        return KeyFormat(text)
    except ValueError as error:
        known = ", ".join(KeyFormat)
        raise argparse.ArgumentTypeError(f"found {text!r}, expected one of {known}") from error


def _configure_routing_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="the file to be made")


def _run_routing_key(arguments: argparse.Namespace) -> Exit:
    from l4proxy.routable import RoutingKey

    return _write(arguments.file, RoutingKey.fresh().line())


def _configure_ticket_name(parser: argparse.ArgumentParser) -> None:
    add_option = parser.add_argument
    add_option(
        "--server-id", metavar="N", type=server_id, required=True, help="the backend's server_id"
    )
    add_option("--key", metavar="FILE", type=Path, required=True, help="from `l4proxy routing-key`")
    add_option("--count", metavar="K", type=count, default=1, help="names to mint (default: 1)")
    add_option("--json", action="store_true", help="print JSON, for scripts")


def _run_ticket_name(arguments: argparse.Namespace) -> Exit:
    from l4proxy.routable import NONCE_BYTES, RoutingKey, mint
    from l4proxy.secret_file import BadSecretFile

    server: int = arguments.server_id
    try:
        key = RoutingKey.load(arguments.key)
    except BadSecretFile as error:
        print(f"l4proxy: {error}", file=sys.stderr)
        return Exit.UNUSABLE
    except OSError as error:
        print(f"l4proxy: {arguments.key} cannot be read: {error.strerror}", file=sys.stderr)
        return Exit.UNUSABLE
    names = (mint(key, server, os.urandom(NONCE_BYTES)).hex() for _ in range(arguments.count))
    if arguments.json:
        print(json.dumps({"server_id": server, "names": list(names)}))
    else:
        for name in names:
            print(name)
    return Exit.FINE


def _configure_ticket_key(parser: argparse.ArgumentParser) -> None:
    add_option = parser.add_argument
    add_option(
        "--name", metavar="HEX", type=ticket_name, required=True, help="from `l4proxy ticket-name`"
    )
    add_option(
        "--format",
        type=key_format,
        default=KeyFormat.NGINX80,
        help=f"who reads the file: {', '.join(KeyFormat)} (default: {KeyFormat.NGINX80})",
        metavar="FORMAT",
    )
    add_option("--output", metavar="FILE", type=Path, help="the file to be made")


def _run_ticket_key(arguments: argparse.Namespace) -> Exit:
    output: Path | None = arguments.output
    if output is None and sys.stdout.isatty():
        print(
            "l4proxy: standard output is a terminal, expected --output FILE: "
            "a secret that was shown is none",
            file=sys.stderr,
        )
        return Exit.UNUSABLE
    key = ticket_key(arguments.name, arguments.format, os.urandom)
    if output is not None:
        return _write(output, key)
    sys.stdout.buffer.write(key)
    return Exit.FINE


def _write(path: Path, secret: bytes) -> Exit:
    """Write a secret to a new file, or say why that is not possible."""
    from l4proxy.secret_file import write_secret

    try:
        write_secret(path, secret)
    except OSError as error:
        print(f"l4proxy: {path} cannot be made: {error.strerror}", file=sys.stderr)
        return Exit.UNUSABLE
    return Exit.FINE


COMMANDS = (
    Command(
        "routing-key",
        "make a key that names are minted and read with",
        _ROUTING_KEY_MORE,
        _configure_routing_key,
        _run_routing_key,
    ),
    Command(
        "ticket-name",
        "mint a ticket name that leads to a backend",
        _TICKET_NAME_MORE,
        _configure_ticket_name,
        _run_ticket_name,
    ),
    Command(
        "ticket-key",
        "make the ticket-key file around a name, inside the enclave",
        _TICKET_KEY_MORE,
        _configure_ticket_key,
        _run_ticket_key,
    ),
)
