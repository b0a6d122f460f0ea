"""From a trained run and a scene to landslides on a map: probability, polygons, attributes, files.

Memory does not grow with the scene: everything goes by bands of rows, and long work leaves parts behind from
which it can be resumed. Nothing here trains, and nothing here changes a scene.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from landslip.mapping.config import MapConfig

if TYPE_CHECKING:
    from landslip.mapping.run import map_scene, predict_scene

__all__ = ["MapConfig", "map_scene", "predict_scene"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a function
    """Import what predicts, and with it PyTorch, when it is asked for: settings alone come at once."""
    if name in ("map_scene", "predict_scene"):
        return getattr(importlib.import_module("landslip.mapping.run"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
