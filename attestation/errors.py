"""What attestation raises; a verdict on evidence is never an exception, but a list of checks."""


class AttestationError(ValueError):
    """The root of what this package raises."""


class MalformedEvidence(AttestationError):
    """Bytes are not what their kind says: whose fault, what was found, what was expected."""


class PolicyError(AttestationError):
    """A policy cannot be used: the operator's fault.

    Attributes:
        path: Keys and indices that lead to the mistake, from the top of the policy.
        found: What stands there.
        expected: What may stand there.

    """

    def __init__(self, path: tuple[str | int, ...], found: str, expected: str) -> None:
        self.path = path
        self.found = found
        self.expected = expected
        where = ".".join(map(str, path)) or "the policy"
        super().__init__(f"{where}: found {found}, expected {expected}")
