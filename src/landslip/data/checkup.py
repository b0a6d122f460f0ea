"""A look at tiles before anything is trained on them: what each part holds, and what is odd about it.

It looks and tells. Splits, layers and networks that cannot work are refused where they are made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.data.matching import match_tiles
from landslip.data.tileset import UNKNOWN, Part, TileSet
from landslip.wording import counted

SCORED = (Part.TRAIN, Part.VALIDATION, Part.TEST)

_MOSTLY_VOID = 0.5
"""A layer is remarked on when more than this share of its pixels is invalid where the label is known."""

_UNLIKE = 3.0
"""Parts are remarked on when their prevalence differs by more than this factor."""

_OUTSIDE = 0.25
"""A layer is remarked on when more than this share of a part lies outside the 1st to 99th percentile of training,
as in :mod:`landslip.mapping`; 2 % would be usual."""

_NUMBERS = 5.0
"""Reflectance beyond this, as a 99th percentile, is hardly reflectance: digital numbers reach thousands, patches that
were divided by their own mean or maximum a few."""

_REFLECTANCE = frozenset({"blue", "green", "red", "nir", "re1", "re2", "re3", "nira", "swir1", "swir2"})


@dataclass(frozen=True)
class PartFacts:
    """What one part holds.

    Parameters
    ----------
    tiles, tiles_with_landslide
        Number of tiles.
    pixels
        That count: valid in all layers, and of known label.
    prevalence
        Share of landslide among them.
    landslides
        Number of mapped landslides with a pixel in it.
    """

    tiles: int
    tiles_with_landslide: int
    pixels: int
    prevalence: float
    landslides: int


@dataclass(frozen=True)
class LayerFacts:
    """One layer over the pixels of known label.

    Parameters
    ----------
    invalid
        Share that is NaN, over all parts.
    low, median, high
        1st, 50th and 99th percentile over valid training pixels; None without any.
    outside
        By part, the share of valid pixels outside ``low`` to ``high``.
    """

    invalid: float
    low: float | None
    median: float | None
    high: float | None
    outside: dict[str, float]


@dataclass(frozen=True)
class CheckUp:
    """Outcome of :func:`check_up`."""

    parts: dict[str, PartFacts]
    layers: dict[str, LayerFacts]
    remarks: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            "parts": {name: vars(facts) for name, facts in self.parts.items()},
            "layers": {name: vars(facts) for name, facts in self.layers.items()},
            "remarks": list(self.remarks),
        }

    def text(self) -> str:
        """Return it as two tables and the remarks."""
        lines = [f"{'':<10}  tiles  with landslide      pixels  landslide  landslides"]
        for name, part in self.parts.items():
            lines.append(
                f"{name:<10}  {part.tiles:>5}  {part.tiles_with_landslide:>14}  {part.pixels:>10,}  "
                f"{part.prevalence:>8.2%}  {part.landslides:>10}"
            )
        lines += ["", f"{'layer':<14}  invalid     1 %       50 %       99 %   (training)"]
        for name, layer in self.layers.items():
            figures = (f"{value:>9.4g}" if value is not None else f"{'–':>9}" for value in _of(layer))
            lines.append(f"{name:<14}  {layer.invalid:>7.1%}  {'  '.join(figures)}")
        remarks = self.remarks or ("nothing odd was found",)
        return "\n".join([*lines, "", *(f"- {remark}" for remark in remarks)])


def _of(layer: LayerFacts) -> tuple[float | None, float | None, float | None]:
    return layer.low, layer.median, layer.high


def check_up(tiles: TileSet, *, matched: Collection[str] = ()) -> CheckUp:
    """Look at tiles before training.

    Parameters
    ----------
    tiles
        With layers in physical units.
    matched
        Layers in which the training matches images: the range of these is that of the matched ones.

    Returns
    -------
    CheckUp
        Figures by part and by layer, and remarks on: parts without tiles or landslides; prevalence that differs
        between parts; layers that are constant, mostly invalid, or in another range than in training;
        reflectance that looks like digital numbers; the same tile in two parts.
    """
    parts = {part.name.lower(): _part(tiles.of(part)) for part in SCORED}
    seen = _as_matched(tiles, matched)
    layers = {name: _layer(tiles, i, seen.get(name)) for i, name in enumerate(tiles.layers)}
    remarks = [
        *_about_parts(parts),
        *(remark for name, facts in layers.items() for remark in _about_layer(name, facts)),
        *_about_repeats(tiles),
    ]
    return CheckUp(parts, layers, tuple(remarks))


def _part(tiles: TileSet) -> PartFacts:
    counted = tiles.counted()
    landslide = counted & (tiles.label == 1)
    pixels, hits = int(counted.sum()), int(landslide.sum())
    ids = np.unique(tiles.landslide[landslide])
    return PartFacts(
        len(tiles),
        int(landslide.any(axis=(1, 2)).sum()),
        pixels,
        hits / pixels if pixels else 0.0,
        int(np.count_nonzero(ids)),
    )


def _as_matched(tiles: TileSet, names: Collection[str]) -> dict[str, NDArray[np.float32]]:
    """Match the images of some layers as a training does; nothing where the tiles have no statistics of training."""
    chosen = tuple(name for name in tiles.layers if name in names)
    if not chosen or tiles.recipe is None:
        return {}
    some = tiles.select(chosen)
    assert some.recipe is not None
    image = match_tiles(some.image, some.recipe.model_copy(update={"matched": True}))
    return {name: image[:, i] for i, name in enumerate(chosen)}


def _layer(tiles: TileSet, index: int, matched: NDArray[np.float32] | None = None) -> LayerFacts:
    """Describe a layer; where it is matched, what lies outside is counted as a network sees it."""
    values, known = tiles.image[:, index], tiles.label != UNKNOWN
    finite = np.isfinite(values) & known
    share = 1 - np.count_nonzero(finite) / max(int(known.sum()), 1)
    training: NDArray[np.float32] = values[finite & (tiles.part == Part.TRAIN)[:, None, None]]
    if not training.size:
        return LayerFacts(share, None, None, None, {})
    low, median, high = (float(value) for value in np.percentile(training, (1, 50, 99)))
    outside, seen = {}, values if matched is None else matched
    for part in SCORED[1:]:
        found = seen[finite & (tiles.part == part)[:, None, None]]
        if found.size:
            outside[part.name.lower()] = float(((found < low) | (found > high)).mean())
    return LayerFacts(share, low, median, high, outside)


def _about_parts(parts: dict[str, PartFacts]) -> list[str]:
    remarks = []
    for name, facts in parts.items():
        if not facts.tiles:
            remarks.append(f"{name}: no tile; look at the split")
        elif not facts.prevalence:
            remarks.append(f"{name}: not one landslide pixel, so nothing can be learned from it or scored on it")
    shares = {name: facts.prevalence for name, facts in parts.items() if facts.prevalence}
    if shares:
        most, least = max(shares, key=lambda name: shares[name]), min(shares, key=lambda name: shares[name])
        if shares[most] > _UNLIKE * shares[least]:
            remarks.append(
                f"{most} has {shares[most] / shares[least]:.1f} times the share of landslide of {least}: scores of the "
                "two cannot be compared, and a threshold does not carry over"
            )
    return remarks


def _about_layer(name: str, facts: LayerFacts) -> list[str]:
    remarks = []
    if facts.low is None or facts.high is None:
        return [f"layer {name!r}: not one valid training pixel; leave it out"]
    if facts.low == facts.high:
        remarks.append(
            f"layer {name!r}: the same value ({facts.low:g}) nearly everywhere in training; it teaches nothing"
        )
    if facts.invalid > _MOSTLY_VOID:
        remarks.append(f"layer {name!r}: {facts.invalid:.0%} invalid, and with it these pixels of the whole data set")
    if name.removeprefix("pre_") in _REFLECTANCE and facts.high > _NUMBERS:
        remarks.append(f"layer {name!r}: reaches {facts.high:g}, which is no reflectance; are these digital numbers?")
    for part, share in facts.outside.items():
        if share > _OUTSIDE:
            remarks.append(f"layer {name!r}: {share:.0%} of {part} lies outside the range of training")
    return remarks


def _about_repeats(tiles: TileSet) -> list[str]:
    """Find pixels that occur in two parts: the same image under another key is a leak that no distance shows."""
    seen: dict[bytes, int] = {}
    repeats: dict[tuple[str, str], int] = {}
    for image, part in zip(tiles.image, tiles.part, strict=True):
        if part == Part.UNUSED or not np.isfinite(image).any():
            continue
        first = seen.setdefault(hashlib.blake2b(np.ascontiguousarray(image).tobytes()).digest(), int(part))
        if first != part:
            pair = sorted((first, int(part)))
            names = (Part(pair[0]).name.lower(), Part(pair[1]).name.lower())
            repeats[names] = repeats.get(names, 0) + 1
    return [
        f"{counted(number, f'tile of {other} occurs', f'tiles of {other} occur')} in {one} too, pixel by pixel: the "
        "scores would be too good; drop the copies"
        for (one, other), number in sorted(repeats.items())
    ]
