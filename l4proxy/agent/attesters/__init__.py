"""Where evidence comes from: the device of a TEE, or a simulation of one."""

from l4proxy.agent.attesters.attester import Attester, TeeError
from l4proxy.agent.attesters.configfs_tsm import ConfigfsTsm
from l4proxy.agent.attesters.nsm import Nsm
from l4proxy.agent.attesters.simulated import Simulated

__all__ = ["Attester", "ConfigfsTsm", "Nsm", "Simulated", "TeeError"]
