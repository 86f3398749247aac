"""One pool that is scaled: round by round it is looked at, decided for, and the decision done."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from l4proxy.actuators import Order, Refusal, Victim
from l4proxy.config import PoolSettings
from l4proxy.config.actuator import RECOMMEND_ONLY
from l4proxy.config.scaling import ScalingSettings
from l4proxy.control.attesting.trust import Trust
from l4proxy.control.membership import Member
from l4proxy.control.scaling.lives import Lives
from l4proxy.control.scaling.observe import Ground, Moment, Sight, observe
from l4proxy.control.scaling.orders import Orders
from l4proxy.control.scaling.rounds import Round, Rounds
from l4proxy.scaling import BackendReport, Decision, ScalingState, recommend
from routing import BackendName, PoolName

log = logging.getLogger(__name__)

ROUND_SECONDS: Final = 5.0
"""From one round of a pool to the next: as often as telemetry comes in."""


class Scaler:
    """Scales one pool.

    Attributes:
        name: The pool.
        rounds: What it did.
        orders: Its actuator's part.
        policy: What its operator asks for.
        actuator: What the configuration calls its actuator.
    """

    def __init__(
        self,
        name: PoolName,
        ground: Ground,
        settings: PoolSettings,
        scaling: ScalingSettings,
        orders: Orders,
    ) -> None:
        """Know nothing of the pool yet.

        Args:
            name: The pool.
            ground: What its rounds stand on.
            settings: Its configuration.
            scaling: The block of it that says how it is scaled.
            orders: Its actuator's part.
        """
        self.name = name
        self.rounds = Rounds()
        self._ground = ground
        self._lives = Lives()
        self._state = ScalingState()
        self._refuted: frozenset[BackendName] = frozenset()
        self._present: frozenset[BackendName] = frozenset()
        self.adopt(settings, scaling, orders)

    def adopt(self, settings: PoolSettings, scaling: ScalingSettings, orders: Orders) -> None:
        """Go on by these settings, and this actuator's part; what is known of the pool stays."""
        self._settings, self.orders = settings, orders
        self.policy = scaling.policy(settings.capacity.sessions_per_backend)
        self.actuator = scaling.actuator.name

    def parked(self) -> bool:
        """Return whether hellos wait that the last round did not know of."""
        last = self.rounds.last
        return self._ground.parked(self.name) > 0 and (last is None or not last.parked)

    def round(self, moment: Moment) -> None:
        """Look, decide, and carry out: nothing of it waits.

        Nothing is done while it is not known who is there, as when Kubernetes has not answered yet:
        a pool that looks empty would be scaled to its minimum.
        """
        if not self._ground.roster.complete(self.name):
            log.debug("pool %s: no round, it is not known yet who is there", self.name)
            return
        sight = observe(self._ground, self.name, self._settings, self._lives, moment)
        self._let_go(sight)
        if self.actuator == RECOMMEND_ONLY.name:
            self._recall(sight, moment.now)
        decision, self._state = recommend(sight.observation, self.policy, self._state, moment.now)
        reports = sight.observation.backends
        self._lives.expect(decision.desired - len(reports), moment.now)
        evict = tuple(name for name in decision.evict if name in sight.evictable)
        done = self._carry_out(sight, decision, evict, moment)
        level = logging.INFO if done.changes else logging.DEBUG
        log.log(level, "pool %s: %s", self.name, done)
        self._tell(sight, done)

    def _let_go(self, sight: Sight) -> None:
        """Do not ask again for those who have begun to go without having been released."""
        released = self._state.drains.released.keys()
        gone = (sight.leaving & self._present) - released
        self._state = replace(self._state, held=max(0, self._state.held - len(gone)))
        self._present = frozenset(report.name for report in sight.observation.backends)

    def _recall(self, sight: Sight, now: float) -> None:
        """Keep those released for as long as they are there, and take back as many as are missed.

        Nobody was told to remove them: else a pool that cannot grow would turn clients away beside
        backends that are well and empty.
        """
        present = {report.name for report in sight.observation.backends}
        released = [name for name in self._state.drains.released if name in present]
        missed = max(0, (self._state.desired or 0) - (len(present) - len(released)))
        kept = released[: max(0, len(released) - missed)]
        drains = replace(self._state.drains, released=dict.fromkeys(kept, now))
        self._state = replace(self._state, drains=drains)

    def _carry_out(
        self, sight: Sight, decision: Decision, evict: tuple[BackendName, ...], moment: Moment
    ) -> Round:
        roster = self._ground.roster
        members = {member.name: member for member in roster.members(self.name)}
        stay = self.policy.drain_timeout
        deadline = None if stay is None else moment.now + stay
        taken = roster.lineup.take(self.name, members, decision, deadline, moment.now)
        drains = self._state.drains
        sealed = roster.lineup.seal(self.name, drains.sealed | drains.released.keys())
        if any(taken) or sealed:
            roster.changed.set()
        slots = self.policy.sessions_per_backend
        return self.rounds.add(sight.observation, decision, taken, evict, slots)

    def _tell(self, sight: Sight, done: Round) -> None:
        """Let the actuator know."""
        reports = {report.name: report for report in sight.observation.backends}
        members = {member.name: member for member in self._ground.roster.members(self.name)}
        drains = self._ground.roster.lineup.drains
        draining = [name for name in reports if drains.by_scaling((self.name, name))]
        draining.sort(key=lambda name: _victim_order(reports[name]))
        # All that are there still: an actuator that was busy, or failed, missed the order before.
        released = [name for name in draining if name in self._state.drains.released]
        order = Order(
            self.name,
            int(done.utc),
            done.utc,
            done.current,
            done.decision.desired,
            _victims(draining, members, reports),
            _victims(released, members, reports),
            _victims(done.evict, members, reports),
            done.decision.terms,
        )
        self.orders.give(order)
        for name in sight.refuted.keys() - self._refuted:
            trust = sight.refuted[name]
            self.orders.refused(_refusal(self.name, members[name], trust, done.utc))
        self._refuted = frozenset(sight.refuted)


def _victims(
    names: Iterable[BackendName],
    members: Mapping[BackendName, Member],
    reports: Mapping[BackendName, BackendReport],
) -> tuple[Victim, ...]:
    return tuple(Victim(name, members[name].address, reports[name].sessions or 0) for name in names)


def _victim_order(report: BackendReport) -> tuple[int, float, float, BackendName]:
    """Order as the recommender does: fewest sessions, then the oldest image, then the oldest."""
    return report.sessions or 0, report.image_at, report.started_at, report.name


def _refusal(pool: PoolName, member: Member, trust: Trust, utc: float) -> Refusal:
    check, _, _ = trust.reason.partition(":")
    return Refusal(pool, member.name, member.address, utc, check, trust.reason)
