"""Texts that revoke, and texts that do not."""

import pytest

from l4proxy.revocation import BadRevocation, Revocation, Revoked, parse_revocation


@pytest.mark.parametrize(
    "revocation",
    [
        Revocation(Revoked.KEY, bytes(range(32))),
        Revocation(Revoked.MEASUREMENT, bytes(range(48))),
        Revocation(Revoked.CHIP, b"\x01" * 64),
    ],
)
def test_what_is_written_is_read(revocation: Revocation) -> None:
    """A revocation's text names it, in either case of its digits."""
    assert parse_revocation(str(revocation)) == revocation
    assert parse_revocation(str(revocation).upper()) == revocation


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected key:HEX"),
        ("key", "expected key:HEX"),
        ("serial:00112233", "expected key:HEX"),
        ("chip:0011223", "expected key:HEX"),
        ("chip:001122", "4 to 128 bytes"),
        ("chip:" + "01" * 129, "4 to 128 bytes"),
        ("key:" + "01" * 31, "64 digits for a key"),
        ("measurement:" + "00" * 48, "not zeros"),
        ("chip:00112233 ", "expected key:HEX"),
        ("\n" * 100, "expected key:HEX"),
    ],
)
def test_what_names_nothing_is_refused(text: str, said: str) -> None:
    """Zeros too: every register that nobody has set holds them."""
    with pytest.raises(BadRevocation, match=said) as caught:
        parse_revocation(text)
    assert "\n" not in str(caught.value)
