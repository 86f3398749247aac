"""Refusals: every reason has one, and no two reasons share a label."""

import pytest

from l4proxy.proxy_protocol import ProxyHeaderFault
from l4proxy.refusal import LocalReason, RefusalStyle, labels, refusal_of
from routing import RefusalReason
from sni import (
    AlertDescription,
    AmbiguousHello,
    BadServerName,
    HelloError,
    HelloFault,
    HelloTooLong,
    MalformedHello,
    NotTls,
    TooManyRecords,
    TruncatedHello,
    UnexpectedMessage,
)

ERRORS = (
    NotTls, MalformedHello, UnexpectedMessage, AmbiguousHello,
    HelloTooLong, TooManyRecords, BadServerName, TruncatedHello,
)  # fmt: skip


def test_the_examples_have_every_fault() -> None:
    """No fault of a hello is left out of these tests."""
    assert {error.reason for error in ERRORS} == set(HelloFault)


@pytest.mark.parametrize("error", ERRORS)
def test_every_fault_of_a_hello_has_its_refusal(error: type[HelloError]) -> None:
    """The error itself says label and alert."""
    refusal = refusal_of(error("found this, expected that"))
    assert refusal.label == error.reason.value
    assert refusal.alert is error.alert


@pytest.mark.parametrize("reason", [*RefusalReason, *LocalReason])
def test_every_other_reason_has_its_refusal(reason: RefusalReason | LocalReason) -> None:
    """The map is total, and the label is the reason's."""
    assert refusal_of(reason).label == reason.value


@pytest.mark.parametrize(
    ("reason", "alert"),
    [
        (RefusalReason.UNKNOWN_SERVER_NAME, AlertDescription.UNRECOGNIZED_NAME),
        (RefusalReason.NO_ALPN_MATCH, AlertDescription.NO_APPLICATION_PROTOCOL),
        (RefusalReason.NO_ELIGIBLE_BACKEND, AlertDescription.INTERNAL_ERROR),
        (LocalReason.NO_BACKEND_ANSWERED, AlertDescription.INTERNAL_ERROR),
        (LocalReason.HELLO_TIMEOUT, None),
    ],
)
def test_clients_hear_what_the_standards_say(
    reason: RefusalReason | LocalReason, alert: AlertDescription | None
) -> None:
    """The alerts of RFC 6066 §3, RFC 7301 §3.2 and RFC 8446 §6."""
    assert refusal_of(reason).alert is alert


def test_labels_are_distinct_and_complete() -> None:
    """A metric that shows every label shows each refusal, and each once."""
    found = labels()
    assert len(set(found)) == len(found)
    assert set(found) == {
        *(fault.value for fault in HelloFault),
        *(fault.value for fault in ProxyHeaderFault),
        *(reason.value for reason in RefusalReason),
        *(reason.value for reason in LocalReason),
    }


def test_styles_are_words_of_the_configuration() -> None:
    """Alert, close, reset."""
    assert [style.value for style in RefusalStyle] == ["alert", "close", "reset"]
