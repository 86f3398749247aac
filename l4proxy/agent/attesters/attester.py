"""What the agent asks of every TEE."""

from typing import Protocol

from attestation import Evidence, Request


class TeeError(OSError):
    """The TEE is not there, or does not do what it is asked."""


class Attester(Protocol):
    """A TEE as the program inside sees it. Its calls block, and only one runs at a time."""

    @property
    def signs_user_data(self) -> bool:
        """Whether it signs some hundred bytes and a nonce (Nitro), or 64 bytes of report data."""
        ...

    def seal(self, manifest: bytes | None) -> None:
        """Put the manifest's digest where code that is loaded later cannot write.

        Without a manifest that place is closed all the same, so that nobody claims one later. Done
        before it is called again, it stays as it is.

        Raises:
            TeeError: The place holds something else, or cannot be written.
        """
        ...

    def quote(self, request: Request) -> Evidence:
        """Return evidence that answers a request, with all that travels beside it.

        Raises:
            TeeError: There is none to be had.
        """
        ...
