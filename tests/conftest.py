"""What holds for every test."""

from hypothesis import HealthCheck, settings

# No test judges by the clock: a machine that is busy with something else is no fault of the code.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")
