"""A synthetic event in place of real data: raw inputs as a user has them, and the truth beside them.

Never used to claim how well a model does on real landslides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from landslip.simulate.config import SimulateConfig

if TYPE_CHECKING:
    from landslip.simulate.event import SimulatedEvent, simulate_event

__all__ = ["SimulateConfig", "SimulatedEvent", "simulate_event"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a function or a class
    """Import what simulates, and with it the geodata libraries, when it is asked for: the law of areas needs none."""
    if name in ("SimulatedEvent", "simulate_event"):
        import importlib

        return getattr(importlib.import_module("landslip.simulate.event"), name)
    message = f"module 'landslip.simulate' has no attribute {name!r}"
    raise AttributeError(message)
