"""Things said twice."""

from l4proxy.config.document import read_document
from l4proxy.config.repeats import repeats

DOCUMENT = read_document("- a\n- b\n- a\n- a\n", "c")


def test_each_repetition_is_a_mistake() -> None:
    """The line of the first is named, and the thing where the message asks for it."""
    things = [((n,), text) for n, text in enumerate(("a", "b", "a", "a"))]
    said = [str(mistake) for mistake in repeats(DOCUMENT, things, "there is an {}")]
    assert said == [
        "c:3:3: [2]: there is an a already, on line 1",
        "c:4:3: [3]: there is an a already, on line 1",
    ]


def test_nothing_is_no_repetition() -> None:
    """What could not be read is not compared."""
    assert not list(repeats(DOCUMENT, [((0,), None), ((1,), None)], "another"))
