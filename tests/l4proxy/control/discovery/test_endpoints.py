"""EndpointSlices are read as the API's documents say, and believed no further."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l4proxy.control.discovery import endpoints
from l4proxy.control.discovery.endpoints import Endpoints, read_endpoints
from l4proxy.control.discovery.screen import Unfit
from l4proxy.control.found import Found, Phase
from l4proxy.kubernetes.objects import Object
from routing import Address, BackendName


def endpoint(ip: str, pod: str | None = None, **conditions: object) -> dict[str, object]:
    """An endpoint of a slice."""
    found: dict[str, object] = {"addresses": [ip], "conditions": conditions}
    return found if pod is None else {**found, "targetRef": {"kind": "Pod", "name": pod}}


def slice_(*found: object, family: str = "IPv4", ports: object = None) -> Object:
    """A slice, whose port `https` is 8443 unless it says otherwise."""
    usual = [{"name": "metrics", "port": 9}, {"name": "https", "protocol": "TCP", "port": 8443}]
    return {
        "addressType": family,
        "endpoints": list(found),
        "ports": usual if ports is None else ports,
    }


def read(*slices: Object) -> Endpoints:
    """What they say of the port `https`."""
    return read_endpoints(slices, "https")


def at(ip: str, name: str | None = None, phase: Phase = Phase.ELIGIBLE) -> Found:
    """What is found."""
    return Found(Address(ip, 8443), None if name is None else BackendName(name), phase)


@pytest.mark.parametrize(
    ("conditions", "phase"),
    [
        ({}, Phase.ELIGIBLE),
        ({"ready": True, "serving": True, "terminating": False}, Phase.ELIGIBLE),
        ({"ready": None, "serving": None, "terminating": None}, Phase.ELIGIBLE),
        ({"ready": True, "serving": False}, Phase.ELIGIBLE),  # publishNotReadyAddresses
        ({"ready": False, "serving": True, "terminating": False}, Phase.HELD),
        ({"ready": False, "serving": True, "terminating": True}, Phase.DRAINING),
        ({"ready": True, "terminating": True}, Phase.DRAINING),
        ({"ready": False, "serving": False, "terminating": False}, Phase.WAITING),
        ({"ready": False}, Phase.WAITING),
        ({"ready": False, "serving": False, "terminating": True}, None),
        ({"ready": False, "terminating": True}, None),
        ({"ready": "yes", "terminating": "no"}, Phase.ELIGIBLE),
    ],
)
def test_conditions_make_the_phase(conditions: dict[str, object], phase: Phase | None) -> None:
    """What is not said counts as the documents have it; who is gone is not there."""
    expected = () if phase is None else (at("10.0.0.1", "a", phase),)
    assert read(slice_(endpoint("10.0.0.1", "a", **conditions))).found == expected


def test_an_endpoint_without_conditions_is_ready() -> None:
    """As they are optional."""
    assert read(slice_({"addresses": ["10.0.0.1"]})).found == (at("10.0.0.1"),)


def test_slices_are_merged_in_order_of_addresses() -> None:
    """Both families, any number of slices, in any order; each with its own port."""
    slices = [
        slice_(endpoint("10.0.0.9"), endpoint("10.0.0.10", "b")),
        slice_(endpoint("2001:db8::1", "v"), family="IPv6"),
        slice_(endpoint("10.0.0.2"), ports=[{"name": "https", "port": 1}]),
    ]
    expected = (
        Found(Address("10.0.0.2", 1)),
        at("10.0.0.9"),
        at("10.0.0.10", "b"),
        at("2001:db8::1", "v"),
    )
    for _ in range(5):
        random.shuffle(slices)
        assert read(*slices).found == expected


def test_a_pod_is_one_backend() -> None:
    """With an address of each family it is dialled at its IPv4 one."""
    four = slice_(endpoint("10.0.0.1", "a"))
    six = slice_(endpoint("2001:db8::1", "a"), family="IPv6")
    assert read(six, four).found == (at("10.0.0.1", "a"),)
    assert read(six).found == (at("2001:db8::1", "a"),)


def test_of_two_at_one_address_the_better_counts() -> None:
    """While it moves between slices, or when a pod has taken over the address of another."""
    old = endpoint("10.0.0.1", "old", ready=False, serving=True, terminating=True)
    new = endpoint("10.0.0.1", "new", ready=True)
    for order in ((old, new), (new, old)):
        assert read(*(slice_(each) for each in order)).found == (at("10.0.0.1", "new"),)


def test_at_one_address_there_may_be_several() -> None:
    """Each at a port of its own, as enclaves of one machine are."""
    slices = [slice_(endpoint("10.0.0.1"), ports=[{"name": "https", "port": n}]) for n in (2, 1)]
    assert read(*slices).found == tuple(Found(Address("10.0.0.1", n)) for n in (1, 2))


def test_of_two_addresses_of_one_name_the_better_counts() -> None:
    """A pod that was made again has its old name and another address; both may stand there."""
    old = endpoint("10.0.0.1", "e-0", ready=False, serving=True, terminating=True)
    new = endpoint("10.0.0.9", "e-0", ready=True)
    six = slice_(endpoint("2001:db8::1", "e-0", ready=True), family="IPv6")
    for order in ((old, new), (new, old)):
        assert read(six, *(slice_(each) for each in order)).found == (at("10.0.0.9", "e-0"),)


def test_the_order_of_slices_means_nothing() -> None:
    """Of two that may take the same, all balancers take the same."""
    one, two = (slice_(endpoint("10.0.0.1", name)) for name in "ab")
    assert read(one, two) == read(two, one)


def test_only_pods_give_names() -> None:
    """One that is too long, or of something else, is called by its address."""
    other = endpoint("10.0.0.1") | {"targetRef": {"kind": "Node", "name": "n"}}
    long = endpoint("10.0.0.2", "x" * 64)
    odd = endpoint("10.0.0.3", "a/b")
    assert read(slice_(other, long, odd)).found == tuple(at(f"10.0.0.{n}") for n in (1, 2, 3))


def test_a_port_may_be_a_number() -> None:
    """Then each endpoint is dialled there, whatever the slice says."""
    found = read_endpoints([slice_(endpoint("10.0.0.1"), ports=[])], 443)
    assert found.found == (Found(Address("10.0.0.1", 443)),)


@pytest.mark.parametrize(
    "ports",
    [
        [],
        None,
        "x",
        [{"name": "http", "port": 80}],
        [{"port": 80}],
        [{"name": "https", "protocol": "UDP", "port": 80}],
        [{"name": "https", "port": None}],
        [{"name": "https", "port": 0}],
        [{"name": "https", "port": 65_536}],
        [{"name": "https", "port": "443"}],
    ],
)
def test_endpoints_without_the_port_are_left_out(ports: object) -> None:
    """And counted: the Service has no such port, or not for TCP."""
    found = slice_(endpoint("10.0.0.1"), endpoint("10.0.0.2"))
    seen = read({**found, "ports": ports})
    assert (seen.found, seen.portless) == ((), 2)


def test_what_may_not_be_dialled_is_screened() -> None:
    """As with DNS: the loopback only where it is allowed, the metadata service never."""
    found = slice_(endpoint("127.0.0.1"), endpoint("169.254.169.254"), endpoint("0.0.0.0"))  # noqa: S104 - not bound
    seen = read(found)
    assert (seen.found, seen.refused) == (
        (),
        {Unfit.LOOPBACK: 1, Unfit.LINK_LOCAL: 1, Unfit.UNSPECIFIED: 1},
    )
    allowed = read_endpoints([found], "https", allow_loopback=True)
    assert allowed.found == (at("127.0.0.1"),)


def test_a_service_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lowest addresses are taken, and the rest is counted."""
    monkeypatch.setattr(endpoints, "MAX_ENDPOINTS", 2)
    seen = read(slice_(*(endpoint(f"10.0.0.{n}") for n in (3, 1, 2))))
    assert (seen.found, seen.left_out) == ((at("10.0.0.1"), at("10.0.0.2")), 1)


