"""Judges evidence: is this the enclave that we think it is?

The package takes a TEE's evidence and an operator's policy and says, with a reason for each no,
whether the one meets the other. It is pure: bytes and a time come in, a verdict goes out.

Three questions stay apart. A kind of TEE *verifies*: is it genuine? The policy *appraises*: is it
acceptable? The binding asks: is it for this key, and for this connection? `judge` puts them in that
order, and accepts only when every check that the policy asks for was made and passed:

    kinds = register(built_in_kinds())
    policy = read_policy(yaml.safe_load(text), kinds, read_file)
    result = judge(parse_cmw(answer), policy, kinds, Expectation(spki=key, exporter=value), now)
"""

from attestation.agent_claims import (
    AgentClaims,
    Claim,
    KeyOrigin,
    TicketKeys,
    commit_ticket_names,
    parse_agent_claims,
)
from attestation.certificate import (
    CMW_EXTENSION,
    AttestedKey,
    evidence_extension,
    read_certificate,
)
from attestation.checks import Check, Outcome, failed, first_failure, not_made, passed
from attestation.claims import Claims
from attestation.claims_buffer import ClaimsBuffer, build_claims_buffer, parse_claims_buffer
from attestation.cmw import encode_cmw, parse_cmw
from attestation.errors import AttestationError, MalformedEvidence, PolicyError
from attestation.evidence import Evidence, EvidenceKind, MeasurementSet, Verified
from attestation.expectation import EXPORTER, EXPORTER_LABEL, Expectation
from attestation.kinds import built_in_kinds, register
from attestation.manifest import Difference, Manifest, diff, parse_manifest
from attestation.policy import (
    Binding,
    Freshness,
    FreshnessMode,
    Kinds,
    ManifestDemand,
    OwnershipDemand,
    Policy,
    read_policy,
)
from attestation.report import Json, as_document, as_lines
from attestation.request import Request, for_connection, in_report_data, in_user_data
from attestation.simulated import QUOTE_SECONDS
from attestation.simulated_tee import SimulatedTee
from attestation.verdict import AttestationResult, judge, verify
from attestation.wishes import OnSwitch, Reattest, Strangers, Wishes

__all__ = [
    "CMW_EXTENSION",
    "EXPORTER",
    "EXPORTER_LABEL",
    "QUOTE_SECONDS",
    "AgentClaims",
    "AttestationError",
    "AttestationResult",
    "AttestedKey",
    "Binding",
    "Check",
    "Claim",
    "Claims",
    "ClaimsBuffer",
    "Difference",
    "Evidence",
    "EvidenceKind",
    "Expectation",
    "Freshness",
    "FreshnessMode",
    "Json",
    "KeyOrigin",
    "Kinds",
    "MalformedEvidence",
    "Manifest",
    "ManifestDemand",
    "MeasurementSet",
    "OnSwitch",
    "Outcome",
    "OwnershipDemand",
    "Policy",
    "PolicyError",
    "Reattest",
    "Request",
    "SimulatedTee",
    "Strangers",
    "TicketKeys",
    "Verified",
    "Wishes",
    "as_document",
    "as_lines",
    "build_claims_buffer",
    "built_in_kinds",
    "commit_ticket_names",
    "diff",
    "encode_cmw",
    "evidence_extension",
    "failed",
    "first_failure",
    "for_connection",
    "in_report_data",
    "in_user_data",
    "judge",
    "not_made",
    "parse_agent_claims",
    "parse_claims_buffer",
    "parse_cmw",
    "parse_manifest",
    "passed",
    "read_certificate",
    "read_policy",
    "register",
    "verify",
]
