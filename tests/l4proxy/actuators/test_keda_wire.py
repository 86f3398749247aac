"""KEDA's messages as bytes: protobuf's own code reads and writes the same."""

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import example, given
from hypothesis import strategies as st

from l4proxy.actuators import keda_wire as wire
from l4proxy.actuators.keda_wire import BadMessage, Reference
from tests.l4proxy.actuators.keda_messages import kind, metrics_request, reference

METADATA = {"pool": "app", "scalerAddress": "l4proxy:8090", "": "", "ä": "ü" * 200}


def said(name: str, message: bytes) -> object:
    """What protobuf reads of a message."""
    return MessageToDict(kind(name).FromString(message))


def test_a_reference_is_read_as_it_was_written() -> None:
    """With all of its metadata."""
    assert wire.read_reference(reference(**METADATA)) == Reference("enclaves", "default", METADATA)
    assert wire.read_reference(b"") == Reference("", "", {})


def test_a_request_for_metrics_is_read_as_it_was_written() -> None:
    """Also where its reference comes in two parts."""
    expected = Reference("enclaves", "default", METADATA)
    assert wire.read_metrics_request(metrics_request(**METADATA)) == expected
    parts = metrics_request(pool="a") + metrics_request(pool="app")
    assert wire.read_metrics_request(parts).metadata == {"pool": "app"}


def test_fields_of_a_later_version_are_passed_over() -> None:
    """Of every kind: numbers, fixed ones, bytes; and a known number of another kind."""
    later = b"\x78\xff\x01" + b"\x79" + bytes(8) + b"\x7d" + bytes(4) + b"\x7a\x02ab" + b"\x08\x01"
    assert wire.read_reference(later + reference(pool="app")).metadata == {"pool": "app"}
    assert said("ScaledObjectRef", later) == {}


@given(st.integers(0, 2**31))
@example(0)
@example(127)
@example(128)
def test_protobuf_reads_what_is_written(number: int) -> None:
    """The whole number and the other are the same."""
    # Protobuf's own texts leave zeros out.
    values = {"metricValue": str(number), "metricValueFloat": float(number)} if number else {}
    assert said("GetMetricsResponse", wire.metrics_response("m", number)) == {
        "metricValues": [{"metricName": "m", **values}]
    }
    assert said("GetMetricSpecResponse", wire.metric_spec_response("m", 1)) == {
        "metricSpecs": [{"metricName": "m", "targetSize": "1", "targetSizeFloat": 1.0}]
    }


def test_protobuf_reads_whether_it_is_active() -> None:
    """No is the empty message."""
    assert said("IsActiveResponse", wire.is_active_response(active=True)) == {"result": True}
    assert wire.is_active_response(active=False) == b""


def test_every_message_that_ends_early_is_refused() -> None:
    """Unless it ends between two fields, where it is one."""
    whole = reference(**METADATA)
    for end in range(len(whole)):
        try:
            expected = kind("ScaledObjectRef").FromString(whole[:end])
        except Exception:  # noqa: BLE001 - protobuf's error has no public name
            with pytest.raises(BadMessage):
                wire.read_reference(whole[:end])
        else:
            assert wire.read_reference(whole[:end]).name == getattr(expected, "name", None)


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (b"\x02\x00", "the field 0"),
        (b"\x0b\x0c", "a field of the kind 3"),
        (b"\x0e", "a field of the kind 6"),
        (b"\xff" * 11, "a number without its end"),
        (b"\x0a" + b"\xff" * 9 + b"\x7f", "its end within a field"),
        (b"\x0a\x01\xff", "no UTF-8"),
        (b"\x1a\x03\x0a\x01\xff", "no UTF-8"),
        (b"\x09\x00", "its end within a field"),
    ],
)
def test_what_is_no_message_is_refused(message: bytes, found: str) -> None:
    """It is told what was found."""
    with pytest.raises(BadMessage, match=found):
        wire.read_reference(message)


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_else(message: bytes) -> None:
    """A reference, or a refusal."""
    for read in (wire.read_reference, wire.read_metrics_request):
        try:
            read(message)
        except BadMessage as error:
            assert str(error)  # noqa: PT017 - either is right
