"""Landslides of many maps as one set: what two maps saw of one landslide is joined, once.

A sweep from the westernmost map to the easternmost. Only landslides on ground that a later map also covers are
held; all others are passed on at once, so that memory follows the overlaps, not the number of maps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import geopandas
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from landslip.mapping.landslides.attributes import VOLUME_RELATIONS, confidence
from landslip.mapping.landslides.fields import DIGITS, FIELDS
from landslip.mapping.mosaic.finished import FinishedMap

MAPS, PARTS = "maps", "parts"

COMMENTS = {
    MAPS: "maps in which it was found, separated by commas",
    PARTS: "polygons of these maps that were joined in it",
    "id": "number of the landslide, by map from west to east",
    "area_m2": "area in the projection of its map (joined: of the map with its largest part), before simplification "
    "[m²]",
    "probability_mean": "mean landslide probability of its pixels, 0 to 1 (joined: of its parts, weighted by area)",
}
"""Meaning of the columns that a mosaic adds, or gives another meaning."""

_NORTH_STEP_M = 10.0


@dataclass
class _Held:
    """Landslides that a later map may also show: shapes in the mosaic's CRS, rows of their tables."""

    shapes: NDArray[np.object_]
    rows: pd.DataFrame
    last: NDArray[np.int64]
    """Number of the last map whose ground each touches."""
    group: NDArray[np.int64]
    """Landslides of one group are one; the number is that of the first of them."""

    def take(self, chosen: NDArray[np.bool_]) -> _Held:
        groups = np.unique(self.group[chosen], return_inverse=True)[1]
        rows = self.rows[chosen].reset_index(drop=True)
        return _Held(self.shapes[chosen], rows, self.last[chosen], groups)


