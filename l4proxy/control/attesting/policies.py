"""The policies that a configuration names, read from their files: all of them, or every mistake."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from attestation import AttestationError, FreshnessMode, Kinds, Policy
from l4proxy.config import AttestationSettings, Config, ConfigError, EvidenceSource
from l4proxy.config.mistakes import Mistake
from l4proxy.plugins import installed_kinds
from l4proxy.policy_file import load_policy
from routing import PoolName

_ON_CONNECTION: Final = frozenset({FreshnessMode.EXPORTER, FreshnessMode.NONCE})


@dataclass(frozen=True, slots=True)
class Policies:
    """What the pools of a configuration ask for.

    Attributes:
        kinds: The kinds of TEE that they were read with.
        pools: The policy of each pool that is attested.
    """

    kinds: Kinds
    pools: Mapping[PoolName, Policy]


def load_policies(path: Path, config: Config) -> Policies:
    """Return the policies of a configuration.

    Args:
        path: Of the configuration: where policies with relative paths begin.
        config: Names the files.

    Raises:
        ConfigError: A policy cannot be read, or asks for what its pool's evidence cannot show. It
            carries every mistake found.
    """
    if all(pool.attestation is None for pool in config.pools.values()):
        return Policies({}, {})
    try:
        kinds = installed_kinds()
    except AttestationError as error:
        raise ConfigError([Mistake(str(path), 0, 0, "", str(error))]) from error
    mistakes = list[Mistake]()
    pools = dict[PoolName, Policy]()
    for name, pool in config.pools.items():
        if pool.attestation is None:
            continue
        try:
            pools[name] = load_policy(path.parent / pool.attestation.policy, kinds)
        except ConfigError as error:
            mistakes += error.mistakes
        else:
            mistakes += _contradictions(path, name, pool.attestation, pools[name])
    if mistakes:
        raise ConfigError(mistakes)
    return Policies(kinds, pools)


def _contradictions(
    path: Path, name: PoolName, asked: AttestationSettings, policy: Policy
) -> list[Mistake]:
    """A certificate was made before anybody connected: it can answer no question, name no line."""
    mode = policy.freshness.mode
    if asked.evidence is not EvidenceSource.CERTIFICATE or mode not in _ON_CONNECTION:
        return []
    message = (
        f"found certificate, expected well-known: {asked.policy} asks for freshness by {mode}, "
        "which evidence in a certificate cannot show; or say `freshness: {max_age: …}` there"
    )
    return [Mistake(str(path), 0, 0, f"pools.{name}.attestation.evidence", message)]
