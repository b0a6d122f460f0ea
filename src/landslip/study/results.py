"""From finished runs to ``study.json``: pooled scores, intervals, comparisons, curves, scores per landslide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.data.tileset import Part, TileSet
from landslip.scoring import (
    ProbabilityHistogram,
    area_frequency,
    calibration,
    confusions_by_group,
    per_landslide,
)
from landslip.scoring.per_landslide import LandslideScores, SizeClass
from landslip.study.config import RowConfig
from landslip.study.pairs import compared_pairs
from landslip.study.predictions import PREDICTIONS, load_predictions
from landslip.study.runs import pooled
from landslip.study.statistics import Counts, Draws, compare, comparisons_as_json, row_estimates

_POINTS = 200

Record = dict[str, Any]
Mask = NDArray[np.bool_]


@dataclass
class Results:
    """Finished runs of a study, and what is needed to score them together.

    Parameters
    ----------
    study
        The folder.
    tiles
        Tile set of each fold by name.
    rows
        The rows.
    records
        ``scores.json`` of every run.
    """

    study: Path
    tiles: dict[str, TileSet]
    rows: tuple[RowConfig, ...]
    records: list[Record]
    _counts: dict[tuple[str, str, bool], Counts] = field(default_factory=dict)

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Seeds in order."""
        return tuple(sorted({record["seed"] for record in self.records}))

    @cached_property
    def test(self) -> dict[str, NDArray[np.int64]]:
        """Indices of the test tiles of each fold."""
        return {name: np.flatnonzero(tiles.part == Part.TEST) for name, tiles in self.tiles.items()}

    @cached_property
    def blocks(self) -> NDArray[np.int32]:
        """Spatial blocks with a test pixel that counts, over all folds."""
        found = []
        for name, tiles in self.tiles.items():
            some = np.zeros(len(self.test[name]), np.bool_)
            for row in self.rows:
                some |= self.mask(row.name)[name].any(axis=(1, 2))
            found.append(tiles.block[self.test[name][some]])
        return np.unique(np.concatenate(found))

    @cached_property
    def _masks(self) -> dict[str, dict[str, Mask]]:
        masks = {}
        by_layers: dict[tuple[str, ...], dict[str, Mask]] = {}
        for row in self.rows:
            if row.layers not in by_layers:
                by_layers[row.layers] = {
                    name: tiles.subset(self.test[name]).select(row.layers).counted()
                    for name, tiles in self.tiles.items()
                }
            masks[row.name] = by_layers[row.layers]
        return masks

    def mask(self, row: str) -> dict[str, Mask]:
        """Test pixels that count for a row, by fold: ``(test tiles, size, size)``."""
        return self._masks[row]

    def of_row(self, row: str) -> list[Record]:
        """List the runs of a row, in the order of seeds."""
        return [record for record in self.records if record["row"] == row]

    def probability(self, record: Record) -> NDArray[np.float16]:
        """Predictions of a run on all test tiles of its fold, NaN where it made none."""
        index, stored = load_predictions(self.study / record["folder"] / PREDICTIONS)
        test = self.test[record["fold"]]
        whole = np.full((len(test), *stored.shape[1:]), np.nan, np.float16)
        whole[np.searchsorted(test, index)] = stored
        return whole

    def counts(self, row: str, *, common_with: str | None = None, chosen: bool = False) -> Counts:
        """Count a row's test pixels by seed and block, at 0.5 or at each run's chosen threshold.

        With ``common_with``, over the pixels that count for both rows.
        """
        if common_with is not None and self._same_pixels(row, common_with):
            common_with = None
        key = (row, common_with or row, chosen)
        if key not in self._counts:
            table = np.zeros((len(self.seeds), len(self.blocks), 4), np.int64)
            for record in self.of_row(row):
                mask = self.mask(row)[record["fold"]]
                if common_with is not None:
                    mask = mask & self.mask(common_with)[record["fold"]]
                threshold = record["threshold"] if chosen else 0.5
                self._add(table[self.seeds.index(record["seed"])], record, mask, threshold)
            self._counts[key] = table
        return self._counts[key]

    def _add(self, table: NDArray[np.int64], record: Record, mask: Mask, threshold: float) -> None:
        tiles, test = self.tiles[record["fold"]], self.test[record["fold"]]
        landslide = self.probability(record).astype(np.float64) >= threshold
        groups, counts = confusions_by_group(landslide, tiles.label[test] == 1, mask, tiles.block[test])
        known = np.isin(groups, self.blocks)
        table[np.searchsorted(self.blocks, groups[known])] += counts[known]

    def _same_pixels(self, a: str, b: str) -> bool:
        one, other = self.mask(a), self.mask(b)
        return one is other or all(np.array_equal(one[name], other[name]) for name in one)

    # --- parts of study.json ------------------------------------------------------------------------

    def row_entry(self, row: RowConfig, draws: Draws | None) -> Record:
        """Scores of a row over its runs."""
        runs = self.of_row(row.name)
        scores: Record = {part: _pooled_scores(runs, part) for part in ("train", "validation", "test")}
        scores["test"] |= row_estimates(self.counts(row.name), draws)
        first = runs[0]
        kept = ("fold", "seed", "folder", "epochs", "best_epoch", "threshold", "scores", "chosen", "average_precision")
        return {
            "name": row.name,
            "label": row.label,
            "role": row.role,
            "paper": row.paper,
            "model": row.model,
            "layers": list(row.layers),
            "augment": row.augment,
            "variants": row.variants,
            "matched_to": row.matched_to,
            "factors": row.factors,
            "levers": row.levers.model_dump(mode="json", exclude_defaults=True),
            **{k: first.get(k) for k in ("parameters", "trained_parameters", "updates", "trees", "objects")},
            "seeds": sorted({record["seed"] for record in runs}),
            "runs": [{k: record.get(k) for k in kept} for record in runs],
            "threshold": float(np.mean([record["threshold"] for record in runs])),
            "scores": scores,
            "chosen": row_estimates(self.counts(row.name, chosen=True), draws),
        }

    def comparisons(self, draws: Draws) -> list[Record]:
        """Compare the pairs of rows that :func:`~landslip.study.pairs.compared_pairs` names."""
        pairs = compared_pairs(self.rows)
        return comparisons_as_json(
            [compare(a, b, self.counts(a, common_with=b), self.counts(b, common_with=a), draws) for a, b in pairs]
        )

    def curves(self, row: str) -> tuple[Record, Record]:
        """Precision-recall curve and calibration over all runs of a row."""
        histogram: ProbabilityHistogram | None = None
        everything: list[tuple[NDArray[Any], NDArray[Any], Mask]] = []
        for record in self.of_row(row):
            tiles, test, mask = self.tiles[record["fold"]], self.test[record["fold"]], self.mask(row)[record["fold"]]
            entry = (self.probability(record), tiles.label[test], mask)
            one = ProbabilityHistogram.from_arrays(*entry)
            histogram = one if histogram is None else histogram + one
            everything.append(entry)
        assert histogram is not None
        threshold, precision, recall = histogram.precision_recall()
        some = np.unique(np.searchsorted(recall, np.linspace(recall[0], recall[-1], _POINTS)).clip(0, len(recall) - 1))
        areas = [record["average_precision"] for record in self.of_row(row) if record["average_precision"] is not None]
        area = {"value": float(np.mean(areas)) if areas else None, "low": None, "high": None}
        curve = {
            "threshold": threshold[some].tolist(),
            "precision": precision[some].tolist(),
            "recall": recall[some].tolist(),
            "area": area,
        }
        joined = [np.concatenate(arrays) for arrays in zip(*everything, strict=True)]
        return curve, calibration(*joined).to_dict()

    def landslides(self, row: str) -> tuple[Record, Record]:
        """Scores per landslide, mean over seeds, and the area-frequency curve of what was predicted."""
        found: list[LandslideScores] = []
        areas: list[NDArray[np.float64]] = []
        for record in self.of_row(row):
            mask = self.mask(row)[record["fold"]]
            pred = self.probability(record).astype(np.float64) >= 0.5
            for one, landslide, valid, pixel_area in self.planes(record["fold"], pred & mask, mask):
                found.append(per_landslide(one, landslide, valid, pixel_area_m2=pixel_area))
                areas.append(object_areas(one).astype(np.float64) * pixel_area)
        n = len(self.seeds)
        overall = _mean_class([scores.overall for scores in found], n)
        classes = [_mean_class(list(group), n) for group in zip(*(scores.classes for scores in found), strict=True)]
        frequency = area_frequency(np.concatenate(areas)).to_dict()
        frequency |= {name: frequency[name] / n for name in ("landslides", "total_m2") if frequency[name] is not None}
        return {"overall": overall, "classes": classes}, frequency

    def planes(self, fold: str, pred: Mask, mask: Mask) -> list[tuple[Mask, NDArray[np.int32], Mask, float]]:
        """Test tiles of a scene put together again, so that no landslide is cut; patches as they are."""
        tiles = self.tiles[fold].subset(self.test[fold])
        pixel_area = float(tiles.meta.get("pixel_m", 10.0)) ** 2
        if tiles.meta.get("kind") != "scene":
            return [(pred, tiles.landslide, mask, pixel_area)]
        planes = []
        for region in np.unique(tiles.region):
            here = np.flatnonzero(tiles.region == region)
            row, col = tiles.row[here] - tiles.row[here].min(), tiles.col[here] - tiles.col[here].min()
            shape = (int(row.max()) + tiles.size, int(col.max()) + tiles.size)
            whole_pred, whole_mask = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
            whole_landslide = np.zeros(shape, np.int32)
            for i, r, c in zip(here, row, col, strict=True):
                place = np.s_[r : r + tiles.size, c : c + tiles.size]
                whole_pred[place] |= pred[i]
                whole_mask[place] |= mask[i]
                whole_landslide[place] = np.maximum(whole_landslide[place], tiles.landslide[i])
            planes.append((whole_pred, whole_landslide, whole_mask, pixel_area))
        return planes


