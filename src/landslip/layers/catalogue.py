"""The layers that exist: what each is made from, by which formula, and how it turns when the tile turns.

A new index is one line in :data:`INDICES`. Prefixes and suffixes combine: ``pre_ndvi`` is the index of the
pre-event image, ``d_ndvi`` the difference after − before, ``ndvi_obj`` its mean over each object.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landslip.errors import LayerError

Bands = Mapping[str, NDArray[np.float32]]
"""Stored layers by name, each ``(rows, cols)`` float32 with NaN where invalid."""

Source = Literal["image", "dem", "pre"]
Turning = Literal["scalar", "east", "north", "fixed"]
"""What a layer does when the tile is flipped or rotated: nothing (scalar), it is the east or north
component of a vector, or it cannot be turned (``fixed``: light from a fixed direction)."""

IMAGE_BANDS = ("blue", "green", "red", "nir", "re1", "re2", "re3", "nira", "swir1", "swir2")
"""Sentinel-2 bands 2, 3, 4, 8 and the 20 m bands 5, 6, 7, 8A, 11, 12; reflectance."""

TERRAIN: dict[str, Turning] = {
    "elevation": "scalar",
    "slope": "scalar",
    "aspect_sin": "east",
    "aspect_cos": "north",
    "curvature": "scalar",
    "relief": "scalar",
    "hillshade": "fixed",
}
"""Layers from the elevation model, stored with the scene; sine and cosine of the aspect (clockwise from
north) are the east and north components of the downslope direction."""


@dataclass(frozen=True)
class Index:
    """A spectral index: its bands, its formula in words, and the function."""

    needs: tuple[str, ...]
    formula: str
    function: Callable[..., NDArray[np.float32]]


def _normalised_difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    total = a + b
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (a - b) / total, np.float32(np.nan)).astype(np.float32)


def _mean(*bands: NDArray[np.float32]) -> NDArray[np.float32]:
    return (sum(bands[1:], start=bands[0]) / np.float32(len(bands))).astype(np.float32)


INDICES: dict[str, Index] = {
    # Rouse et al. (1974), https://ntrs.nasa.gov/citations/19740022614
    "ndvi": Index(("nir", "red"), "(nir - red) / (nir + red)", _normalised_difference),
    # Tucker (1979), doi:10.1016/0034-4257(79)90013-0: the visible counterpart where there is no near-infrared
    "ngrdi": Index(("green", "red"), "(green - red) / (green + red)", _normalised_difference),
    # McFeeters (1996), doi:10.1080/01431169608948714
    "ndwi": Index(("green", "nir"), "(green - nir) / (green + nir)", _normalised_difference),
    "brightness": Index(("blue", "green", "red"), "(blue + green + red) / 3", _mean),
}


@dataclass(frozen=True)
class LayerSpec:
    """What is known of a layer without any pixel.

    Parameters
    ----------
    name
        Its name.
    sources
        Where its validity comes from.
    needs
        Stored layers it is computed from.
    turning
        How it behaves under flips and rotations.
    formula
        In words; empty for stored layers.
    of
        For object means, the layer that is averaged; else empty.
    """

    name: str
    sources: tuple[Source, ...]
    needs: tuple[str, ...]
    turning: Turning = "scalar"
    formula: str = ""
    of: str = ""


def describe(name: str) -> LayerSpec:
    """Look up a layer.

    Raises
    ------
    LayerError
        There is no such layer; the nearest known name is given.
    """
    spec = _describe(name)
    if spec is None:
        near = difflib.get_close_matches(name, known_layers(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known_layers())}, pre_…, d_…, …_obj"
        message = f"unknown layer {name!r}; {hint}"
        raise LayerError(message)
    return spec


def follows_image_scale(name: str) -> bool:
    """Whether a layer is multiplied by k when the images are: bands, their means, differences, not ratios."""
    plain = name.removesuffix("_obj").removeprefix("pre_").removeprefix("d_")
    return plain in IMAGE_BANDS or plain == "brightness"


def known_layers() -> tuple[str, ...]:
    """List the names without prefixes and suffixes."""
    return (*IMAGE_BANDS, *TERRAIN, *INDICES)


def bands_needed(layers: Iterable[str]) -> tuple[str, ...]:
    """Name the stored layers that ``layers`` are computed from, without repeats, in a fixed order.

    Segmentation inputs of object layers are not included: they are named in the recipe.
    """
    found: dict[str, None] = {}
    for name in layers:
        found.update(dict.fromkeys(describe(name).needs))
    return tuple(found)


def require_bands(
    layers: Iterable[str], stored: Iterable[str], *, where: str = "scene", remedy: str | None = None
) -> None:
    """Refuse layers whose bands are not there; ``remedy`` says what to do where the layers cannot be changed.

    Raises
    ------
    LayerError
        Names the layer, the bands it lacks, and what could stand in.
    """
    there = set(stored)
    for name in layers:
        missing = [band for band in describe(name).needs if band not in there]
        if not missing:
            continue
        hint = "take it out of the layers"
        if remedy is not None:
            hint = remedy
        elif "nir" in missing and name.removesuffix("_obj").endswith("ndvi"):
            hint = f"without near-infrared use {name.replace('ndvi', 'ngrdi')!r} in its place"
        elif any(band.startswith("pre_") for band in missing):
            hint = "build the scene with --pre"
        message = f"layer {name!r} needs {', '.join(missing)}, which the {where} does not have; {hint}"
        raise LayerError(message)


def compute(name: str, bands: Bands) -> NDArray[np.float32]:
    """Compute one layer that is not an object mean, ``(rows, cols)`` float32 with NaN where invalid.

    Raises
    ------
    LayerError
        Unknown layer, or a band it needs is not in ``bands``.
    """
    if name in bands:
        return bands[name]
    require_bands([name], bands)
    if name.startswith("d_"):
        after, before = name[2:], f"pre_{name[2:]}"
        return compute(after, bands) - compute(before, bands)
    prefix = "pre_" if name.startswith("pre_") else ""
    index = INDICES[name.removeprefix("pre_")]
    return index.function(*(bands[prefix + band] for band in index.needs))


def _describe(name: str) -> LayerSpec | None:
    if name.endswith("_obj"):
        inner = _describe(name.removesuffix("_obj"))
        if inner is None or inner.of or inner.turning != "scalar":
            return None
        return replace(
            inner, name=name, of=inner.name, formula=f"mean over each object of {inner.formula or inner.name}"
        )
    if name.startswith("d_"):
        after, before = _image_layer(name[2:], ""), _image_layer(name[2:], "pre_")
        if after is None or before is None:
            return None
        return LayerSpec(name, ("image", "pre"), after.needs + before.needs, formula=f"{after.name} - {before.name}")
    if name.startswith("pre_"):
        return _image_layer(name[4:], "pre_")
    if name in TERRAIN:
        return LayerSpec(name, ("dem",), (name,), turning=TERRAIN[name])
    return _image_layer(name, "")


def _image_layer(name: str, prefix: Literal["", "pre_"]) -> LayerSpec | None:
    source: Source = "pre" if prefix else "image"
    if name in IMAGE_BANDS:
        return LayerSpec(prefix + name, (source,), (prefix + name,))
    if name in INDICES:
        index = INDICES[name]
        needs = tuple(prefix + band for band in index.needs)
        return LayerSpec(prefix + name, (source,), needs, formula=index.formula)
    return None