class Merger:
    """Joins the landslides of maps that are added in their order.

    Parameters
    ----------
    maps
        All maps, in the order of :func:`landslip.mapping.mosaic.finished.open_maps`.
    crs
        CRS of the mosaic.
    min_overlap
        Share of the smaller of two polygons that they must have in common to be one landslide.
    """

    def __init__(self, maps: Sequence[FinishedMap], crs: CRS, min_overlap: float) -> None:
        self._maps, self._crs, self._min_overlap = maps, crs, min_overlap
        self._footprints = np.array([one.footprint(crs) for one in maps], object)
        self._tree = shapely.STRtree(self._footprints)
        self._held: _Held | None = None

    @property
    def held(self) -> int:
        """Number of landslides that wait for later maps."""
        return 0 if self._held is None else len(self._held.shapes)

    def add(self, number: int, frame: geopandas.GeoDataFrame) -> Iterator[geopandas.GeoDataFrame]:
        """Add the landslides of a map and yield those that no later map can change, in the mosaic's CRS.

        Parameters
        ----------
        number
            Place of the map in the order, counted from 0; every map is added once, in order.
        frame
            Its landslides, in its own CRS.
        """
        frame = self._moved(number, frame)
        shapes = np.asarray(frame.geometry.values, object)
        last, shared = self._reach(number, shapes)
        yield frame[~shared].reset_index(drop=True)
        if shared.any():
            self._hold(shapes[shared], pd.DataFrame(frame[shared].drop(columns="geometry")), last[shared])
        if self._held is not None:
            yield from self._release(number)

    def _moved(self, number: int, frame: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
        """Bring a map's landslides to the mosaic's CRS, coordinates and directions among the attributes too."""
        own = self._maps[number].grid.crs
        frame = frame[[field.name for field in FIELDS] + ["geometry"]].copy()
        frame[MAPS], frame[PARTS], frame["_map"] = self._maps[number].name, 1, number
        if own == self._crs or not len(frame):
            return frame.set_crs(self._crs, allow_override=True)
        transformer = Transformer.from_crs(own, self._crs, always_xy=True)
        middle = shapely.get_coordinates(shapely.centroid(frame.geometry.values))
        turned = np.degrees(_north(transformer, middle))
        frame["fall_aspect_deg"] = ((frame["fall_aspect_deg"] + turned) % 360.0).round(DIGITS["fall_aspect_deg"])
        for x, y in (("crown_x", "crown_y"), ("toe_x", "toe_y")):
            known = frame[x].notna()
            moved = transformer.transform(frame.loc[known, x].to_numpy(), frame.loc[known, y].to_numpy())
            frame.loc[known, x], frame.loc[known, y] = np.round(moved[0], 1), np.round(moved[1], 1)
        frame = frame.set_crs(own, allow_override=True).to_crs(self._crs)
        broken = ~shapely.is_valid(frame.geometry.values)
        if broken.any():  # rings that met in a point may cross after their corners were moved
            mended = shapely.make_valid(frame.geometry.values[broken], method="structure", keep_collapsed=False)
            frame.loc[broken, "geometry"] = mended
        return frame

    def _reach(self, number: int, shapes: NDArray[np.object_]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the last map whose ground each landslide touches, and whether another than its own does."""
        last = np.full(len(shapes), number, np.int64)
        which, maps = self._tree.query(shapes, predicate="intersects")
        np.maximum.at(last, which, maps)
        shared = np.zeros(len(shapes), np.bool_)
        shared[which[maps != number]] = True
        return last, shared

    def _hold(self, shapes: NDArray[np.object_], rows: pd.DataFrame, last: NDArray[np.int64]) -> None:
        before = self._held
        first = 0 if before is None else len(before.shapes)
        group = np.arange(first, first + len(shapes), dtype=np.int64)
        if before is None:
            self._held = _Held(shapes, rows.reset_index(drop=True), last, group)
            return
        one, other = self._pairs(shapes, before.shapes)
        self._held = _Held(
            np.concatenate([before.shapes, shapes]),
            pd.concat([before.rows, rows], ignore_index=True),
            np.concatenate([before.last, last]),
            _joined(np.concatenate([before.group, group]), one + first, other),
        )

    def _pairs(self, new: NDArray[np.object_], old: NDArray[np.object_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pairs of a new and an earlier polygon that are one landslide."""
        one, other = shapely.STRtree(old).query(new, predicate="intersects")
        common = shapely.area(shapely.intersection(new[one], old[other]))
        smaller = np.minimum(shapely.area(new[one]), shapely.area(old[other]))
        same = common >= self._min_overlap * smaller
        return one[same], other[same]

    def _release(self, number: int) -> Iterator[geopandas.GeoDataFrame]:
        held = self._held
        assert held is not None  # asked before the call
        last = np.full(len(held.group), -1, np.int64)
        np.maximum.at(last, held.group, held.last)
        closed = last[held.group] <= number
        if not closed.any():
            return
        self._held = None if closed.all() else held.take(~closed)
        yield self._merged(held.take(closed))

    def _merged(self, held: _Held) -> geopandas.GeoDataFrame:
        sizes = np.bincount(held.group)
        order = np.argsort(held.group, kind="stable")  # parts of a landslide side by side, in the maps' order
        members = np.split(order, np.cumsum(sizes)[:-1])
        shapes = held.shapes[[part[0] for part in members]]
        rows = held.rows.iloc[[part[0] for part in members]].reset_index(drop=True)
        several = np.flatnonzero(sizes > 1)
        if several.size:
            shapes[several] = [shapely.union_all(held.shapes[members[one]]) for one in several]
            joined = [self._joined_row(held.rows.iloc[members[one]], shapes[one]) for one in several]
            for name in map(str, rows.columns):
                values = pd.Series([row[name] for row in joined], index=rows.index[several])
                rows.loc[sizes > 1, name] = values.astype(rows[name].dtype)
        return geopandas.GeoDataFrame(rows, geometry=shapes, crs=self._crs)

    def _joined_row(self, parts: pd.DataFrame, shape: shapely.Geometry) -> dict[str, object]:
        """Attributes of a landslide that several polygons show; the rules stand in docs/maps.md."""
        weight = parts["area_m2"].to_numpy(np.float64)
        lead = parts.iloc[int(np.argmax(weight))]
        leading = self._maps[int(lead["_map"])]
        if leading.grid.crs != self._crs:
            back = Transformer.from_crs(self._crs, leading.grid.crs, always_xy=True)
            shape = shapely.transform(shape, lambda xy: np.stack(back.transform(xy[:, 0], xy[:, 1]), axis=1))
        area = shapely.area(shape)
        volumes = [factor * area**power for factor, power in VOLUME_RELATIONS.values()]
        mean = _weighted(parts["probability_mean"], weight)
        row: dict[str, object] = {str(name): value for name, value in lead.items()} | {
            "area_m2": area,
            "perimeter_m": shapely.length(shape),
            "probability_mean": mean,
            "probability_max": parts["probability_max"].max(),
            "slope_mean_deg": _weighted(parts["slope_mean_deg"], weight),
            "slope_max_deg": parts["slope_max_deg"].max(),
            "volume_m3": volumes[0],
            "volume_low_m3": min(volumes),
            "volume_high_m3": max(volumes),
        }
        row = {name: round(value, DIGITS[name]) if isinstance(value, float) else value for name, value in row.items()}
        return row | {
            "confidence": str(confidence(np.array([mean]), leading.threshold)[0]),
            MAPS: ", ".join(dict.fromkeys(parts[MAPS])),
            PARTS: len(parts),
            "_map": int(parts["_map"].iloc[0]),
        }


def _weighted(values: pd.Series[float], weight: NDArray[np.float64]) -> float:
    known = values.notna().to_numpy()
    return float(np.average(values[known], weights=weight[known])) if known.any() else float("nan")


def _joined(group: NDArray[np.int64], one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give all that are linked through pairs the smallest number among them."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(group)
    names, label = np.unique(group, return_inverse=True)  # a label is a node of its own, beyond the landslides
    rows = np.concatenate([np.arange(count), one])
    cols = np.concatenate([count + label, other])
    nodes = count + len(names)
    links = coo_array((np.ones(len(rows), np.int8), (rows, cols)), shape=(nodes, nodes))
    found = connected_components(links, directed=False)[1][:count]
    first = np.full(nodes, count, np.int64)
    np.minimum.at(first, found, np.arange(count))
    return np.asarray(first[found], np.int64)


def _north(transformer: Transformer, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the angle, clockwise in radians, at which the old grid's north stands in the new one."""
    x, y = transformer.transform(places[:, 0], places[:, 1])
    up_x, up_y = transformer.transform(places[:, 0], places[:, 1] + _NORTH_STEP_M)
    return np.asarray(np.arctan2(np.asarray(up_x) - x, np.asarray(up_y) - y), np.float64)
