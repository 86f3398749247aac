"""The plot of a run: what each proxy costs as a multiple of HAProxy. SVG, written by hand."""

from xml.sax.saxutils import escape

from beside import standing, syscalls, traffic
from beside.results import Measure, Results

_SHOWN: tuple[tuple[Measure, str], ...] = (
    (traffic.SHORT, "CPU, short connection"),
    (traffic.LOGGED, "the same, logging"),
    (traffic.ROUNDS, "CPU, 20 round trips"),
    (traffic.BULK, "CPU, a GB relayed"),
    (syscalls.CALLS, "system calls"),
    (standing.MEMORY, "memory, idle"),
)
_COLOURS = ("#2463eb", "#64748b", "#94a3b8", "#b9a3d8", "#d8b48a")
_BASE = "HAProxy"
_MOST = 4.0  # multiples; a longer bar is cut, and its figure still told
_LEFT, _WIDTH, _BAR, _GAP, _TOP = 170, 420, 11, 12, 44


def plot(results: Results, peers: list[str]) -> str:
    """Bars by measure and proxy; shorter is better."""
    height = _TOP + len(_SHOWN) * (len(peers) * _BAR + _GAP) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 60} {height}">',
        "<style>text { font: 11px system-ui, sans-serif }</style>",
        f'<rect width="100%" height="{height}" fill="#fff" rx="6"/>',
        f'<text x="12" y="18" style="font-weight: 600">Multiples of {_BASE}, less is better</text>',
        *_legend(peers),
        _rule(height),
    ]
    for row, (measure, title) in enumerate(_SHOWN):
        parts += _group(results, measure, title, (_TOP + row * (len(peers) * _BAR + _GAP), peers))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend(peers: list[str]) -> list[str]:
    parts = []
    for at, (name, colour) in enumerate(zip(peers, _COLOURS, strict=False)):
        x = _LEFT + at * 80
        parts.append(f'<rect x="{x}" y="26" width="9" height="9" fill="{colour}"/>')
        parts.append(f'<text x="{x + 13}" y="34">{escape(name)}</text>')
    return parts


def _rule(height: int) -> str:
    x = _LEFT + _WIDTH / _MOST
    line = f'x1="{x}" x2="{x}" y1="{_TOP - 4}" y2="{height - 8}"'
    return f'<line {line} stroke="#0f172a" stroke-dasharray="2 3"/>'


def _group(
    results: Results, measure: Measure, title: str, place: tuple[int, list[str]]
) -> list[str]:
    top, peers = place
    middle = top + len(peers) * _BAR / 2 + 4
    parts = [f'<text x="{_LEFT - 10}" y="{middle}" text-anchor="end">{escape(title)}</text>']
    base = results.middle(measure.key, _BASE)
    for at, (name, colour) in enumerate(zip(peers, _COLOURS, strict=False)):
        value = results.middle(measure.key, name)
        if value is None or not base:
            continue
        y = top + at * _BAR
        width = min(value / base, _MOST) / _MOST * _WIDTH
        size = f'width="{width:.1f}" height="{_BAR - 2}"'
        parts.append(f'<rect x="{_LEFT}" y="{y}" {size} fill="{colour}"/>')
        label = f'x="{_LEFT + width + 4:.1f}" y="{y + _BAR - 2.5}"'
        parts.append(f"<text {label}>{value / base:.2f}</text>")
    return parts
