"""How every answer of the admin API looks."""

import json

from l4proxy.admin.replies import failure, reply


def test_an_answer_is_one_document() -> None:
    """JSON with a newline at its end, not to be kept by anybody."""
    found = reply({"key": [1]}, 201)
    assert (found.status, found.content_type) == (201, "application/json")
    assert found.headers["Cache-Control"] == "no-store"
    assert found.text is not None
    assert found.text.endswith("\n")
    assert json.loads(found.text) == {"key": [1]}


def test_a_failure_says_what_was_found() -> None:
    """Errors are documents too."""
    found = failure(404, "found nothing")
    assert (found.status, json.loads(found.text or "")) == (404, {"error": "found nothing"})
