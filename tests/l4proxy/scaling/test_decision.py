"""The nouns of a decision."""

from l4proxy.scaling.decision import Term, TermName


def test_terms_have_names_for_metrics() -> None:
    """Each name of a term is a word that a label of a metric can be."""
    assert all(name.isidentifier() and name.islower() for name in TermName)


def test_a_term_carries_its_reason() -> None:
    """Each part of a sum says why it is there."""
    assert Term(TermName.FREE, 1, "why").reason == "why"
