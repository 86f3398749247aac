"""What one hello costs: microseconds from its bytes to a parsed hello, on this machine.

    python benchmarks/hello_parse.py [--rounds N] [--vectors FOLDER]

Prints the median and the best of the rounds for hellos of Python's own TLS client, and for every
captured hello in FOLDER (a folder with a ``manifest.json``), if there is one.
"""

import argparse
import json
import ssl
import timeit
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

from sni import HelloPeeker, HelloReceived

_CALLS = 1_000  # in a round: long against the clock's resolution


def main() -> None:
    """Measure and print a line for each hello."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="rounds of 1,000 hellos each")
    parser.add_argument("--vectors", type=Path, help="a folder of captured hellos")
    arguments = parser.parse_args()
    print(f"{'bytes':>6} {'median µs':>10} {'best µs':>8}  hello")
    for name, wire in [*_made_here(), *_captured(arguments.vectors)]:
        if isinstance(_peek(wire), HelloReceived):
            timer = timeit.Timer(partial(_peek, wire))
            each = [1e6 * seconds / _CALLS for seconds in timer.repeat(arguments.rounds, _CALLS)]
            print(f"{len(wire):6} {median(each):10.2f} {min(each):8.2f}  {name}")


def _peek(wire: bytes) -> object:
    peeker = HelloPeeker()
    peeker.receive_data(wire)
    return peeker.next_event()


def _made_here() -> Iterator[tuple[str, bytes]]:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context()
        context.maximum_version = version
        context.set_alpn_protocols(["h2", "http/1.1"])
        outgoing = ssl.MemoryBIO()
        client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="app.example.com")
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            yield f"Python's own client, up to {version.name}", outgoing.read()


def _captured(folder: Path | None) -> Iterator[tuple[str, bytes]]:
    if folder is None:
        return
    for item in json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["items"]:
        if item["kind"] == "tls-records":
            yield item["file"], (folder / item["file"]).read_bytes()


if __name__ == "__main__":
    main()
