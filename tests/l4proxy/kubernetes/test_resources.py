"""Paths of the API, as its documents have them."""

from l4proxy.kubernetes.resources import PODS, Resource


def test_paths_are_those_of_the_api() -> None:
    """The core has a root of its own; a subresource stands behind the name."""
    assert PODS.path("default") == "/api/v1/namespaces/default/pods"
    assert PODS.path("default", "a.b-c") == "/api/v1/namespaces/default/pods/a.b-c"
    deployments = Resource("apps", "v1", "deployments")
    assert deployments.path("x", "d", "scale") == "/apis/apps/v1/namespaces/x/deployments/d/scale"


def test_no_name_leaves_its_step() -> None:
    """Whatever it holds it is one step of the path."""
    odd = Resource("g/../x", "v1", "p?q")
    assert odd.path("a/b", "..#") == "/apis/g%2F..%2Fx/v1/namespaces/a%2Fb/p%3Fq/..%23"
