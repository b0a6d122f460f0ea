"""A synthetic event in place of real data: raw inputs as a user has them, and the truth beside them.

Never used to claim how well a model does on real landslides.
"""

from landslip.simulate.config import SimulateConfig
from landslip.simulate.event import SimulatedEvent, simulate_event

__all__ = ["SimulateConfig", "SimulatedEvent", "simulate_event"]
