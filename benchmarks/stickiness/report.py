"""What was measured as plain values and as tables in Markdown."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from stickiness.cost import Cost
from stickiness.figures import Share, percent
from stickiness.libraries import Row
from stickiness.stage import OURS, RIVAL

Figure: TypeAlias = Share | Row | Cost
Plain: TypeAlias = dict[str, str | float | int | None]


def plain(figures: Iterable[Figure]) -> list[Plain]:
    """Every figure, for a file."""
    return [document for figure in figures for document in _documents(figure)]


def tables(found: Mapping[str, Sequence[Figure]], facts: Mapping[str, str]) -> str:
    """The figures, then the libraries, then where they come from."""
    shares = [each for part in found.values() for each in part if isinstance(each, Share)]
    costs = [each for part in found.values() for each in part if isinstance(each, Cost)]
    rows = [each for part in found.values() for each in part if isinstance(each, Row)]
    lines = [
        _line("figure", "found", "of", "target"),
        _line("---", "---:", "---:", "---:"),
        *(_line(each.what, percent(each), f"{each.of:,}", _target(each)) for each in shares),
        *(
            _line(each.what, f"{each.microseconds:.1f} µs", "", _bound(each, f"≤ {each.most:g} µs"))
            for each in costs
        ),
        "",
        _line("library", "address", *(f"{name}{what}" for name in (OURS, RIVAL) for what in _SAID)),
        _line("---", "---", "---:", "---:", "---:", "---:"),
        *map(_row, rows),
        "",
        *(f"- {key}: {value}" for key, value in facts.items()),
    ]
    return "\n".join(lines) + "\n"


_SAID = (": on its enclave", ": resumed")


def _documents(figure: Figure) -> Iterator[Plain]:
    match figure:
        case Share():
            yield {
                "what": figure.what, "done": figure.done, "of": figure.of, "target": figure.target
            }  # fmt: skip
        case Cost():
            yield {"what": figure.what, "microseconds": figure.microseconds, "most": figure.most}
        case Row():
            for name, home in figure.home.items():
                yield {
                    "library": figure.library, "addresses": figure.addresses, "balancer": name,
                    "home": home.done, "resumed": figure.resumed[name].done, "of": home.of,
                }  # fmt: skip


def _row(row: Row) -> str:
    cells = [
        percent(share) for name in (OURS, RIVAL) for share in (row.home[name], row.resumed[name])
    ]
    if row.reached is False:
        cells[0] += " **below**"
    return _line(row.library, row.addresses, *cells)


def _target(share: Share) -> str:
    return "" if share.target is None else _bound(share, f"{share.target:.0%}".replace("%", " %"))


def _bound(figure: Share | Cost, text: str) -> str:
    return f"{text} **missed**" if figure.reached is False else text


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
