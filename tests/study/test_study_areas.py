"""Areas of landslides: of the inventory, of the truth where it is known, of each row's map."""

from dataclasses import replace

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine

from helpers.study_area import make_area
from landslip.data.tileset import Part
from landslip.errors import ConfigError, CoverageError
from landslip.grid import Grid, read_crs
from landslip.study import plan as module
from landslip.study.areas import save_truth
from landslip.study.config import DataConfig, StudyConfig
from landslip.study.polygons import burn_truth
from landslip.study.sources import Source
from landslip.study.study import run_study

GRID = Grid((256, 512), Affine(10, 0, 500_000, 0, -10, 4_700_000), read_crs("EPSG:32654", what="test"))


class OnGrid:
    grid = GRID


def test_truth_is_burnt_and_only_the_test_part_is_kept(tmp_path):
    west, _, _, north = GRID.bounds
    boxes = [shapely.box(west + 10 * c, north - 60, west + 10 * c + 40, north - 20) for c in (5, 100, 400)]
    geopandas.GeoDataFrame(geometry=boxes, crs=GRID.crs.to_wkt()).to_file(tmp_path / "true.gpkg")
    truth = burn_truth(tmp_path / "true.gpkg", OnGrid())
    assert sorted(np.bincount(truth.ravel())[1:].tolist()) == [16, 16, 16]
    part = np.full(GRID.shape, Part.TRAIN, np.uint8)
    part[:, 300:] = Part.TEST
    part[:4, 400:403] = Part.UNUSED
    assert save_truth(tmp_path / "truth.npz", Source((replace(make_area(), truth=truth),)), [part])
    with np.load(tmp_path / "truth.npz") as content:
        assert content["areas_m2"].tolist() == [10 * 100.0]
    assert not save_truth(tmp_path / "none.npz", Source((make_area(),)), [part])
    far = geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 50, 50)], crs=GRID.crs.to_wkt())
    far.to_file(tmp_path / "far.gpkg")
    with pytest.raises(CoverageError, match=r"far\.gpkg: "):
        burn_truth(tmp_path / "far.gpkg", OnGrid())


def test_study_tells_mapped_and_true_landslides_side_by_side(settings, monkeypatch, tmp_path):
    area = make_area()
    missed = np.where(area.landslide % 3 == 0, 0, area.landslide)
    incomplete = replace(area, landslide=missed, label=(missed > 0).astype(np.uint8), truth=area.landslide)
    monkeypatch.setattr(module, "open_source", lambda *_args, **_more: Source((incomplete,)))
    config = settings.model_copy(update={"only": ("forest",), "seeds": (0, 1)})
    content = run_study(config, tmp_path / "out", report=False).content
    curves, [row] = content["area_frequency"], content["rows"]
    assert list(curves) == ["mapped", "true", "law", "forest"]
    test = content["split"]["parts"][2]
    assert curves["mapped"]["landslides"] == test["landslides"]
    assert curves["mapped"]["total_m2"] == 100 * test["landslide_pixels"]
    assert curves["true"]["landslides"] > curves["mapped"]["landslides"]
    with np.load(tmp_path / "out" / "split.npz") as split:
        assert curves["true"]["total_m2"] == 100 * np.count_nonzero(area.landslide[split["part_0"] == Part.TEST])
    predicted = np.mean([run["scores"]["test"]["tp"] + run["scores"]["test"]["fp"] for run in row["runs"]])
    assert curves["forest"]["total_m2"] == pytest.approx(100 * predicted)  # mean over seeds
    again = run_study(None, tmp_path / "out", resume=True, report=False).content
    assert again["area_frequency"] == curves


def test_truth_needs_a_single_scene():
    with pytest.raises(ConfigError, match="truth needs a single scene"):
        StudyConfig(data=DataConfig.from_dict({"patches": "p.npz", "truth": "t.gpkg"}))
