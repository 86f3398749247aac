"""A TEE that does not exist, and takes its time as a real one does."""

import time

from attestation import QUOTE_SECONDS, Evidence, Request, SimulatedTee
from l4proxy.agent.attesters.attester import TeeError


class Simulated:
    """A simulated TEE; its evidence proves nothing, and says so."""

    def __init__(self, image: bytes) -> None:
        """Start one that measures `image`."""
        self._image = image
        self._tee: SimulatedTee | None = None

    @property
    def signs_user_data(self) -> bool:
        """True, as with Nitro, whose documents it imitates."""
        return True

    def seal(self, manifest: bytes | None) -> None:
        """Extend and lock the simulated PCR16.

        Raises:
            TeeError: It holds another manifest.

        """
        if self._tee is not None and self._tee.manifest != manifest:
            raise TeeError("simulated PCR16: it is locked, and holds another manifest")
        self._tee = self._tee or SimulatedTee(self._image, manifest)

    def quote(self, request: Request) -> Evidence:
        """Return simulated evidence, after 50 ms.

        Raises:
            TeeError: It was not sealed.

        """
        if self._tee is None:
            raise TeeError("simulated TEE: found no seal, expected one before the first quote")
        time.sleep(QUOTE_SECONDS)
        return self._tee.evidence(request, time.time())
