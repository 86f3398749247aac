"""The nouns of a decision."""

from l4proxy.scaling.decision import NO_MARK, Term, TermName


def test_terms_have_names_for_metrics() -> None:
    """Each name of a term is a word that a label of a metric can be."""
    assert all(name.isidentifier() and name.islower() for name in TermName)


def test_no_mark_wakes_nobody() -> None:
    """A pool without a rule never falls under it."""
    assert NO_MARK.below == 0
    assert not NO_MARK.order
    assert Term(TermName.FREE, 1, "why").reason == "why"
