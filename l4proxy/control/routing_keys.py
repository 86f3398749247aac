"""The routing keys that the configuration names, read from their files.

They are secrets of the control plane: nothing here, and nothing that is shown, says more of a key
than where it is kept.
"""

from collections.abc import Iterator
from pathlib import Path

from l4proxy.config import Config, ConfigError
from l4proxy.config.mistakes import Mistake
from l4proxy.routable import RoutingKey, RoutingKeys
from l4proxy.secret_file import BadSecretFile
from routing import PoolName


def load_routing_keys(path: Path, config: Config) -> dict[PoolName, RoutingKeys]:
    """Return the routing keys of each pool that has any.

    Args:
        path: Of the configuration, for messages.
        config: Names the files.

    Raises:
        ConfigError: A file cannot be read, others may read it too, or it holds no routing key. It
            carries every mistake found.
    """
    mistakes = list[Mistake]()
    keys = dict[PoolName, RoutingKeys]()
    for pool, number, file in _files(config):
        try:
            key = RoutingKey.load(file)
        except (BadSecretFile, OSError) as error:
            why = f"{file}: {error.strerror}" if isinstance(error, OSError) else str(error)
            where = f"pools.{pool}.sticky.routable_keys[{number}]"
            mistakes.append(Mistake(str(path), 0, 0, where, why))
        else:
            known = keys.get(pool)
            keys[pool] = RoutingKeys((*(known.keys if known else ()), key))
    if mistakes:
        raise ConfigError(mistakes)
    return keys


def _files(config: Config) -> Iterator[tuple[PoolName, int, Path]]:
    for name, pool in config.pools.items():
        if pool.sticky is not None:
            for number, file in enumerate(pool.sticky.routable_keys):
                yield name, number, file
