"""A simulation: a trace against a policy and what it is compared with, and how that is told."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from rich.console import Console
from rich.table import Table

from l4proxy.cli.simulate import MAX_CSV_BYTES, MAX_POLICY_BYTES
from l4proxy.config.mistakes import ConfigError, Mistake
from l4proxy.scaling.policy import ScalingPolicy
from l4proxy.scaling.report import MetricName
from l4proxy.scaling.settings import read_policy
from l4proxy.scaling.simulator.clairvoyant import clairvoyant, hours
from l4proxy.scaling.simulator.replay import Result, replay
from l4proxy.scaling.simulator.scalers import (
    AgonesBuffer,
    Fixed,
    Hpa,
    Kpa,
    Recommender,
    Scaler,
)
from l4proxy.scaling.simulator.trace import SHAPES, BadTrace, Load, Trace, read_csv, synthetic
from l4proxy.scaling.simulator.world import Setting

OURS = "l4proxy"
"""What our own result is called among the others."""

USUAL = "{min: 2, max: 200, standby: 2}"
"""The scaling block of a simulation that names none."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be simulated.

    Attributes:
        trace: A file, or the name of a shape.
        load: What a shape is made of.
        policy: A file with a `scaling` block; None: `USUAL`.
        slots: Sessions that a backend carries.
        boot: Seconds until a backend answers.
        attest: Seconds until it has then proved what it runs.
        seed: Of the draw.

    """

    trace: str
    load: Load
    policy: Path | None
    slots: int
    boot: float
    attest: float
    seed: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of a trace, by who decided.

    Attributes:
        trace: The load.
        slots: Sessions that a backend carries.
        minimum: Backends of the clairvoyant minimum, one a step.
        results: By name; ours is the first.
        ignored: Metrics of the policy, of which a trace says nothing.

    """

    trace: Trace
    slots: int
    minimum: tuple[int, ...]
    results: dict[str, Result]
    ignored: tuple[MetricName, ...] = ()

    @property
    def minimum_hours(self) -> float:
        """Backend-hours of the clairvoyant minimum."""
        return hours(self.minimum)


def compare(question: Question, *, alone: bool) -> Comparison:
    """Replay a trace against a policy and, unless it is to be alone, against the others.

    Raises:
        BadTrace: The trace is none.
        ConfigError: The policy is none.
        OSError: A file cannot be read.

    """
    whole = _policy(question)
    policy = replace(whole, metrics=())  # a trace knows sessions, and nothing of processors
    trace = _trace(question)
    setting = Setting(question.slots, question.boot, question.attest)
    minimum = tuple(clairvoyant(trace, setting, policy))
    setting = setting._replace(backends=minimum[0])
    scalers: dict[str, Scaler] = {OURS: Recommender(policy)}
    if not alone:
        scalers |= {
            "Kubernetes HPA": Hpa(policy),
            "Knative KPA": Kpa(policy),
            "Agones buffer": AgonesBuffer(policy),
            f"fixed, {max(minimum)}": Fixed(max(minimum)),
        }
    results = {name: replay(trace, setting, scaler) for name, scaler in scalers.items()}
    ignored = tuple(metric.name for metric in whole.metrics)
    return Comparison(trace, question.slots, minimum, results, ignored)


def _policy(question: Question) -> ScalingPolicy:
    if question.policy is None:
        return read_policy("built in", USUAL, question.slots)
    source = str(question.policy)
    try:
        block = _text(question.policy, MAX_POLICY_BYTES)
    except ValueError as error:
        raise ConfigError([Mistake(source, 0, 0, "", str(error))]) from error
    return read_policy(source, block, question.slots)


def _trace(question: Question) -> Trace:
    if question.trace in SHAPES:
        # Not a secret: the same seed is to give the same load.
        draw = Random(question.seed).random  # noqa: S311 - repeatable on purpose
        return synthetic(question.trace, question.load, draw)
    path = Path(question.trace)
    if not path.exists():
        raise BadTrace(f"found {question.trace!r}, expected a file or {', '.join(SHAPES)}")
    try:
        lines = _text(path, MAX_CSV_BYTES).splitlines()
    except ValueError as error:
        raise BadTrace(f"{path}: {error}") from error
    return read_csv(path.name, lines)


def _text(path: Path, most: int) -> str:
    with path.open("rb") as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        raise ValueError(f"over {most} bytes")
    return raw.decode()


def tell_as_json(comparison: Comparison) -> None:
    """Print a comparison as one JSON document."""
    document = {
        "trace": comparison.trace.name,
        "sessions": len(comparison.trace.arrivals),
        "seconds": comparison.trace.seconds,
        "ignored_metrics": list(comparison.ignored),
        "minimum_backend_hours": round(comparison.minimum_hours, 3),
        "results": {
            name: _figures(result, comparison) for name, result in comparison.results.items()
        },
    }
    print(json.dumps(document, indent=2))


def _figures(result: Result, comparison: Comparison) -> dict[str, float]:
    return {
        "refused": result.refused,
        "late": result.late,
        "late_share": round(result.late / max(1, result.sessions), 6),
        "longest_wait": round(result.longest, 3),
        "mean_wait": round(result.mean_wait, 3),
        "backend_hours": round(result.backend_hours, 3),
        "of_minimum": round(result.backend_hours / comparison.minimum_hours, 4),
        "most_backends": result.most,
        "flaps": result.flaps,
        "broken": result.broken,
        "woken": result.wakes,
    }


def tell(comparison: Comparison) -> None:
    """Print a comparison for a reader."""
    trace = comparison.trace
    console = Console(highlight=False)
    console.print(
        f"{trace.name}: {len(trace.arrivals):,} sessions in {trace.seconds / 3600:g} h, "
        f"{comparison.slots} a backend; the clairvoyant minimum is "
        f"{comparison.minimum_hours:,.1f} backend-hours, {max(comparison.minimum)} at once"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    titles = "refused", "late", "longest", "hours", "of minimum", "most", "flaps", "broken"
    for title in titles:
        table.add_column(title, justify="right")
    for name, result in comparison.results.items():
        table.add_row(
            name,
            f"{result.refused:,}",
            f"{100 * result.late / max(1, result.sessions):.2f} %",
            f"{result.longest:.1f} s",
            f"{result.backend_hours:,.1f}",
            f"{result.backend_hours / comparison.minimum_hours:.3f}",
            str(result.most),
            str(result.flaps),
            f"{result.broken:,}",
        )
    console.print(table)
    if comparison.ignored:
        names = ", ".join(comparison.ignored)
        console.print(f"a trace holds sessions alone, so these targets were left out: {names}")