def object_areas(pred: Mask) -> NDArray[np.int64]:
    """Pixels of each connected object of a mask ``(rows, cols)`` or ``(n, rows, cols)``."""
    from scipy import ndimage

    plane = np.ones((3, 3), np.bool_)
    numbered, n = ndimage.label(pred, plane if pred.ndim == 2 else np.stack([~plane, plane, ~plane]))
    return np.asarray(np.bincount(numbered.ravel(), minlength=n + 1)[1:], dtype=np.int64)


def parts_entry(name: str, tiles: TileSet, layers: Sequence[str]) -> list[Record]:
    """Sizes of the parts of a fold, over the pixels that count for the plain rows."""
    chosen = tiles.select(layers)
    counted, entries = chosen.counted(), []
    for part in (Part.TRAIN, Part.VALIDATION, Part.TEST):
        mine = tiles.part == part
        pixels, hits = int(counted[mine].sum()), int((counted[mine] & (tiles.label[mine] == 1)).sum())
        entries.append(
            {
                "part": part.name.lower(),
                "fold": name,
                "tiles": int(mine.sum()),
                "pixels": pixels,
                "landslide_pixels": hits,
                "landslides": int(np.count_nonzero(np.unique(tiles.landslide[mine][counted[mine]]))),
                "prevalence": hits / pixels if pixels else None,
                "blocks": len(np.unique(tiles.block[mine])),
            }
        )
    return entries


def _pooled_scores(runs: list[Record], part: str) -> Record:
    scores = pooled(runs, part).to_dict()
    losses = [record["scores"][part]["loss"] for record in runs if record["scores"][part]["loss"] is not None]
    values: Record = {"loss": float(np.mean(losses)) if losses else None}
    values |= {name: scores[name] for name in ("precision", "recall", "f1", "iou", "mcc", "prevalence")}
    return {name: {"value": value, "low": None, "high": None} for name, value in values.items()}


def _mean_class(classes: list[SizeClass], seeds: int) -> Record:
    names = ("mapped", "found_any", "found_half", "predicted", "real_any", "real_half")
    summed = SizeClass(
        classes[0].low_m2, classes[0].high_m2, *(sum(getattr(one, name) for one in classes) for name in names)
    )
    entry = summed.to_dict()
    return entry | {name: entry[name] / seeds for name in names}
