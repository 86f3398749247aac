"""Promises of `l4proxy.agent.attesters.attester`: every TEE is asked in the same way."""

from l4proxy.agent.attesters import Attester, ConfigfsTsm, Nsm, Simulated, TeeError


def test_every_tee_is_one() -> None:
    """Each has what the agent asks for; the type checker sees to the rest."""
    kinds: tuple[type[Attester], ...] = (Nsm, ConfigfsTsm, Simulated)
    for kind in kinds:
        assert {"signs_user_data", "seal", "quote"} <= set(dir(kind))


def test_a_fault_of_a_tee_is_one_of_the_machine() -> None:
    """It is caught where faults of input and output are."""
    assert issubclass(TeeError, OSError)
