"""What stands between sources and the balancer."""

from l4proxy.control.scrape.source import ScrapeFault
from routing import Address
from tests.l4proxy.control.scrape.pages import subject_at


def test_a_subject_is_called_by_its_pool_and_name() -> None:
    """As in every log line."""
    assert str(subject_at(Address("127.0.0.1", 1))) == "app/one"


def test_a_subject_has_proved_nothing_unless_somebody_says_so() -> None:
    """Nobody is asked: there is no key."""
    assert subject_at(Address("127.0.0.1", 1)).key() == b""


def test_faults_are_labels() -> None:
    """Of metrics: small letters, and no blanks."""
    assert all(fault.value.replace("_", "").isalpha() for fault in ScrapeFault)
