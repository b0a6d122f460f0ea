"""What holds for all tests."""

from hypothesis import settings

# No deadline: on a machine that others use too, the time of a single example says nothing.
settings.register_profile("landslip", deadline=None)
settings.load_profile("landslip")
