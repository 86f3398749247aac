"""Tests of the labels."""

from enum import StrEnum

import pytest

from routing import HoldReason, Ineligible, RefusalReason, Why


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        (
            Why,
            "routable learned external_psk observed session_id instance reservation selected",
        ),
        (
            Ineligible,
            "tried unhealthy untrusted standby draining drain_expired full connections_full",
        ),
        (HoldReason, "unknown_ticket_name no_eligible_backend"),
        (RefusalReason, "unknown_server_name no_server_name no_alpn_match no_eligible_backend"),
    ],
)
def test_the_labels_are_stable(kind: type[StrEnum], labels: str) -> None:
    """Dashboards and alarms are written against these words; a change is a breaking one."""
    assert [member.value for member in kind] == labels.split()
