"""A thousand clients that come back five times, through two balancers that share nothing."""

from collections.abc import Iterator

from stickiness.crowd import VERSIONS, Crowd
from stickiness.figures import Share
from stickiness.stage import BALANCERS, OURS, Stage
from tests.e2e.enclaves import enclaves, new_key

CLIENTS = 1_000
RETURNS = 5

KEYS = {"nginx's own keys": lambda: None, "key files": new_key}
"""Where each enclave's ticket key comes from."""


def measure(stage: Stage) -> Iterator[Share]:
    """Three enclaves, with keys that nginx makes up and with key files; both TLS versions.

    Where a key comes from is nothing to HAProxy, which is asked once.
    """
    for keys, make in KEYS.items():
        with enclaves(stage.folder("enclaves"), stage.own, [make() for _ in range(3)]) as there:
            for balancer, start in BALANCERS.items():
                if balancer != OURS and make() is not None:
                    continue
                with start(stage, there) as addresses:
                    for version, number in VERSIONS.items():
                        crowd = Crowd.of(stage, [number], stage.some(CLIENTS))
                        for _ in range(1 + RETURNS):
                            crowd.visit(addresses)
                        target = 1.0 if balancer == OURS else None
                        label = f"{balancer}, {version}, {keys}"
                        yield crowd.resumed(f"{label}: resumptions accepted", target)
                        yield crowd.at_home(f"{label}: on the first enclave", target)
