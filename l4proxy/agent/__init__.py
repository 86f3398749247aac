"""The agent inside the enclave: the TLS key, its certificate, and evidence for both.

It is code that is measured, so it is small: the standard library, `cryptography`, `cbor2`, `yaml`
and the package `attestation`.
"""
