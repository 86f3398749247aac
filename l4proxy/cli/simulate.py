"""`l4proxy simulate`: load replayed against a scaling policy, offline."""

import argparse
import sys
from pathlib import Path

from l4proxy.cli.command import Command, Exit

MOST_HOURS = 24 * 31
"""Hours of a synthetic trace at the most, a month: what repeats after that teaches no more."""

MOST_SESSIONS = 100_000
"""Sessions open at once, or on one backend, at the most: more take memory, and teach no more."""

MAX_POLICY_BYTES = 1024 * 1024
"""Bytes of a policy, as of a configuration."""

MAX_CSV_BYTES = 64 * 1024 * 1024
"""Bytes of a trace: two million lines."""

_MORE = """\
TRACE is a CSV file of sessions, a line each: arrival,duration in seconds; or a synthetic one:
diurnal, ramp, spike, flash-crowd, sawtooth. The policy is a `scaling` block of the configuration,
in a YAML file of its own. The same trace is replayed against Kubernetes' HPA, Knative's KPA,
Agones' buffer and a fixed pool, and compared with somebody who knows what will come.

late         sessions that were parked for over a second, or refused
flaps        steps that were taken back within half an hour
broken       sessions that scale-in ended
of minimum   backend-hours, beside those of the clairvoyant minimum

examples:
  l4proxy simulate diurnal
  l4proxy simulate spike --policy scaling.yaml --json
  l4proxy simulate trace.csv --slots 500 --boot 45 --plot scaling.svg
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_option = parser.add_argument
    add_option("trace", metavar="TRACE", help="a CSV file, or the name of a synthetic trace")
    add_option("--policy", metavar="FILE", type=Path, help="a scaling block, in YAML")
    add_option(
        "--slots",
        metavar="N",
        type=_count,
        default=100,
        help="sessions that a backend carries (default: 100)",
    )
    for name, metavar, kind, default, what in (
        ("--sessions", "N", _count, None, "open at once at the base load (default: 8 backends')"),
        ("--hours", "H", _hours, 4.0, "of a synthetic trace (default: 4)"),
        ("--mean", "S", _seconds, 1800.0, "seconds that a session lasts (default: 1800)"),
        ("--boot", "S", _seconds, 60.0, "seconds until a new backend answers (default: 60)"),
        ("--attest", "S", _seconds, 30.0, "seconds from then until it is trusted (default: 30)"),
    ):
        add_option(name, metavar=metavar, type=kind, default=default, help=what)
    add_option("--seed", metavar="N", type=int, default=1, help="another draw of the same load")
    add_option("--alone", action="store_true", help="replay against the policy alone")
    add_option("--plot", metavar="FILE", type=Path, help="draw it: .png or .svg")
    add_option("--json", action="store_true", help="print JSON, for scripts")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:9]) <= MOST_SESSIONS:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected 1 to {MOST_SESSIONS}")
    return int(text)


def _seconds(text: str) -> float:
    return _number(text, 86_400)


def _hours(text: str) -> float:
    return _number(text, MOST_HOURS)


def _number(text: str, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number <= most:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number up to {most:g}")
    return number


def run(arguments: argparse.Namespace) -> Exit:
    """Replay a trace and print what became of it."""
    from l4proxy.cli.plot import NoPlot, draw
    from l4proxy.cli.simulation import Question, compare, tell, tell_as_json
    from l4proxy.config import ConfigError
    from l4proxy.scaling.simulator.trace import BadTrace, Load

    plot: Path | None = arguments.plot
    slots: int = arguments.slots
    # What a pool of ten keeps busy with a fifth of its slots free.
    sessions: int = arguments.sessions or 8 * slots
    try:
        question = Question(
            trace=arguments.trace,
            load=Load(sessions, arguments.mean, arguments.hours * 3600, arguments.mean / 3),
            policy=arguments.policy,
            slots=slots,
            boot=arguments.boot,
            attest=arguments.attest,
            seed=arguments.seed,
        )
        comparison = compare(question, alone=arguments.alone)
        if plot is not None:
            draw(comparison, plot)
    except (BadTrace, ConfigError, NoPlot) as error:
        print(f"l4proxy: {error}", file=sys.stderr)
        return Exit.UNUSABLE
    except OSError as error:
        print(f"l4proxy: {error.filename}: {error.strerror}", file=sys.stderr)
        return Exit.UNUSABLE
    if arguments.json:
        tell_as_json(comparison)
    else:
        tell(comparison)
    return Exit.FINE


COMMAND = Command(
    "simulate", "replay load against a scaling policy, offline", _MORE, configure, run
)
