"""What the enclaves of a demo must prove, to the balancer and to every client alike.

The TEE is simulated: it proves nothing, and says so. What a demo shows is what becomes of evidence,
good and bad.
"""

from pathlib import Path

import yaml

from attestation import SimulatedTee

IMAGE = "l4proxy demo, the image that was reviewed"
"""What the policy accepts."""

OTHER_IMAGE = "l4proxy demo, another image"
"""What the wrong enclave runs."""

_FILE = "policy.yaml"


def write_policy(folder: Path) -> Path:
    """Write the policy into a folder, and return where it is."""
    registers = SimulatedTee(IMAGE.encode()).registers()
    found = {
        "accept": [{"simulated": {"pcrs": {n: registers[n].hex() for n in (0, 1, 2)}}}],
        "allow_simulated": True,
        "freshness": {"mode": "exporter"},
        "ticket_keys": "inside",
    }
    path = folder / _FILE
    path.write_text(yaml.safe_dump(found), "utf-8")
    return path
