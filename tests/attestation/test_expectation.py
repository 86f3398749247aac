"""What the verifier knows: nothing is expected of a connection unless it is said."""

from attestation.expectation import EXPORTER, EXPORTER_LABEL, Expectation


def test_an_expectation_is_of_a_connection_unless_it_says_otherwise() -> None:
    """To forget a field asks for more, never for less."""
    assert Expectation().live
    assert Expectation().spki is None


def test_the_exporter_is_that_of_the_rfc() -> None:
    """RFC 9266 §2 fixes label and length."""
    assert (EXPORTER_LABEL, EXPORTER) == ("EXPORTER-Channel-Binding", 32)