@pytest.mark.parametrize(
    "odd",
    [
        {"addresses": []},
        {"addresses": "10.0.0.1"},
        {"addresses": [7]},
        {"addresses": ["x.example.com"]},
        {"addresses": ["fe80::1%eth0"]},
        {"addresses": ["2001:db8::1"]},
        {"addresses": ["10.0.0.1 "]},
        "x",
        None,
    ],
)
def test_what_is_no_endpoint_is_passed_over(odd: object) -> None:
    """Also an address that is not of the slice's family; the others count."""
    good = endpoint("10.0.0.7")
    assert read(slice_(odd, good)).found == (at("10.0.0.7"),)
    assert read(slice_(odd, good, family="FQDN")).found == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
KEYS = ["addressType", "endpoints", "ports", "addresses", "conditions", "targetRef", "name", "port"]


@settings(max_examples=25)
@given(found=st.dictionaries(st.sampled_from(KEYS), JSON), data=st.data())
def test_no_object_raises(found: dict[str, object], data: st.DataObject) -> None:
    """Whatever the API sends, there is an answer; a real slice with one value replaced, too."""
    text = json.dumps(slice_(endpoint("10.0.0.1", "a", ready=True)))
    whole = json.loads(text)
    place = data.draw(st.sampled_from(["addressType", "endpoints", "ports"]))
    whole[place] = data.draw(JSON | st.lists(st.dictionaries(st.sampled_from(KEYS), JSON)))
    for each in (found, whole):
        for one in read(each).found:
            assert 1 <= one.address.port <= 65_535
