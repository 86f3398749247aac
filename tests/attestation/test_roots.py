"""The pinned roots are those that the vendors publish."""

import pytest

from attestation import roots


@pytest.mark.parametrize(
    ("pinned", "count"), [(roots.AWS_NITRO, 1), (roots.AMD_ARK, 3), (roots.INTEL_SGX, 1)]
)
def test_a_root_is_pinned_by_sha256(pinned: frozenset[bytes], count: int) -> None:
    """Each vendor has its roots, 32 bytes each."""
    assert len(pinned) == count
    assert {len(fingerprint) for fingerprint in pinned} == {32}
