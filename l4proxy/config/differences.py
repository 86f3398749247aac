"""Where two configurations differ: what a reload tells of what it has changed."""

from l4proxy.config.document import path_text
from l4proxy.config.model import Config


def differences(old: Config, new: Config) -> tuple[str, ...]:
    """Return the keys whose values differ, in the configuration's order; of `pools`, each pool.

    What a key names (a policy, a key, a certificate) is not looked into: a file has no value here.
    """
    found = list[str]()
    for name, field in Config.model_fields.items():
        before: object = getattr(old, name)
        after: object = getattr(new, name)
        if before == after:
            continue
        if name != "pools":
            found.append(field.alias or name)
            continue
        pools = dict.fromkeys((*new.pools, *old.pools))
        changed = (pool for pool in pools if old.pools.get(pool) != new.pools.get(pool))
        found += (path_text(("pools", pool)) for pool in changed)
    return tuple(found)
