"""The vendors' roots, each pinned by its SHA-256: the certificate itself arrives with the evidence.

A root that evidence brings counts only if its fingerprint stands here, or in the set that an
operator names instead: another AWS partition has another root.
"""

from typing import Final

AWS_NITRO: Final = frozenset(
    {bytes.fromhex("641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b")}
)
"""Root G1 of AWS Nitro Enclaves in the commercial partition, 2019 to 2049."""

AMD_ARK: Final = frozenset(
    {
        bytes.fromhex("69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd"),
        bytes.fromhex("4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1"),
        bytes.fromhex("1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a"),
    }
)
"""AMD's root keys of the processors with SEV-SNP: Milan, Genoa and Turin, in this order."""

INTEL_SGX: Final = frozenset(
    {bytes.fromhex("44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3")}
)
"""Intel's SGX Root CA, to which TDX quotes chain too, 2018 to 2049."""
