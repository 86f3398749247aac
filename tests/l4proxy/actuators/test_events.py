"""What a hook is told: documents by a schema that ships."""

import json
from pathlib import Path

import jsonschema
import pytest

from l4proxy.actuators import events
from l4proxy.actuators.events import (
    Event,
    encoded,
    event_of,
    events_of,
    hook_schema,
    hook_schema_text,
)
from tests.l4proxy.actuators.orders import ORDER, REFUSAL, order

SCHEMA = Path(events.__file__).with_name("hook.schema.json")
ALL: list[Event] = [*events_of(ORDER), event_of(REFUSAL)]


def test_the_schema_that_ships_is_that_of_the_code() -> None:
    """A change of the models writes the file anew, with `hook_schema_text`."""
    assert SCHEMA.read_text(encoding="utf-8") == hook_schema_text()


@pytest.mark.parametrize("event", ALL, ids=lambda event: event.event)
def test_every_document_is_as_the_schema_says(event: Event) -> None:
    """On one line of ASCII; a key that a later release adds does not make it another version."""
    text = encoded(event)
    assert b"\n" not in text
    document = json.loads(text.decode("ascii"))
    jsonschema.validate(document, hook_schema())
    jsonschema.validate({**document, "new-key": 1}, hook_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "version": 2}, hook_schema())


def test_an_order_says_how_many_who_drains_and_who_failed() -> None:
    """Each in a document of its own, with the victims in their order."""
    scale, drain, evict = (json.loads(encoded(event)) for event in events_of(ORDER))
    assert scale == {
        "version": 1,
        "id": "app:7:scale",
        "event": "scale",
        "pool": "app",
        "number": 7,
        "at": 1_800_000_000.25,
        "current": 4,
        "desired": 3,
        "release": [{"name": "b", "address": "[fd00::1]:8443", "sessions": 0}],
        "terms": [{"name": "sessions", "backends": 3, "reason": "280 sessions, 100 a backend"}],
    }
    assert (drain["id"], drain["event"]) == ("app:7:drain", "drain")
    assert drain["backends"] == [{"name": "a", "address": "10.0.0.1:443", "sessions": 3}]
    assert (evict["id"], evict["event"]) == ("app:7:evict", "evict")
    assert evict["backends"] == scale["release"]


def test_an_order_without_victims_is_one_document() -> None:
    """Nothing is said of nobody."""
    assert [event.event for event in events_of(order(3))] == ["scale"]


def test_a_refusal_says_whose_evidence_and_why() -> None:
    """Its id is the same when it is told again."""
    told = json.loads(encoded(event_of(REFUSAL)))
    assert told["backend"] == {"name": "a", "address": "10.0.0.1:443"}
    assert (told["check"], told["reason"]) == ("measurement", "found 11, expected 22")
    assert told["id"] == "app:a:1800000000250:attestation_refused" == event_of(REFUSAL).id
