"""What the configuration says of scaling: the `scaling` block of a pool, turned into a policy."""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from pydantic import BeforeValidator, Field

from l4proxy.config.actuator import RECOMMEND_ONLY, ActuatorChoice, actuator_choice
from l4proxy.config.mistakes import BadValueError, expected
from l4proxy.config.scalars import (
    OFF,
    Scalar,
    Word,
    duration,
    or_word,
    parsed,
    text,
    truth,
    whole,
)
from l4proxy.config.section import Section
from l4proxy.config.shorthand import none_when_off
from l4proxy.config.sticky import drain_timeout
from l4proxy.scaling.cron import BadCron, Cron, CronWindow
from l4proxy.scaling.hpa import RateLimit
from l4proxy.scaling.policy import (
    MAX_BACKENDS,
    USUAL_FREE,
    USUAL_GROWTH,
    USUAL_SHRINKING,
    FreeSessions,
    MetricTarget,
    ScalingPolicy,
    Schedule,
)
from l4proxy.scaling.report import CPU, MEMORY, REQUESTS, MetricName

MAX_SLOTS: Final = 1_000_000
"""Sessions that a backend or a buffer may be said to hold: as many as connections elsewhere."""

_MEASURED: Final = Word("measured")
_PERCENT: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?) ?%", re.ASCII)
_RATE: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)/s", re.ASCII)
_WHOLE_PERCENT: Final = 100


def _share(found: object) -> float:
    match = _PERCENT.fullmatch(found) if isinstance(found, str) else None
    if match is None or not 0 < float(match[1]) <= _WHOLE_PERCENT:
        raise expected(found, "per cent, such as 70%")
    return float(match[1]) / _WHOLE_PERCENT


def _written_share(share: float) -> str:
    return f"{share * _WHOLE_PERCENT:g}%"


def _rate(found: object) -> float:
    match = _RATE.fullmatch(found) if isinstance(found, str) else None
    if match is None or not float(match[1]):
        raise expected(found, "a rate, such as 500/s")
    return float(match[1])


def _free(found: object) -> FreeSessions:
    if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= MAX_SLOTS:
        return FreeSessions(found, percent=False)
    try:
        return FreeSessions(_share(found) * _WHOLE_PERCENT)
    except BadValueError:
        raise expected(found, "free slots: a whole number, or per cent, such as 20%") from None


def _written_free(free: FreeSessions) -> object:
    return f"{free.amount:g}%" if free.percent else int(free.amount)


def _number(found: object) -> float:
    if isinstance(found, int | float) and not isinstance(found, bool) and found > 0:
        return float(found)
    raise expected(found, "a number above 0")


def _cron(found: object) -> Cron:
    try:
        return Cron.parse(found if isinstance(found, str) else "")
    except BadCron:
        what = "minute hour day month weekday in UTC, such as 0 8 * * 1-5"
        raise expected(found, what) from None


_share_of: Final = parsed(_share, _written_share, "70%")
_free_slots: Final = Scalar(
    _free,
    _written_free,
    {
        "anyOf": [
            {"type": "string", "examples": ["20%"]},
            {"type": "integer", "minimum": 0, "maximum": MAX_SLOTS},
        ]
    },
)
_a_number: Final = Scalar(_number, float, {"type": "number", "exclusiveMinimum": 0})
_count: Final = whole(0, MAX_BACKENDS)
_stay: Final = drain_timeout


class SessionsSettings(Section):
    """What to keep free for sessions that come by surprise."""

    free: Annotated[FreeSessions, _free_slots] = USUAL_FREE
    """Free slots to keep: a number, or per cent of all."""

    mark: Annotated[int | None, or_word(Word("auto"), whole(1, MAX_SLOTS))] = None
    """Free slots awake below which the next resting backend wakes; auto: a tenth of a backend."""

    pack: Annotated[bool, truth()] = True
    """Whether few backends fill up while the others rest and empty."""


class MetricsSettings(Section):
    """Targets, as means over the backends."""

    cpu: Annotated[float, _share_of] | None = None
    """Share of its processors that a backend should use, such as 70%."""

    memory: Annotated[float, _share_of] | None = None
    """Share of its memory that a backend should use."""

    requests: Annotated[float, parsed(_rate, "{:g}/s".format, "500/s")] | None = None
    """HTTP requests a second that a backend should serve, such as 500/s."""


class CustomSettings(Section):
    """A gauge of the operator's own."""

    metric: Annotated[str, text("the name of a metric", r"[a-zA-Z_:][a-zA-Z0-9_:]{0,127}")]
    """Its name in the telemetry of backends."""

    target: Annotated[float, _a_number]
    """What its mean over the backends is to be, in its own unit."""


class ForecastSettings(Section):
    """How far ahead to order."""

    lead: Annotated[float | None, or_word(_MEASURED, duration("1s", "24h"))] = None
    """From an order to an attested backend: as measured, or a duration."""


