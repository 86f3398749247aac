"""Orders and settings for the tests of actuators."""

from typing import TypeVar

from pydantic import BaseModel

from l4proxy.actuators import Order, Refusal, Victim
from l4proxy.config.document import read_document
from l4proxy.scaling.decision import Term, TermName
from routing import Address, BackendName, PoolName

POOL = PoolName("app")
NOW = 1_800_000_000.25
A = Victim(BackendName("a"), Address("10.0.0.1", 443), 3)
B = Victim(BackendName("b"), Address("fd00::1", 8443), 0)
ORDER = Order(
    POOL,
    7,
    NOW,
    current=4,
    desired=3,
    drain=(A,),
    release=(B,),
    evict=(B,),
    terms=(Term(TermName.SESSIONS, 3, "280 sessions, 100 a backend"),),
)
REFUSAL = Refusal(POOL, A.name, A.address, NOW, "measurement", "found 11, expected 22")

Settings = TypeVar("Settings", bound=BaseModel)


def order(desired: int, number: int = 1) -> Order:
    """An order that says only how many."""
    return Order(POOL, number, NOW, current=2, desired=desired)


def read(model: type[Settings], text: str) -> Settings:
    """Settings as a configuration has them."""
    return model.model_validate(read_document(text, "settings").value)
