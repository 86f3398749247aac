"""One ticket name on two backends of an attested pool: who holds the key of the one is the other.

A backend that takes up another's sessions can be the other towards a client that resumes, with no
handshake that would show its own key. So it refutes both, unless the policy lets enclaves of equal
measurement share their keys and all that share have proved to be equal.
"""

from collections.abc import Iterable, Mapping

from attestation import Check, Policy, failed
from l4proxy.control.attesting.trust import Trust
from routing import BackendName


def sharers(
    groups: Iterable[frozenset[BackendName]], trusts: Mapping[BackendName, Trust], policy: Policy
) -> dict[BackendName, Check]:
    """Return the backends that hold a ticket key that they must not, with the check that failed.

    Args:
        groups: Backends that hold one ticket key together, each group of two or more.
        trusts: What was proved of each backend of the pool.
        policy: Of the pool.
    """
    found = dict[BackendName, Check]()
    for group in groups:
        if policy.shared_ticket_keys and _equal([trusts[each] for each in group & trusts.keys()]):
            continue
        for each in group & trusts.keys():
            others = ", ".join(sorted(group - {each}))[:120]
            expected = "keys of its own, or shared_ticket_keys among equal measurements"
            found[each] = failed("ticket_names", f"a ticket key that {others} holds", expected)
    return found


def _equal(trusts: list[Trust]) -> bool:
    """Say whether they meet the same set of measurements; who has no proof has no traffic either.

    A set, and not all that is measured: registers of the instance it runs on always differ.
    """
    met = {trust.result.accepted_set for trust in trusts if trust.admits and trust.result}
    return len(met) <= 1
