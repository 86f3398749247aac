"""Why there is no connection: one error, a label for each fault, the verdict where there is one."""

from enum import StrEnum

from attestation import AttestationResult, Json, as_document


class Fault(StrEnum):
    """What went wrong; stable labels."""

    UNREACHABLE = "unreachable"
    """Nobody answers there, or the name leads nowhere."""

    TIMEOUT = "timeout"
    """Connecting and proving have taken too long."""

    TLS_FAILED = "tls_failed"
    """The handshake broke off, the key is not that of the certificate, or the line was cut."""

    NO_PROOF = "no_proof"
    """It does not answer as an agent does, or says that it has no evidence."""

    MALFORMED = "malformed_evidence"
    """What it sent in place of evidence is none, or longer than evidence can be."""

    REFUSED = "refused"
    """The evidence does not meet the policy; the verdict says where."""

    SWITCHED = "switched"
    """Another instance answers, and the rules refuse that."""

    STRANGER = "stranger"
    """None of the set answers, however genuine, and the rules refuse that."""


class NotAttested(ConnectionError):
    """No connection was made, and nothing of the application was sent.

    Attributes:
        fault: What went wrong.
        detail: What was found, and what was expected.
        result: The verdict with all its checks; None if it did not come to one.

    """

    def __init__(self, fault: Fault, detail: str, result: AttestationResult | None = None) -> None:
        super().__init__(f"{fault}: {detail}" if detail else fault.value)
        self.fault = fault
        self.detail = detail
        self.result = result

    def as_document(self) -> dict[str, Json]:
        """Return it as a JSON document, the verdict included."""
        return {
            "fault": self.fault.value,
            "detail": self.detail,
            "attestation": None if self.result is None else as_document(self.result),
        }
