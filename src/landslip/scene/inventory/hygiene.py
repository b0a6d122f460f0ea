"""Putting an inventory's polygons in order, and saying what was changed.

Nothing is changed in silence: every step counts what it did, and :class:`HygieneReport` says it in
words and as JSON.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree

from landslip.grid import Grid
from landslip.wording import counted

Geometries = NDArray[np.object_]

DUPLICATE_IOU = 0.98
"""Polygons that share at least this part of their union are one landslide drawn twice."""

SLIVER_WIDTH_PX = 0.02
"""Polygons thinner than this on average (2 x area / perimeter) are left-overs of editing, not landslides."""

SLIVER_AREA_PX = 0.01
"""Polygons with less than this area of a pixel are left-overs too."""

DENSE_VERTICES = 200_000
"""Polygons with more vertices are thinned (see :func:`thin`)."""


@dataclass(frozen=True)
class HygieneReport:
    """What was found in an inventory and what was done about it."""

    read: int
    """Features in the file."""
    kept: int
    """Landslides after all steps."""
    empty: int = 0
    outside: int = 0
    thinned: int = 0
    repaired: int = 0
    repaired_area_change_m2: float = 0.0
    split: int = 0
    """Landslides gained by splitting multi-part features."""
    slivers: int = 0
    duplicates: int = 0
    overlapping_pairs: int = 0
    overlap_area_m2: float = 0.0
    crossing_edge: int = 0
    """Kept whole, though part of them lies beyond the scene."""
    below_pixel: int = 0
    """Smaller in area than a pixel."""
    without_centre: int = 0
    """Hold no pixel centre: burnt into every pixel that they touch."""
    hidden: int = 0
    """Hold pixel centres, all of which belong to landslides with larger ids."""

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON types."""
        return asdict(self)

    @property
    def changed(self) -> bool:
        """Whether the polygons are not simply those of the file."""
        return any((self.empty, self.thinned, self.repaired, self.split, self.slivers, self.duplicates))

    @property
    def words(self) -> tuple[str, ...]:
        """Return one sentence for each thing that was found."""
        said = [f"{counted(self.kept, 'landslide')} from {counted(self.read, 'feature')}."]
        repaired, overlap = f"{self.repaired_area_change_m2:.0f} m²", f"{self.overlap_area_m2:.0f} m²"
        for count, one, several, rest in (
            (self.empty, "", "", "without a geometry dropped."),
            (self.outside, "", "", "outside the scene left out."),
            (self.thinned, "", "", "with very many vertices thinned to what a pixel can show."),
            (self.repaired, "", "", f"with invalid rings repaired (area changed by {repaired})."),
            (self.split, "more landslide", "", "from multi-part features, one for each part."),
            (self.slivers, "sliver", "", "dropped."),
            (self.duplicates, "duplicate", "", "dropped."),
            (
                self.overlapping_pairs,
                "pair overlaps",
                "pairs overlap",
                f"({overlap}): merged in the mask, kept apart in the scores.",
            ),
            (self.crossing_edge, "reaches", "reach", "beyond the scene's edge."),
            (self.below_pixel, "", "", "smaller than a pixel."),
            (
                self.without_centre,
                "holds no pixel centre and is burnt into all pixels that it touches.",
                "hold no pixel centre and are burnt into all pixels that they touch.",
                "",
            ),
            (self.hidden, "", "", "wholly under others in the raster of landslides."),
        ):
            if count:
                words = counted(count, one, several) if one else str(count)
                said.append(f"{words} {rest}".rstrip())
        return tuple(said)


def thin(polygons: Geometries, grid: Grid) -> tuple[Geometries, int]:
    """Drop vertices that no pixel can show, in polygons with very many; also their number.

    Lines move by at most a twentieth of a pixel (Douglas-Peucker). Where that still leaves very many
    vertices and rings that cross themselves, by a quarter: repairing such a ring as it is takes hours.
    """
    dense = np.flatnonzero(shapely.get_num_coordinates(polygons) > DENSE_VERTICES)
    if dense.size == 0:
        return polygons, 0
    thinned = polygons.copy()
    for index in dense:
        for part_of_pixel in (20, 4):
            thinned[index] = shapely.simplify(
                polygons[index], min(grid.resolution) / part_of_pixel, preserve_topology=False
            )
            if shapely.get_num_coordinates(thinned[index]) <= DENSE_VERTICES or shapely.is_valid(thinned[index]):
                break
    return thinned, int(dense.size)


