"""A `scaling` block alone in a file, as `l4proxy simulate` reads it."""

from pydantic import ValidationError

from l4proxy.config.document import read_document
from l4proxy.config.load import model_mistakes
from l4proxy.config.mistakes import ConfigError, Mistake
from l4proxy.config.scaling import ScalingSettings
from l4proxy.scaling.policy import BadPolicy, ScalingPolicy


def read_policy(source: str, block: str, slots: int | None) -> ScalingPolicy:
    """Return the policy of a text that holds a `scaling` block.

    Raises:
        ConfigError: It is none. It carries every mistake that was found.

    """
    document = read_document(block, source)
    try:
        settings = ScalingSettings.model_validate(document.value)
        policy = settings.policy(slots)
    except ValidationError as error:
        raise ConfigError([*document.mistakes, *model_mistakes(document, error)]) from error
    except BadPolicy as error:
        raise ConfigError([Mistake(source, 0, 0, "", str(error))]) from error
    if document.mistakes:
        raise ConfigError(document.mistakes)
    return policy
