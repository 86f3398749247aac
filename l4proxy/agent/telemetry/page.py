"""The page that leaves the enclave, as OpenMetrics 1.0 text.

Own code, because the library that writes such pages would be measured too, a hundred times as much
of it, and keeps a registry of its own that tells more than was asked for.
"""

from collections.abc import Mapping

from l4proxy.agent_metrics import CAPACITY, CPU, HTTP_REQUESTS, MEMORY, OPEN_SESSIONS

_COUNTER = "_total"
_HELP = {
    CPU: "Share of the processors that was used in the last seconds.",
    MEMORY: "Share of the memory that cannot be had any more.",
    HTTP_REQUESTS: "HTTP/1 requests that clients have sent to the application.",
    OPEN_SESSIONS: "Client connections that are passed on to the application now.",
    CAPACITY: "Sessions that the enclave can take.",
}


def page(values: Mapping[str, float]) -> bytes:
    """Return the page of these series, in order; names that end in `_total` are counters."""
    lines: list[str] = []
    for name, value in sorted(values.items()):
        family = name.removesuffix(_COUNTER)
        lines.append(f"# TYPE {family} {'gauge' if family == name else 'counter'}")
        if name in _HELP:
            lines.append(f"# HELP {family} {_HELP[name]}")
        lines.append(f"{name} {value!r}")
    return "\n".join([*lines, "# EOF", ""]).encode("ascii")
