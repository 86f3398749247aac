"""What holds sessions: how it is read, and how it is written back."""

import pytest

from l4proxy.config.mistakes import BadValueError
from l4proxy.config.sticky import (
    MAX_IDENTITY_BYTES,
    DrainSettings,
    SessionSettings,
    StickySettings,
    read_identity,
)
from routing import BackendName, PoolName
from tests.l4proxy.config.texts import LEAST, messages_of, parse, with_pool

APP = PoolName("app")


def test_the_defaults_are_those_of_the_documentation() -> None:
    """Sticky by every token; ten seconds reserved, ten minutes of session, an hour of drain."""
    pool = parse(LEAST).pools[APP]
    assert pool.sticky == StickySettings()
    assert (pool.session.idle, pool.drain.timeout) == (600.0, 3600.0)
    assert (SessionSettings().idle, DrainSettings().timeout) == (600.0, 3600.0)
    assert StickySettings().reservation == 10.0


def test_sticky_can_be_switched_off() -> None:
    """As a whole, and thing by thing."""
    assert parse(with_pool("sticky: off")).pools[APP].sticky is None
    sticky = parse(with_pool("sticky: {tickets: false, reservation: off}")).pools[APP].sticky
    assert sticky is not None
    assert (sticky.tickets, sticky.session_ids, sticky.reservation) == (False, True, None)


def test_external_identities_are_text_or_hexadecimal() -> None:
    """Both spellings of one identity are one identity."""
    text = "sticky: {external_psks: {device-7: '10.0.0.1:443', 'hex:00ff': '10.0.0.1:443'}}"
    sticky = parse(with_pool(text)).pools[APP].sticky
    assert sticky is not None
    name = BackendName("10.0.0.1:443")
    assert sticky.external_psks.backends == {b"device-7": name, b"\x00\xff": name}
    assert read_identity("hex:6465") == read_identity("de") == b"de"


@pytest.mark.parametrize("found", ["", "hex:", "hex:0", "hex:zz", 5, None, "x" * 1025])
def test_what_is_no_identity_is_refused(found: object) -> None:
    """Empty, too long, or no hexadecimal."""
    with pytest.raises(BadValueError, match=f"1 to {MAX_IDENTITY_BYTES} bytes"):
        read_identity(found)


def test_a_hash_excludes_a_table() -> None:
    """Identities either choose by their hash, or have backends of their own."""
    sticky = parse(with_pool("sticky: {external_psks: hash}")).pools[APP].sticky
    assert sticky is not None
    assert sticky.external_psks.hashed
    assert "expected off, hash, or a mapping" in messages_of(
        with_pool("sticky: {external_psks: hashed}")
    )
