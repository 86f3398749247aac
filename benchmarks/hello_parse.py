"""What one hello costs: microseconds from its bytes to a parsed hello, on this machine.

    python benchmarks/hello_parse.py [--rounds N] [--vectors FOLDER]

Prints the median and the best of the rounds for hellos of Python's own TLS client, and for every
captured hello in FOLDER (a folder with a ``manifest.json``), if there is one. The parser remembers
names, so one row has more names in turn than it remembers: what a hello costs that is unlike all
others. The last row is the other direction: the start of a TLS 1.3 server's answer, in the buffer
that reads share, up to the verdict whether it resumed.
"""

import argparse
import json
import ssl
import timeit
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from statistics import median

from sni import HelloPeeker, HelloReceived, ServerFlight
from sni.client_hello import MAX_REMEMBERED_NAMES

_CALLS = 1_000  # in a round: long against the clock's resolution
_PRE_SHARED_KEY = 0x0029
_GREASE = 0x2A2A
_HYBRID_KEY_SHARE_BYTES = 1_263  # as large as a key share of X25519MLKEM768 and one of X25519
_TICKET_BYTES = 256

# A ServerHello with supported_versions, an X25519 key share and pre_shared_key; then what follows
# in the same read.
_SERVER_HELLO = (
    b"\x02\0\0\x7c\x03\x03" + bytes(32) + b"\x20" + bytes(32) + b"\x13\x02\0" + b"\0\x34"
    b"\0\x2b\0\x02\x03\x04" + b"\0\x33\0\x24\0\x1d\0\x20" + bytes(32) + b"\0\x29\0\x02\0\0"
)
_ANSWER = b"\x16\x03\x03\0\x80" + _SERVER_HELLO + b"\x14\x03\x03\0\x01\x01" + bytes(1_000)
_READ = memoryview(bytearray(_ANSWER))


def main() -> None:
    """Measure and print a line for each hello."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help=f"rounds of {_CALLS:,} hellos each")
    parser.add_argument("--vectors", type=Path, help="a folder of captured hellos")
    arguments = parser.parse_args()
    print(f"{'bytes':>6} {'median µs':>10} {'best µs':>8}  hello")
    for name, wires in [*_made_here(), *_captured(arguments.vectors)]:
        if isinstance(_peek(wires[0]), HelloReceived):
            each = _measure(wires, arguments.rounds)
            _show(wires[0], each, name)
    _show(_ANSWER, _time(_watch, arguments.rounds), "a TLS 1.3 server's answer, resumed")


def _show(wire: bytes, each: list[float], name: str) -> None:
    print(f"{len(wire):6} {median(each):10.2f} {min(each):8.2f}  {name}")


def _measure(wires: Sequence[bytes], rounds: int) -> list[float]:
    turn = cycle(wires)
    return _time(lambda: _peek(next(turn)), rounds)


def _time(call: Callable[[], object], rounds: int) -> list[float]:
    """Return microseconds a call, one figure a round."""
    timer = timeit.Timer(call)
    return [1e6 * seconds / _CALLS for seconds in timer.repeat(rounds, _CALLS)]


def _peek(wire: bytes) -> object:
    peeker = HelloPeeker()
    peeker.receive_data(wire)
    return peeker.next_event()


def _watch() -> object:
    flight = ServerFlight()
    flight.receive_data(_READ)
    return flight.next_event()


def _made_here() -> Iterator[tuple[str, list[bytes]]]:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context.maximum_version = version
        yield f"Python's own client, up to {version.name}", [_python_hello(context)]
    names = [f"app-{n:05}.example.com" for n in range(2 * MAX_REMEMBERED_NAMES)]
    yield "the same, a new name each time", [_python_hello(context, name) for name in names]
    yield "the same, with a hybrid key share and a ticket", [_resuming(_python_hello(context))]


def _python_hello(context: ssl.SSLContext, name: str = "app.example.com") -> bytes:
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def _resuming(wire: bytes) -> bytes:
    """Make a hello as large as those of today's browsers when they come back."""
    identity = _vector(bytes(_TICKET_BYTES)) + bytes(4)
    offered = _vector(identity) + _vector(b"\x20" + bytes(32))
    more = _extension(_GREASE, bytes(_HYBRID_KEY_SHARE_BYTES))
    more += _extension(_PRE_SHARED_KEY, offered)
    message = wire[5:]
    at = 4 + 2 + 32
    at += 1 + message[at]
    at += 2 + int.from_bytes(message[at : at + 2], "big")
    at += 1 + message[at]
    body = message[4:at] + _vector(message[at + 2 :] + more)
    return wire[:3] + _vector(b"\x01" + len(body).to_bytes(3, "big") + body)


def _extension(kind: int, body: bytes) -> bytes:
    return kind.to_bytes(2, "big") + _vector(body)


def _vector(body: bytes) -> bytes:
    return len(body).to_bytes(2, "big") + body


def _captured(folder: Path | None) -> Iterator[tuple[str, list[bytes]]]:
    if folder is None:
        return
    for item in json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["items"]:
        if item["kind"] == "tls-records":
            yield item["file"], [(folder / item["file"]).read_bytes()]


if __name__ == "__main__":
    main()
