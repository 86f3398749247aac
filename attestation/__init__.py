"""Judges evidence: is this the enclave that we think it is?

The package takes a TEE's evidence and an operator's policy and says, with a reason for each no,
whether the one meets the other. It is pure: bytes and a time come in, a verdict goes out.

This version holds no verifier yet. So that nobody is trusted by omission, a configuration that
asks for attestation is refused when it is read, never accepted and ignored.
"""

__all__: list[str] = []
