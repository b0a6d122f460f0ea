"""Objects: multiresolution segmentation, the choice of its scale, and what is known of each object.

Names are loaded when they are asked for: means and fitness are numpy alone, and only segmenting imports
the compiled kernels.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landslip.objects.disk.raster import RasterSegmentation, segment_raster
    from landslip.objects.kernels.memory import give_back
    from landslip.objects.means import object_means
    from landslip.objects.scale.curves import plot_scales
    from landslip.objects.scale.fitness import ObjectFitness, object_fitness
    from landslip.objects.scale.supervised import ScaleSearch, choose_scale
    from landslip.objects.scale.unsupervised import UnsupervisedSearch, choose_scale_unsupervised
    from landslip.objects.segmentation import segment, segment_hierarchy
    from landslip.objects.table import object_polygons, object_table, write_objects

_HOME = {
    "ObjectFitness": "scale.fitness",
    "RasterSegmentation": "disk.raster",
    "ScaleSearch": "scale.supervised",
    "UnsupervisedSearch": "scale.unsupervised",
    "choose_scale": "scale.supervised",
    "choose_scale_unsupervised": "scale.unsupervised",
    "give_back": "kernels.memory",
    "object_fitness": "scale.fitness",
    "object_means": "means",
    "object_polygons": "table",
    "object_table": "table",
    "plot_scales": "scale.curves",
    "segment": "segmentation",
    "segment_hierarchy": "segmentation",
    "segment_raster": "disk.raster",
    "write_objects": "table",
}

__all__ = [
    "ObjectFitness",
    "RasterSegmentation",
    "ScaleSearch",
    "UnsupervisedSearch",
    "choose_scale",
    "choose_scale_unsupervised",
    "give_back",
    "object_fitness",
    "object_means",
    "object_polygons",
    "object_table",
    "plot_scales",
    "segment",
    "segment_hierarchy",
    "segment_raster",
    "write_objects",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    if name not in _HOME:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
