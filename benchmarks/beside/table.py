"""The table of a run: medians, spreads, ratios and targets, as Markdown that reads well as text."""

from collections.abc import Iterable

from beside import standing, syscalls, tls, traffic
from beside.results import COMPILED, DIRECT, OURS, Measure, Results

MEASURES: tuple[Measure, ...] = (
    traffic.SHORT,
    traffic.SHORT_USER,
    traffic.SHORT_SYSTEM,
    traffic.SHORT_RATE,
    traffic.LOGGED,
    traffic.ROUNDS,
    traffic.ROUNDS_USER,
    traffic.ROUNDS_SYSTEM,
    traffic.BULK,
    traffic.BULK_RATE,
    standing.MEMORY,
    syscalls.CALLS,
    syscalls.TRIP_CALLS,
    *standing.OPEN,
    *standing.BUSY,
    traffic.LATENCY_P50,
    traffic.LATENCY_P99,
    traffic.TRIP_P50,
    traffic.TRIP_P99,
    tls.TLS_RATE,
    tls.TLS_CPU,
    tls.TLS_TWO_RATE,
    tls.TLS_TWO_CPU,
    traffic.TWO,
    traffic.TWO_RATE,
    standing.IDLE,
    standing.IDLE_WORKER,
)


def table(results: Results, peers: Iterable[str]) -> str:
    """A row for each measure that was taken, a column for each proxy."""
    columns = [*peers, DIRECT]
    head = ["median (least–most)", *columns, "ratio", "… compiled", "target"]
    rows = [row for measure in MEASURES if (row := _row(measure, results, columns))]
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    lines = [head, ["-" * (width - 1) + ":" for width in widths], *rows]
    lines[1][0] = "-" * widths[0]
    return "\n".join(_line(line, widths) for line in lines) + "\n"


def verdict(measure: Measure, results: Results, who: str = OURS) -> str:
    """Our ratio to the yardstick, marked where it misses the target."""
    ratio = results.ratio(measure, who)
    if ratio is None:
        return ""
    missed = measure.target is not None and ratio > measure.target
    return f"**{ratio:.2f}** missed" if missed else f"{ratio:.2f}"


def _row(measure: Measure, results: Results, columns: list[str]) -> list[str]:
    cells = [_cell(measure, results, who) for who in columns]
    if results.spread(measure.key, OURS) is None:
        return []
    verdicts = [verdict(measure, results, who) for who in (OURS, COMPILED)]
    unit = f", {measure.unit}" if measure.unit else ""
    target = "" if measure.target is None else f"≤ {measure.target:g} × {_yardstick(measure)}"
    return [measure.title + unit, *cells, *verdicts, target]


def _cell(measure: Measure, results: Results, who: str) -> str:
    spread = results.spread(measure.key, who)
    if spread is None:
        return ""
    middle, least, most = (
        f"{value:,.{measure.digits}f}" for value in (spread.median, spread.least, spread.most)
    )
    return middle if least == most else f"{middle} ({least}–{most})"


def _yardstick(measure: Measure) -> str:
    return "" if measure.yardstick is None else measure.yardstick.value


def _line(cells: list[str], widths: list[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
    return "| " + " | ".join(padded) + " |"
