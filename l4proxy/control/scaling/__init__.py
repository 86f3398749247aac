"""Scaling at work: what is known goes into the recommender, what it decides is carried out.

    lives      what is remembered of each backend: ordered, seen, ready, lost
    observe    from the supervisor's knowledge to the recommender's observation
    rounds     what a round came to, for the log, the API and metrics
    orders     from decisions to an actuator that may be slow
    actuators  those that the configuration chooses
    loads      the load that backends claim, for `balance: load`
    scaler     one pool, round by round
    loop       all pools

Who drains and who rests is the balancer's own part and always done; how many backends there are is
up to the pool's actuator, or to a person who reads the number.
"""

from l4proxy.control.scaling.actuators import ChosenActuators, Workshop
from l4proxy.control.scaling.loop import Scaling
from l4proxy.control.scaling.observe import Claims, Ground, Moment
from l4proxy.control.scaling.rounds import Kind, Round, Rounds
from l4proxy.control.scaling.scaler import Scaler

__all__ = [
    "ChosenActuators",
    "Claims",
    "Ground",
    "Kind",
    "Moment",
    "Round",
    "Rounds",
    "Scaler",
    "Scaling",
    "Workshop",
]
