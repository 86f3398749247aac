"""Both ends of the promise on one machine: agents, a real daemon, clients that check, intruders."""