class ScheduleSettings(Section):
    """A higher minimum for a part of the week."""

    starts: Annotated[Cron, Scalar(_cron, str, {"type": "string"})]
    """When: minute hour day month weekday, in UTC."""

    lasts: Annotated[float, duration("1m", "168h")]
    """For how long."""

    min: Annotated[int, _count]
    """Backends at least."""


class RateSettings(Section):
    """How far the pool may move in a stretch of time: by the larger of the two."""

    backends: Annotated[int, _count] = 0
    """By so many backends in that time."""

    percent: Annotated[int, whole(0, 10_000)] = 0
    """By so many per cent of the backends that there were when it began."""

    every: Annotated[float, duration("1s", "1h")] = 60.0
    """How long that time is."""

    def limit(self) -> RateLimit:
        """Return it as the recommender has it."""
        return RateLimit(self.backends, self.percent, self.every)


class ScalingSettings(Section):
    """How a pool is scaled."""

    expects: ClassVar[str] = "a mapping {min, max, sessions, …}, or off"

    min: Annotated[int, _count] = 1
    """Backends at least."""

    max: Annotated[int, whole(1, MAX_BACKENDS)] = 100
    """Backends at most."""

    sessions: SessionsSettings = SessionsSettings()
    """What to keep free."""

    metrics: MetricsSettings = MetricsSettings()
    """Targets of what every backend reports."""

    custom: Mapping[str, CustomSettings] = Field(default={}, max_length=16)
    """Targets of the operator's own gauges, each under a name of its own."""

    forecast: Annotated[ForecastSettings | None, BeforeValidator(none_when_off)] = (
        ForecastSettings()
    )
    """Whether to order ahead: off, or how far."""

    standby: Annotated[int, _count] = 0
    """Backends beyond all that, attested and without new sessions."""

    schedules: tuple[ScheduleSettings, ...] = Field(default=(), max_length=32)
    """Higher minimums for parts of the week."""

    grow: RateSettings | None = None
    """How fast it may grow: by 4 a minute, or to twice its size, when left out. A spike knows no
    bound."""

    shrink: RateSettings | None = None
    """How fast backends may begin to drain: 1 a minute, or a tenth, when left out."""

    stabilisation: Annotated[float, duration("0s", "24h")] = ScalingPolicy().stabilisation
    """How long a smaller need must last."""

    tolerance: Annotated[float, parsed(_share, _written_share, "10%")] = ScalingPolicy().tolerance
    """How far the need must be below the pool."""

    panic: Annotated[float, _share_of] = ScalingPolicy().panic
    """Share of the free slots that a spike must threaten to take within the lead time."""

    drain_timeout: Annotated[float | None, _stay] = None
    """How long the sessions of a backend that is to go may stay; off: until they end."""

    park: Annotated[float | None, or_word(OFF, duration("1s", "5m"))] = 10.0
    """How long a hello waits while the pool has no backend for it; off: it is refused at once."""

    actuator: Annotated[ActuatorChoice, actuator_choice] = RECOMMEND_ONLY
    """Who tells others of the number: recommend-only (nobody), or {NAME: {…}}."""

    @property
    def custom_metrics(self) -> tuple[MetricName, ...]:
        """The operator's own gauges that it has targets for."""
        return tuple(MetricName(one.metric) for one in self.custom.values())

    def policy(self, slots: int | None) -> ScalingPolicy:
        """Return the policy of a pool whose backends carry so many sessions.

        Raises:
            BadPolicy: Two keys contradict each other.

        """
        return ScalingPolicy(
            minimum=self.min,
            maximum=self.max,
            sessions_per_backend=slots,
            free=self.sessions.free,
            metrics=self._targets(),
            forecast=self.forecast is not None,
            lead=self.forecast.lead if self.forecast is not None else None,
            standby=self.standby,
            schedules=tuple(
                Schedule(CronWindow(schedule.starts, schedule.lasts), schedule.min)
                for schedule in self.schedules
            ),
            grow=self.grow.limit() if self.grow is not None else USUAL_GROWTH,
            shrink=self.shrink.limit() if self.shrink is not None else USUAL_SHRINKING,
            stabilisation=self.stabilisation,
            tolerance=self.tolerance,
            panic=self.panic,
            pack=self.sessions.pack,
            mark=self.sessions.mark,
            drain_timeout=self.drain_timeout,
        )

    def _targets(self) -> tuple[MetricTarget, ...]:
        known = {
            CPU: self.metrics.cpu,
            MEMORY: self.metrics.memory,
            REQUESTS: self.metrics.requests,
        }
        own = {MetricName(one.metric): one.target for one in self.custom.values()}
        return tuple(
            MetricTarget(name, target)
            for name, target in {**known, **own}.items()
            if target is not None
        )
