"""A trained run on a patch set: the recipe rebuilds its layers, then everything is scored."""

from __future__ import annotations

import logging
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.bundle import Bundle
from landslip.data.augment import Variants
from landslip.data.matching import match_tiles
from landslip.data.tileset import Part, TileSet
from landslip.errors import InputError, OutputError
from landslip.files import FORMAT, locked, write_json
from landslip.files.places import is_file
from landslip.layers.build import build_layers, stored_bands
from landslip.layers.stack import as_patches, patch_regions
from landslip.progress import SILENT, Progress
from landslip.recipe import Recipe
from landslip.scoring import ProbabilityHistogram, calibration, per_landslide
from landslip.study.config import DataConfig
from landslip.study.sources import open_source
from landslip.wording import counted

log = logging.getLogger(__name__)

OUTSIDE = 0.05
"""Share of pixels outside the training range of a layer from which on a warning is due (2 % are by definition)."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of a run on a patch set.

    Parameters
    ----------
    content
        What ``evaluation.json`` says: scores at 0.5 and at the run's threshold, average precision, calibration,
        scores per landslide, share of pixels outside the training range of each layer.
    """

    content: dict[str, Any]

    def text(self) -> str:
        """Return the scores in a few lines."""
        lines = []
        for name, label in (
            ("half", "at 0.5"),
            ("threshold", f"at the run's threshold {self.content['threshold']:.2f}"),
        ):
            one = self.content["scores"][name]
            shown = ", ".join(f"{word} {_figure(one[key])}" for key, word in _WORDS)
            lines.append(f"{label}: {shown}")
        overall = self.content["landslides"]["overall"]
        lines.append(
            f"of {counted(overall['mapped'], 'landslide')} {counted(overall['found_any'], 'was', 'were')} touched, "
            f"{overall['found_half']} found by half; of {counted(overall['predicted'], 'predicted one')} "
            f"{counted(overall['real_any'], 'touches', 'touch')} a mapped one"
        )
        return "\n".join(lines)


_WORDS = (("precision", "precision"), ("recall", "recall"), ("f1", "F1"), ("iou", "IoU"), ("mcc", "MCC"))


def evaluate_patches(
    run: str | os.PathLike[str],
    patches: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    regions: Sequence[int] = (),
    variants: Variants = "none",
    progress: Progress = SILENT,
) -> Evaluation:
    """Score a trained run on a patch set, or on the test part of prepared tiles.

    Parameters
    ----------
    run
        The run folder.
    patches
        Anything that :func:`landslip.data.patches.open_patches` opens, with masks; or an ``.npz`` that
        ``landslip prepare`` or a study wrote, of which the test part is scored.
    out
        Folder for ``evaluation.json``; None writes nothing.
    regions
        Regions of the patch set; default all.
    variants
        Test-time variants; see :func:`landslip.training.predict_tiles`.

    Raises
    ------
    LandslipError
        The run is damaged, the patches lack a band of its recipe, have no masks, or no pixel counts; ``out`` holds a
        map.
    """
    if out is not None and is_file(Path(out) / "map.json"):
        message = f"{os.fspath(out)}: holds a map, whose own evaluation this would replace; choose another --out"
        raise OutputError(message)
    bundle = Bundle.load(run)
    _warn_of_training_patches(bundle, Path(patches), regions)
    tiles = _tiles(bundle.recipe, Path(patches), tuple(regions))
    content = _scores(bundle, tiles, variants, progress) | {"run": Path(run).name, "data": Path(patches).name}
    if out is not None:
        with locked(out) as folder:
            write_json(folder / "evaluation.json", content)
    return Evaluation(content)


def _warn_of_training_patches(bundle: Bundle, path: Path, regions: Sequence[int]) -> None:
    """Warn where all of a patch set is scored that the run, going by its name and regions, was trained on."""
    if _is_tileset(path):
        return  # of which the test part alone is scored
    for ground in bundle.training.get("grounds", ()):
        trained = set(ground.get("regions") or ())
        if ground.get("path") == path.name and (not regions or trained & set(regions)):
            log.warning(
                "%s: the run was trained on a patch set of this name, so scores over all of it read too well; score "
                "the test part of prepared tiles (landslip prepare), or another --region",
                path,
            )
            return


def _tiles(recipe: Recipe, path: Path, regions: tuple[int, ...]) -> TileSet:
    if _is_tileset(path):
        tiles = TileSet.load(path).of(Part.TEST)
        chosen = tiles.subset(np.isin(tiles.region, regions)) if regions else tiles
        return chosen.select(recipe.layers)
    source = open_source(DataConfig(patches=path, regions=regions), bands=stored_bands(recipe))
    area, places = source.areas[0], source.places
    assert places is not None
    if area.scaling != recipe.scaling:
        log.warning("%s: image values are %s, the run was trained on %s", path, area.scaling, recipe.scaling)
    n, size = len(places.row), places.size
    image = build_layers(area.bands, recipe, regions=patch_regions(n, size, size))
    return TileSet(
        recipe.layers, as_patches(image, size), area.label.reshape(n, size, size),
        area.landslide.reshape(n, size, size), np.full(n, Part.TEST, np.uint8), np.zeros(n, np.int32),
        places.row, places.col, places.region, places.index, recipe, {"pixel_m": area.pixel_m},
    )  # fmt: skip


def _is_tileset(path: Path) -> bool:
    if path.suffix != ".npz" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "head.npy" in archive.namelist()


def _scores(bundle: Bundle, tiles: TileSet, variants: Variants, progress: Progress) -> dict[str, Any]:
    from landslip.training import predict_tiles

    counted = tiles.counted()
    if not counted.any():
        message = "no pixel to score: none is valid in all layers of the run and of known label; look at the masks"
        raise InputError(message)
    probability = predict_tiles(bundle, tiles, variants=variants, progress=progress)
    histogram = ProbabilityHistogram.from_arrays(probability, tiles.label, counted)
    landslides = per_landslide(
        probability >= 0.5, tiles.landslide, counted, pixel_area_m2=float(tiles.meta.get("pixel_m", 10.0)) ** 2
    )
    precision = histogram.average_precision()
    return {
        "format": FORMAT,
        "tiles": len(tiles),
        "variants": variants,
        "threshold": bundle.threshold,
        "scores": {
            "half": histogram.confusion(0.5).to_dict(),
            "threshold": histogram.confusion(bundle.threshold).to_dict(),
        },
        "average_precision": precision if np.isfinite(precision) else None,
        "calibration": calibration(probability, tiles.label, counted).to_dict(),
        "landslides": landslides.to_dict(),
        "outside_training_range": _warn(outside_range(tiles, bundle.recipe)),
    }


def outside_range(tiles: TileSet, recipe: Recipe) -> dict[str, float]:
    """Share of the valid pixels of each layer outside the 1st to 99th percentile of training, as a network sees them.

    Where the recipe matches images, they are matched first.
    """
    shares, image = {}, match_tiles(tiles.image, recipe)
    for i, name in enumerate(recipe.layers):
        values: NDArray[np.float32] = image[:, i][np.isfinite(image[:, i])]
        seen = recipe.statistics[name]
        outside = np.count_nonzero((values < seen.low) | (values > seen.high))
        shares[name] = outside / values.size if values.size else 0.0
    return shares


def _warn(shares: dict[str, float]) -> dict[str, float]:
    for name, share in shares.items():
        if share > OUTSIDE:
            log.warning("layer %r: %.0f %% of the pixels lie outside what the run was trained on", name, 100 * share)
    return shares


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
