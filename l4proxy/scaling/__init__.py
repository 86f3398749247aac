"""Scaling by sessions: how many backends a pool needs, who rests, who drains, and why.

    recommend(observation, policy, state, now) -> (Decision, ScalingState)

What backends report (`report`) is sorted out and doubted (`fleet`), the load foreseen (`forecast`,
`season`), the need summed up term by term (`need`, with the arithmetic of `hpa`), and steadied.
Backends that are too many drain (`shrink`); those that are not needed now rest (`awake`), and wake
by a mark that workers apply themselves. `simulator` replays load against all this.

No I/O, no clock, no randomness, no log: the moment is an argument, the decision an answer.
"""

from l4proxy.scaling.cron import BadCron, Cron, CronWindow
from l4proxy.scaling.decision import Decision, Doubt, Outlook, Term, TermName
from l4proxy.scaling.hpa import RateLimit
from l4proxy.scaling.policy import (
    BadPolicy,
    FreeSessions,
    MetricTarget,
    ScalingPolicy,
    Schedule,
)
from l4proxy.scaling.recommend import ScalingState, recommend
from l4proxy.scaling.report import (
    CPU,
    MEMORY,
    REQUESTS,
    BackendReport,
    BackendState,
    MetricName,
    Observation,
    Reading,
)

__all__ = [
    "CPU",
    "MEMORY",
    "REQUESTS",
    "BackendReport",
    "BackendState",
    "BadCron",
    "BadPolicy",
    "Cron",
    "CronWindow",
    "Decision",
    "Doubt",
    "FreeSessions",
    "MetricName",
    "MetricTarget",
    "Observation",
    "Outlook",
    "RateLimit",
    "Reading",
    "ScalingPolicy",
    "ScalingState",
    "Schedule",
    "Term",
    "TermName",
    "recommend",
]
