"""Choosing the scale by how well objects fit mapped landslides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from landslip.objects.scale.fitness import ObjectFitness, object_fitness
from landslip.progress import SILENT, Progress

DEFAULT_SCALES = tuple(float(round(5 * 2 ** (k / 2), 1)) for k in range(13))
"""5, 7.1, 10 … 320: each √2 times the one before, for layers that are mapped to 0 … 255."""


@dataclass(frozen=True)
class ScaleSearch:
    """What a search over scales found.

    Parameters
    ----------
    scale
        The scale of the greatest OFI (of equals the smallest).
    scales
        Scales tried, increasing.
    fitness
        One per scale.
    objects
        Number of objects per scale.
    """

    scale: float
    scales: tuple[float, ...]
    fitness: tuple[ObjectFitness, ...]
    objects: tuple[int, ...]

    @property
    def best(self) -> ObjectFitness:
        """Fitness at the chosen scale."""
        return self.fitness[self.scales.index(self.scale)]

    @property
    def at_end(self) -> bool:
        """Whether the peak lies at an end of the grid, so that a wider grid might find a better scale."""
        return self.scale in (self.scales[0], self.scales[-1])

    def to_dict(self) -> dict[str, Any]:
        """Return the curves as JSON types."""
        return {
            "scale": self.scale,
            "scales": list(self.scales),
            "objects": list(self.objects),
            **{
                name: [getattr(one, name) for one in self.fitness]
                for name in ("opi", "omi", "ofi", "opi_area", "omi_area", "ofi_area")
            },
            "polygons": self.best.polygons,
        }


def choose_scale(
    image: ArrayLike,
    reference: ArrayLike,
    scales: Sequence[float] | None = None,
    *,
    progress: Progress = SILENT,
    **segment_options: Any,  # noqa: ANN401 - passed on to segment
) -> ScaleSearch:
    """Segment at every scale of a grid and keep the one whose objects fit the polygons best.

    Each scale is segmented directly, as the layers will be: a level of a hierarchy is another segmentation.

    Parameters
    ----------
    image
        ``(bands, rows, cols)``, in the units that will be segmented later.
    reference
        ``(rows, cols)`` whole numbers: 0, or the id of a polygon. Training polygons only.
    scales
        The grid; by default :data:`DEFAULT_SCALES`.
    progress
        Who is told how far it is.
    **segment_options
        Passed to :func:`landslip.objects.segment`: weights, ``valid``, ``regions`` …

    Returns
    -------
    ScaleSearch
        The chosen scale and the curves.

    Raises
    ------
    ConfigError, InputError
        As :func:`landslip.objects.segment` and :func:`landslip.objects.object_fitness`.
    """
    from landslip.objects.segmentation import segment

    grid = tuple(sorted({float(scale) for scale in (scales if scales is not None else DEFAULT_SCALES)}))
    fitness: list[ObjectFitness] = []
    objects: list[int] = []
    with progress.task("choosing the scale", len(grid)) as task:
        for scale in grid:
            labels = segment(image, scale, **segment_options)
            fitness.append(object_fitness(labels, reference))
            objects.append(int(labels.max()))
            task.advance(note=f"scale {scale:g}: OFI {fitness[-1].ofi:.3f}")
    best = int(np.argmax([one.ofi for one in fitness]))
    return ScaleSearch(grid[best], grid, tuple(fitness), tuple(objects))
