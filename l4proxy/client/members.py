"""Members: enclaves that another one has verified, and that are met without a proof of their own.

The set came over a connection that its sender had proved by the exporter. A member is let in by its
key, after the evidence that stands for it has met the client's own policy; when the set ends, so
does every member. Pure: the times are arguments.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from l4proxy.client.lineages import Lineage, Target, Vouch
from l4proxy.set_wire import MAX_EPOCH_SECONDS, Entry

MAX_SETS: Final = 16
"""Targets whose set a client keeps: each may have a megabyte of evidence."""

SKEW_SECONDS: Final = 60.0
"""Seconds by which an enclave's clock may be ahead of the client's."""


class Member(NamedTuple):
    """One of a set.

    Attributes:
        entry: What there is of it.
        vouch: Whose word that is, and until when it counts.

    """

    entry: Entry
    vouch: Vouch


@dataclass(frozen=True, slots=True)
class MemberSet:
    """A set, as a client keeps it.

    Attributes:
        members: By their keys' SHA-256.
        until: When it ends, seconds since the epoch, UTC: with the first of its members.
        taken: When it came, in seconds of the loop's clock.
        lasts: Seconds from then to its end: a clock that is set back does not prolong it.

    """

    members: Mapping[bytes, Member]
    until: float
    taken: float
    lasts: float

    def holds(self, now: float, now_utc: float) -> bool:
        """Return whether it has not ended."""
        return now_utc < self.until and now - self.taken < self.lasts


class Moment(NamedTuple):
    """A time by both clocks.

    Attributes:
        now: In seconds of the loop's clock.
        now_utc: In seconds since the epoch, UTC.

    """

    now: float
    now_utc: float


def take(
    entries: Iterable[Entry], sender: Lineage, own: Entry, longest: float, moment: Moment
) -> MemberSet | None:
    """Return the set that a proved enclave has sent; None: there is nobody in it but itself.

    Args:
        entries: As it has sent them; of another time than now: left out.
        sender: What is known of it, from the proof on this very connection.
        own: That proof. It is a member itself, by what this client has seen.
        longest: Most seconds that the set counts for.
        moment: Now.

    """
    now_utc = moment.now_utc
    others = {
        entry.key: entry
        for entry in entries
        if entry.key != own.key and entry.verified_at <= now_utc + SKEW_SECONDS
        if now_utc < min(entry.until, entry.verified_at + MAX_EPOCH_SECONDS)
    }
    if not others:
        return None
    ends = (min(entry.until, entry.verified_at + MAX_EPOCH_SECONDS) for entry in others.values())
    until = min(*ends, now_utc + min(longest, MAX_EPOCH_SECONDS))
    lasts = until - now_utc
    end = moment.now + lasts
    members = {
        key: Member(entry, Vouch(sender.name, entry.verified_at, until, end))
        for key, entry in others.items()
    }
    if sender.known_by_key:
        here = Vouch("this client", own.verified_at, until, end)
        members[own.key] = Member(own, here)
    return MemberSet(members, until, moment.now, lasts)


@dataclass(slots=True)
class Sets:
    """The sets of a client, one a target, bounded."""

    _sets: OrderedDict[Target, MemberSet] = field(default_factory=OrderedDict)

    def of(self, target: Target, moment: Moment) -> MemberSet | None:
        """Return the set of a target that has not ended."""
        found = self._sets.get(target)
        if found is not None and not found.holds(*moment):
            del self._sets[target]
            return None
        return found

    def note(self, target: Target, found: MemberSet | None) -> None:
        """Keep what has come, in the place of what there was; nothing that is none."""
        if found is None:
            return
        self._sets[target] = found
        self._sets.move_to_end(target)
        if len(self._sets) > MAX_SETS:
            self._sets.popitem(last=False)
