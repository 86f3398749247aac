"""Promises of `l4proxy.agent_metrics`: names that both sides know, and one description."""

import json

from l4proxy.agent_metrics import AGENT_METRICS, CPU, PREFIX, Scrapers, describe


def test_the_names_say_whose_they_are() -> None:
    """An application's series cannot be taken for the agent's."""
    assert all(name.startswith(PREFIX) for name in AGENT_METRICS)
    assert len(set(AGENT_METRICS)) == len(AGENT_METRICS)


def test_the_description_has_one_form() -> None:
    """The order and the number of names do not matter; what readers have to show does."""
    one = describe(["b", CPU, "b"], Scrapers.TOKEN)
    assert one == describe([CPU, "b"], Scrapers.TOKEN)
    assert one != describe([CPU, "b"], Scrapers.CLIENT_CA)
    assert one == b'{"metrics":["b","l4proxy_agent_cpu"],"scrapers":"token","telemetry":1}'
    assert json.loads(one)["metrics"] == ["b", CPU]
