"""What attacks and faults cost: the figures of robustness, measured on a real daemon.

    make hardships [ARGS="--only deaths --scale 0.1"]

Runs every row (five minutes at full size), prints a table and, with --output FILE, writes it as
JSON with the machine that it was measured on.
"""

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from hardship_figures import Figure, Stage
from hardship_rows import ROWS


def main() -> None:
    """Measure, print, write."""
    arguments = _arguments()
    print(f"{'figure':74} {'found':>12}       target")
    measured = {}
    with tempfile.TemporaryDirectory(prefix="hardships-") as folder:
        for name in arguments.only or ROWS:
            begun = time.monotonic()
            figures = list(ROWS[name](Stage(Path(folder), arguments.scale)))
            measured[name] = [asdict(figure) for figure in figures]
            print(f"{name}: {time.monotonic() - begun:.0f} s")
            for figure in figures:
                print(_line(figure), flush=True)
    if arguments.output:
        _write(arguments.output, measured, arguments.scale)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=ROWS, metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--scale", type=float, default=1.0, help="of all counts (default 1)")
    parser.add_argument(
        "--output",
        type=Path,
        help="a JSON file; rows that are not measured now stay in it",
    )
    return parser.parse_args()


def _line(figure: Figure) -> str:
    verdict = {True: "", False: "  MISSED", None: ""}[figure.reached]
    return f"  {figure.what:72} {figure.found:12,.2f} {figure.unit:5} {figure.target}{verdict}"


def _write(path: Path, measured: Mapping[str, object], scale: float) -> None:
    old = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else {}
    document = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": _commit(),
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "scale": scale,
        "rows": {name: {**old, **measured}[name] for name in ROWS if name in {**old, **measured}},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    main()
