"""The recipe: the layers that a model eats, with everything needed to rebuild them on another scene.

Pure specification, no pixels. It is fitted on training pixels (:mod:`landslip.layers.fit`), travels
inside the model, and is followed by :mod:`landslip.layers.build` on any scene.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal, Self

from pydantic import Field, model_validator

from landslip.config import Config
from landslip.errors import LayerError


class LayerStatistics(Config):
    """Statistics of one layer over valid training pixels, in the layer's own unit."""

    mean: float
    std: float = Field(gt=0)
    low: float
    """1st percentile: with ``high`` the range that the model has seen."""
    high: float
    """99th percentile."""


class ObjectRecipe(Config):
    """How objects are segmented for the ``*_obj`` layers.

    Each input layer is mapped linearly so that ``low`` becomes 0 and ``high`` 255, unclipped; then
    :func:`landslip.objects.segment` runs with these weights.
    """

    inputs: tuple[str, ...]
    low: tuple[float, ...]
    """2nd percentile of each input over training pixels."""
    high: tuple[float, ...]
    """98th percentile."""
    scale: float = Field(gt=0)
    color: float = Field(0.9, ge=0, le=1)
    compactness: float = Field(0.5, ge=0, le=1)
    band_weights: tuple[float, ...] | None = None
    chosen_by: Literal["fitness", "variance-moran", "given"] = "given"

    @model_validator(mode="after")
    def _same_lengths(self) -> Self:
        if not len(self.inputs) == len(self.low) == len(self.high):
            message = "inputs, low and high must have the same length"
            raise ValueError(message)
        return self


def require_distinct(layers: Iterable[str]) -> None:
    """Refuse a layer that is named twice.

    Raises
    ------
    LayerError
        Names it.
    """
    counts = Counter(layers)
    twice = next((name for name, count in counts.items() if count > 1), None)
    if twice is not None:
        message = f"layer {twice!r} is named twice; take one of them out of the layers"
        raise LayerError(message)


class Recipe(Config):
    """Ordered layers with their statistics, and the object segmentation where a layer needs it."""

    layers: tuple[str, ...] = Field(min_length=1)
    statistics: dict[str, LayerStatistics]
    objects: ObjectRecipe | None = None
    formulas: dict[str, str] = Field(default_factory=dict)
    """Formula of each computed layer, for the record."""
    resolution_m: float = Field(10.0, gt=0)
    scaling: Literal["reflectance", "per-patch-maximum", "random-scale"] = "reflectance"
    """Unit of the image layers in training; ``per-patch-maximum`` for patches scaled each by its own."""
    matched: bool = False
    """Whether the image layers of every patch or scene are brought to the mean and deviation of the training pixels
    (``statistics``) before all else (:mod:`landslip.data.matching`)."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = [name for name in self.layers if name not in self.statistics]
        if missing:
            message = f"statistics missing for layers: {', '.join(missing)}"
            raise ValueError(message)
        if len(set(self.layers)) != len(self.layers):
            message = "a layer is listed twice"
            raise ValueError(message)
        if any(name.endswith("_obj") for name in self.layers) and self.objects is None:
            message = "object layers need the objects entry"
            raise ValueError(message)
        return self

    def select(self, layers: tuple[str, ...]) -> Recipe:
        """Recipe of some of the layers, in the order given.

        Raises
        ------
        LayerError
            A layer is not part of this recipe, or named twice.
        """
        missing = [name for name in layers if name not in self.statistics]
        if missing:
            message = f"layer {missing[0]!r} is not in the data; there are: {', '.join(self.layers)}"
            raise LayerError(message)
        require_distinct(layers)
        return self.model_copy(
            update={
                "layers": tuple(layers),
                "statistics": {name: self.statistics[name] for name in layers},
                "objects": self.objects if any(name.endswith("_obj") for name in layers) else None,
                "formulas": {name: text for name, text in self.formulas.items() if name in layers},
            }
        )

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each layer, in order."""
        return tuple(self.statistics[name].mean for name in self.layers)

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each layer, in order."""
        return tuple(self.statistics[name].std for name in self.layers)
