"""Objects: multiresolution segmentation, the choice of its scale, and what is known of each object.

Names are loaded when they are asked for: means and fitness are numpy alone, and only segmenting imports
the compiled kernels.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landslip.objects.fitness import ObjectFitness, object_fitness
    from landslip.objects.means import object_means
    from landslip.objects.scale import ScaleSearch, choose_scale
    from landslip.objects.segmentation import segment, segment_hierarchy

_HOME = {
    "ObjectFitness": "fitness",
    "object_fitness": "fitness",
    "object_means": "means",
    "ScaleSearch": "scale",
    "choose_scale": "scale",
    "segment": "segmentation",
    "segment_hierarchy": "segmentation",
}

__all__ = [
    "ObjectFitness",
    "ScaleSearch",
    "choose_scale",
    "object_fitness",
    "object_means",
    "segment",
    "segment_hierarchy",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    if name not in _HOME:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
