"""The tables of docs/stickiness.md: server stacks down, client stacks across, one for a version."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.e2e.roaming import Passed
from tests.e2e.stacks.clients import CLIENTS
from tests.e2e.stacks.servers import SERVERS
from tests.house.repository import ROOT

PAGE = ROOT / "docs" / "stickiness.md"
BEGIN, END = "<!-- stacks: begin -->", "<!-- stacks: end -->"

ALWAYS = "yes"
"""Each session that was offered went on."""

NEVER = "never"
"""These two never go on with a session, without a balancer either."""

_HEADING = re.compile(r"^\*\*TLS (1\.[23])\*\*, server \\ client$")


class Cell(NamedTuple):
    """A pair of stacks and the version of TLS that they speak."""

    server: str
    client: str
    version: str


def verdict(passed: Sequence[Passed]) -> str:
    """What the table says of a client's visits; the first offers nothing, whatever it says."""
    offered = [each.resumed for each in passed[1:] if each.offered]
    if not offered:
        return NEVER
    return ALWAYS if all(offered) else f"{sum(offered)} of {len(offered)}"


@cache
def _page() -> Mapping[Cell, str]:
    """Every cell of the page."""
    cells: dict[Cell, str] = {}
    version, clients = "", list[str]()
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        first, *rest = [word.strip() for word in line.strip("|").split("|")]
        if (heading := _HEADING.match(first)) is not None:
            version, clients = heading[1], rest
        elif version and not line.startswith("|"):
            version = ""
        elif version:
            cells |= {
                Cell(first, client, version): word
                for client, word in zip(clients, rest, strict=True)
            }
    return cells


def expected(cell: Cell) -> str:
    """What the page says of a pair; empty: nothing."""
    return _page().get(cell, "")


def write(path: Path, verdicts: Mapping[Cell, str]) -> None:
    """Keeps what was measured as JSON, and draws the tables of the page from it."""
    document = [{**cell._asdict(), "verdict": word} for cell, word in sorted(verdicts.items())]
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    text = "\n\n".join(_table(version, verdicts) for version in ("1.2", "1.3"))
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _table(version: str, verdicts: Mapping[Cell, str]) -> str:
    lines = [[f"**TLS {version}**, server \\ client", *CLIENTS], ["---"] * (1 + len(CLIENTS))]
    lines += [
        [server, *(verdicts.get(Cell(server, client, version), "") for client in CLIENTS)]
        for server in SERVERS
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
