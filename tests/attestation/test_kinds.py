"""The registry of kinds: each name once."""

import pytest

from attestation.errors import AttestationError
from attestation.kinds import built_in_kinds, register
from attestation.simulated import Simulated


def test_the_built_in_kinds_have_their_names() -> None:
    """What a policy may name without a plug-in."""
    assert list(register(built_in_kinds())) == ["nitro", "sev-snp", "tdx", "simulated"]


def test_a_name_stands_for_one_kind() -> None:
    """A plug-in cannot take a built-in kind's place."""
    with pytest.raises(AttestationError, match="two kinds are named simulated"):
        register([*built_in_kinds(), Simulated()])


class _Named(Simulated):
    name = "No Name"


def test_a_name_can_be_written_in_a_policy() -> None:
    """Lower-case letters, digits and hyphens."""
    with pytest.raises(AttestationError, match="'No Name'"):
        register([_Named()])
