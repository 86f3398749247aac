"""Lines of a watch come whole, however they are cut; events are believed as far as they go."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.kubernetes import watch
from l4proxy.kubernetes.errors import ApiError, ApiFault
from l4proxy.kubernetes.watch import EventKind, Lines, parse_event

LINE = json.dumps({"type": "ADDED", "object": {"metadata": {"name": "a"}}}).encode()


@given(
    lines=st.lists(st.binary(min_size=1, max_size=20).map(lambda x: x.replace(b"\n", b"_"))),
    cuts=st.lists(st.integers(0, 300)),
)
def test_lines_are_the_same_however_they_are_cut(lines: list[bytes], cuts: list[int]) -> None:
    """Blank ones are none; what has no end yet is none."""
    stream = b"".join(line + b"\n" for line in lines) + b"the rest"
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    received = Lines()
    found = [line for a, b in pairwise(places) for line in received.receive(stream[a:b])]
    assert found == [line for line in lines if line.strip()]


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_a_line_without_end_is_refused(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither whole nor in pieces."""
    monkeypatch.setattr(watch, "MAX_EVENT_BYTES", 50)
    stream = b"x" * 51 + b"\n"
    lines = Lines()
    pieces = (stream[at : at + piece] for at in range(0, len(stream), piece))
    with pytest.raises(ApiError) as caught:
        [line for each in pieces for line in lines.receive(each)]
    assert caught.value.fault is ApiFault.TOO_LARGE


def test_an_event_is_a_kind_and_an_object() -> None:
    """As it stands in the line."""
    event = parse_event(LINE, "watch x")
    assert (event.kind, event.object) == (EventKind.ADDED, {"metadata": {"name": "a"}})


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[]",
        b"x",
        b'{"type":"ADDED"}',
        b'{"type":"OTHER","object":{}}',
        b'{"type":["ADDED"]}',
    ]
    + [LINE[:at] for at in range(0, len(LINE), 5)],
)
def test_what_is_no_event_is_malformed(line: bytes) -> None:
    """Every prefix of one, too; nothing else is raised."""
    with pytest.raises(ApiError) as caught:
        parse_event(line, "watch x")
    assert caught.value.fault is ApiFault.MALFORMED


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (410, ApiFault.GONE),
        (500, ApiFault.SERVER),
        (None, ApiFault.REFUSED),
        ("x", ApiFault.REFUSED),
    ],
)
def test_an_error_ends_a_watch(code: object, fault: ApiFault) -> None:
    """With the word for its code."""
    line = json.dumps({"type": "ERROR", "object": {"code": code, "message": "too old"}}).encode()
    with pytest.raises(ApiError, match="too old") as caught:
        parse_event(line, "watch x")
    assert caught.value.fault is fault
