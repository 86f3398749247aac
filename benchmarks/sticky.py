"""Who comes back to its enclave: sessions that stick, measured, beside HAProxy's source hash.

    make bench-sticky [ARGS="--quick"] [ARGS="--only rotation cost"]

The full run takes five minutes, writes its figures with commit and machine into
benchmarks/results/sticky.json, and its tables into docs/stickiness.md. A quick one, or a part,
only prints. Exit status 1: a figure has missed its target.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from beside.machine import describe
from stickiness import cost, libraries, resumptions, rotation, routable
from stickiness.report import Figure, plain, tables
from stickiness.stage import Stage

from tests.e2e.certificates import Authority
from tests.e2e.enclaves import NAME

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results" / "sticky.json"
PAGE = FOLDER.parent / "docs" / "stickiness.md"
BEGIN, END = "<!-- sticky: begin -->", "<!-- sticky: end -->"

PARTS: Mapping[str, Callable[[Stage], Iterator[Figure]]] = {
    "resumptions": resumptions.measure,
    "rotation": rotation.measure,
    "routable": routable.measure,
    "libraries": libraries.measure,
    "cost": cost.measure,
}
QUICK = 0.1
"""Of all clients, in a quick run."""


def main() -> int:
    """Measure, print, and keep a full run."""
    arguments = _arguments()
    began = time.monotonic()
    facts = describe()
    found: dict[str, list[Figure]] = {}
    with tempfile.TemporaryDirectory(prefix="sticky-") as name:
        base = Path(name)
        (base / "authority").mkdir()
        authority = Authority(base / "authority")
        stage = Stage(base, authority, authority.issue(NAME), QUICK if arguments.quick else 1.0)
        for part in arguments.only or PARTS:
            print(f"{part} ({time.monotonic() - began:.0f} s)", flush=True)
            found[part] = list(_told(PARTS[part](stage)))
    facts["seconds"] = f"{time.monotonic() - began:.0f}"
    if not arguments.quick and not arguments.only:
        _keep(found, facts)
    missed = [each for figures in found.values() for each in figures if each.reached is False]
    print(f"{len(missed)} figures missed their targets")
    return 1 if missed else 0


def _told(figures: Iterable[Figure]) -> Iterator[Figure]:
    for figure in figures:
        print(f"  {figure}", flush=True)
        yield figure


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the clients: two minutes")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    return parser.parse_args()


def _keep(found: dict[str, list[Figure]], facts: dict[str, str]) -> None:
    document = {"facts": facts, "parts": {part: plain(found[part]) for part in found}}
    RESULTS.parent.mkdir(exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    RESULTS.write_text(text, encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{tables(found, facts)}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
