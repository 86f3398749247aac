"""How a family of metrics is made."""

from l4proxy.telemetry.families import counter, gauge, single


def test_a_family_has_its_name_and_samples() -> None:
    """The product's name stands in front, labels in their order behind."""
    for family, name in (
        (counter("x", "Text.", ("a", "b"), [(("1", "2"), 3)]), "l4proxy_x_total"),
        (gauge("x", "Text.", ("a", "b"), [(("1", "2"), 3)]), "l4proxy_x"),
    ):
        (sample,) = family.samples
        assert (sample.name, sample.labels, sample.value) == (name, {"a": "1", "b": "2"}, 3)


def test_samples_with_one_label() -> None:
    """Counts by a word become samples."""
    assert list(single({"a": 1}.items())) == [(("a",), 1)]