def repair(polygons: Geometries) -> tuple[Geometries, int, float]:
    """Make every geometry valid, keeping areas only; also the number repaired and the change of area."""
    broken = ~shapely.is_valid(polygons)
    if not broken.any():
        return polygons, 0, 0.0
    mended = polygons.copy()
    mended[broken] = shapely.make_valid(polygons[broken], method="structure", keep_collapsed=False)
    change = float(np.abs(shapely.area(mended[broken]) - shapely.area(polygons[broken])).sum())
    return mended, int(broken.sum()), change


def split_parts(frame: geopandas.GeoDataFrame) -> tuple[geopandas.GeoDataFrame, int]:
    """One row per polygon; parts that are no areas are left out. Also the number of rows gained."""
    parts, owner = shapely.get_parts(np.asarray(frame.geometry.values), return_index=True)
    nested = shapely.get_type_id(parts) == shapely.GeometryType.MULTIPOLYGON  # inside collections
    if nested.any():
        inner, inner_owner = shapely.get_parts(parts[nested], return_index=True)
        owner = np.concatenate([owner[~nested], owner[nested][inner_owner]])
        parts = np.concatenate([parts[~nested], inner])
        order = np.argsort(owner, kind="stable")
        parts, owner = parts[order], owner[order]
    areas = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)
    parts, owner = parts[areas], owner[areas]
    gained = len(owner) - len(np.unique(owner))
    return frame.iloc[owner].set_geometry(list(parts), crs=frame.crs).reset_index(drop=True), gained


def find_slivers(polygons: Geometries, grid: Grid) -> NDArray[np.bool_]:
    """Which polygons are too thin or too small to be drawn on purpose."""
    area, around = shapely.area(polygons), shapely.length(polygons)
    pixel = min(grid.resolution)
    width = np.divide(2 * area, around, out=np.zeros_like(area), where=around > 0)
    return np.asarray((area < SLIVER_AREA_PX * grid.pixel_area_m2) | (width < SLIVER_WIDTH_PX * pixel))


@dataclass(frozen=True)
class Overlaps:
    """Which polygons repeat an earlier one, and how many of the others overlap by how much."""

    duplicate: NDArray[np.bool_]
    pairs: int
    area_m2: float


def find_overlaps(polygons: Geometries, grid: Grid) -> Overlaps:
    """Compare every polygon with those that it meets; the later of two duplicates is the duplicate."""
    first, second = STRtree(polygons).query(polygons, predicate="intersects")
    ordered = first < second
    first, second = first[ordered], second[ordered]
    # clipping to the other's bounding box first keeps a polygon of millions of vertices affordable
    common = np.array(
        [_common_area(polygons[a], polygons[b]) for a, b in zip(first.tolist(), second.tolist(), strict=True)],
        np.float64,
    )
    area = shapely.area(polygons)
    union = area[first] + area[second] - common
    same = common >= DUPLICATE_IOU * union
    duplicate = np.zeros(len(polygons), np.bool_)
    for a, b in sorted(zip(first[same].tolist(), second[same].tolist(), strict=True)):
        if not duplicate[a]:
            duplicate[b] = True
    counted = ~duplicate[first] & ~duplicate[second] & (common > SLIVER_AREA_PX * grid.pixel_area_m2)
    return Overlaps(duplicate, int(counted.sum()), float(common[counted].sum()))


def _common_area(a: Any, b: Any) -> float:  # noqa: ANN401 - shapely geometries
    if shapely.get_num_coordinates(a) > DENSE_VERTICES:
        a = shapely.make_valid(shapely.clip_by_rect(a, *shapely.buffer(b, 1.0).bounds))
    if shapely.get_num_coordinates(b) > DENSE_VERTICES:
        b = shapely.make_valid(shapely.clip_by_rect(b, *shapely.buffer(a, 1.0).bounds))
    return float(shapely.area(shapely.intersection(a, b)))
