"""What a local port shows of its connections: a live table, or a line for each."""

import time
from collections import Counter, deque
from datetime import UTC, datetime
from typing import Final, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from attestation import as_lines
from l4proxy.client.account import Account, Basis, Continuity
from l4proxy.client.errors import NotAttested

MAX_ROWS: Final = 12
"""Connections that the table shows: the newest, as many as a small terminal has room for."""

MAX_REPORT: Final = 20
"""Lines of the newest refusal that are shown below the table."""

_STYLES = {Continuity.FRESH: "green", Continuity.RESUMED: "cyan", Continuity.SWITCHED: "yellow"}
_WEAKER = {
    Basis.NONCE: "nonce only: whoever has stolen the enclave's TLS key can stand in between",
    Basis.AGE: "age only: whoever has stolen the enclave's TLS key can stand in between",
    Basis.LINEAGE: "lineage: whoever has stolen the enclave's ticket keys can stand in between",
    Basis.KNOWN_KEY: "known key: whoever has stolen the enclave's TLS key can stand in between",
    Basis.SET: "member of a set: whoever has stolen a member's TLS key can stand in between",
}
_SIMULATED = "SIMULATED: there is no TEE, this proves nothing"


class _Row(NamedTuple):
    """A connection in the table."""

    when: str
    what: Text
    basis: str
    detail: str


class Journal:
    """What a port's connections have come to; it is told, and drawn."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._rows: deque[_Row] = deque(maxlen=MAX_ROWS)
        self._counted: Counter[str] = Counter()
        self._open = 0
        self._notes: dict[str, None] = {}
        self._report: tuple[str, ...] = ()

    def opened(self, account: Account) -> None:
        """Hear of a connection that is proved."""
        self._open += 1
        self._counted[account.standing] += 1
        what = Text(account.standing, _STYLES[account.standing])
        self._rows.append(_Row(_clock(), what, account.basis, detail(account)))
        for note in notes(account):
            self._notes[note] = None

    def refused(self, error: NotAttested) -> None:
        """Hear of one that was not made."""
        self._counted["refused"] += 1
        # What is well has no place here; a log has all of it.
        lines = [line for line in report(error) if not line.startswith("  ok")]
        self._report = tuple(lines[:MAX_REPORT])
        self._rows.append(_Row(_clock(), Text("refused", "bold red"), "", str(error)))

    def closed(self) -> None:
        """Hear that an opened one has ended."""
        self._open -= 1

    def draw(self) -> RenderableType:
        """Return it stands."""
        table = Table(title=self._title, title_justify="left", expand=True)
        for name in ("when", "connection", "rests on"):
            table.add_column(name, no_wrap=True)
        table.add_column("instance, or why not", overflow="fold", ratio=1)
        for row in self._rows:
            table.add_row(row.when, row.what, row.basis, Text(row.detail))
        names = (*Continuity, "refused")
        counted = ", ".join(f"{self._counted[name]:,} {name}" for name in names)
        below = [Text(f"{self._open:,} open; {counted}")]
        below += [Text(note, "yellow") for note in self._notes]
        below += [Text(line, "red") for line in self._report]
        return Group(table, *below)


class Lines:
    """The same for a log: a line for each connection, and the whole report of a refusal."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, soft_wrap=True)
        self._noted: set[str] = set()

    def opened(self, account: Account) -> None:
        """Print a connection that is proved."""
        self._console.print(f"{account.standing} ({account.basis}): {detail(account)}")
        for note in notes(account):
            if note not in self._noted:
                self._noted.add(note)
                self._console.print(note)

    def refused(self, error: NotAttested) -> None:
        """Print why one was not made."""
        for line in report(error):
            self._console.print(line)

    def closed(self) -> None:
        """Hear that an opened one has ended."""


def detail(account: Account) -> str:
    """Return whose the connection is, and whose word that is where it has not proved itself."""
    vouch = account.vouch
    if vouch is None:
        return account.name
    age = max(0.0, time.time() - vouch.verified_at)
    until = datetime.fromtimestamp(vouch.until, UTC).strftime("%H:%M:%SZ")
    said = f"member of a set verified by {vouch.by} {age:.0f} s ago"
    return f"{account.name}: {said}; a leaked key would defeat this until {until}"


def notes(account: Account) -> tuple[str, ...]:
    """Return what has to be known of such a connection by whoever relies on it."""
    weaker = [_WEAKER[account.basis]] if account.basis in _WEAKER else []
    return (*([_SIMULATED] if account.result.simulated else []), *weaker)


def report(error: NotAttested) -> tuple[str, ...]:
    """Return a refusal in lines: what was found, what was expected, and every check."""
    head = f"refused: {error}" if error.result is None else str(error)
    return (head, *(() if error.result is None else as_lines(error.result)[1:]))


def _clock() -> str:
    return datetime.now(UTC).strftime("%H:%M:%S")
