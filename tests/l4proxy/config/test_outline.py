"""What can be said of a document that is broken in places."""

from l4proxy.config.document import read_document
from l4proxy.config.mistakes import expected
from l4proxy.config.outline import Entry, Outline, backends_of, readable


def test_what_is_whole_is_kept() -> None:
    """A broken entry leaves the others in their places."""
    text = """
        listeners: [127.0.0.1:1, 5]
        routes: {a: app, b: 7, c: [{pool: x}, 9], default: y}
        pools: {app: [10.0.0.1:1, {dns: {}}, {name: b}], api: 5}
        admin: off
    """
    outline = Outline.of(read_document(text, "c"))
    assert [entry.values for entry in outline.listeners] == [{"address": "127.0.0.1:1"}, {}]
    assert [[rule.values for rule in rules] for rules in outline.patterns.values()] == [
        [{"pool": "app"}],
        [],
        [{"pool": "x"}, {}],
    ]
    assert outline.pools is not None
    app, api = outline.pools.values()
    assert [entry.values for entry in backends_of(app)] == [
        {"address": "10.0.0.1:1"},
        {"dns": {}},
        {"name": "b"},
    ]
    assert backends_of(app)[2].at("name") == ("pools", "app", "backends", 2, "name")
    assert not backends_of(api)
    assert backends_of(app)[1].below("dns", lambda found: found) == Entry(
        ("pools", "app", "backends", 1, "dns"), {}
    )
    assert (outline.default, outline.admin) == ("y", False)


def test_a_document_of_another_kind_has_an_empty_outline() -> None:
    """Nothing is assumed of what is not there."""
    outline = Outline.of(read_document("[a]", "c"))
    assert outline == Outline(
        listeners=(), routed=False, patterns={}, default=None, pools=None, admin=None
    )


def test_a_reader_that_refuses_gives_nothing() -> None:
    """The mistake itself is reported elsewhere."""

    def refuse(found: object) -> str:
        raise expected(found, "another")

    assert readable(refuse, 5) is None
    assert readable(str, 5) == "5"
