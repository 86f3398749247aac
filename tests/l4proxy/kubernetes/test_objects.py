"""Fields of objects: what is not there, or of another type, is None."""

import pytest

from l4proxy.kubernetes import objects
from l4proxy.kubernetes.objects import Object

FOUND: Object = {
    "a": {"b": "text", "n": 3, "t": True, "l": [1, "x"], "f": 1.5, "null": None},
    "metadata": {"resourceVersion": "42"},
}


def test_what_is_there_is_read() -> None:
    """Each by the path of keys that leads there."""
    assert objects.text(FOUND, "a", "b") == "text"
    assert objects.whole(FOUND, "a", "n") == 3
    assert objects.truth(FOUND, "a", "t") is True
    assert list(objects.items(FOUND, "a", "l")) == [1, "x"]
    assert objects.version(FOUND) == "42"


@pytest.mark.parametrize(
    "path", [("a", "none"), ("a", "b", "c"), ("a", "null"), ("x",), ("a", "l")]
)
def test_what_is_not_there_is_none(path: tuple[str, ...]) -> None:
    """Nothing raises, however wrong the shape."""
    assert objects.text(FOUND, *path) is None
    assert objects.whole(FOUND, *path) is None
    assert objects.truth(FOUND, *path) is None
    assert list(objects.items(FOUND, "a", "b")) == []


def test_truth_is_no_number() -> None:
    """And a number with a point is no whole one."""
    assert objects.whole(FOUND, "a", "t") is None
    assert objects.whole(FOUND, "a", "f") is None
    assert objects.truth(FOUND, "a", "n") is None


@pytest.mark.parametrize("said", [None, "", 42, "9" * 65])
def test_a_version_is_a_short_text(said: object) -> None:
    """It goes back to the server as it came."""
    assert objects.version({"metadata": {"resourceVersion": said}}) is None


@pytest.mark.parametrize("data", [b"", b"[]", b'"a"', b"{", b"\xff", b"[" * 100_000])
def test_a_document_holds_an_object_or_nothing(data: bytes) -> None:
    """No bytes raise."""
    assert objects.parse(data) is None
    assert objects.parse(b'{"a": 1}') == {"a": 1}
