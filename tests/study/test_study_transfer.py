from dataclasses import replace

import numpy as np
import pytest
from study_data import OPTIONS, TINY, make_area

from landslip.data.tileset import Part, TileSet
from landslip.errors import ConfigError, InputError
from landslip.layers.stack import as_raster
from landslip.progress import SILENT
from landslip.splits import SplitConfig
from landslip.study.config import DataConfig, RowConfig, StudyConfig
from landslip.study.design import plan_rows
from landslip.study.sources import Area, PatchPlaces, Source, number_landslides
from landslip.study.transfer import check_places, run_transfer


def two_regions(n=48, size=32):
    rng = np.random.default_rng(3)
    label = np.zeros((2 * n, size, size), np.uint8)
    label[:, 5:14, 8:24] = 1
    bright = np.where(np.arange(2 * n) < n, 0.2, -0.05)[:, None, None]  # landslides of the second region are dark
    image = (0.1 + bright * label + rng.normal(0, 0.02, label.shape)).astype(np.float32)
    row, col = (np.tile(axis.ravel(), 2).astype(np.int32) for axis in np.mgrid[:6, :8])
    region = np.repeat(np.array([1, 2], np.int32), n)
    places = PatchPlaces(row, col, region, np.arange(2 * n), None, size)
    return Source((Area({"red": as_raster(image)}, as_raster(label), as_raster(number_landslides(label))),), places)


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("transfer")
    config = StudyConfig(
        data=DataConfig(patches="p.npz"),
        split=SplitConfig(block_tiles=1, buffer_px=0, tile=32),
        seeds=(0,),
        train={**TINY, "epochs": 1},
        model_options=OPTIONS,
        only=("unet", "objects"),
        rows=(RowConfig(name="objects", model="forest", layers=("red", "red_obj")),),
        transfer_rows=("unet", "objects"),
        layers=("red",),
        objects={"scale": 40.0},
        forest=False,
        transfer_tiles=6,
        draws=100,
    )
    source = two_regions()
    entries = run_transfer(source, ("red",), plan_rows(config, ("red",)), config, folder, SILENT)
    return folder, entries


def test_what_is_learned_at_home_does_not_travel_to_the_opposite(matrix):
    _, (_, plain, _) = matrix
    f1 = [[cell["value"] for cell in line] for line in plain["f1"]]
    assert plain["places"] == ["1", "2"]
    assert f1[0][0] > 0.8
    assert f1[0][1] < f1[0][0] - 0.3
    assert plain["outside"][0][1] > plain["outside"][0][0]  # and the inputs show it


def test_fine_tuned_matrix_has_no_diagonal(matrix):
    _, (plain, _, tuned) = matrix
    assert [[cell is None for cell in line] for line in tuned["f1"]] == [[True, False], [False, True]]
    assert "after fine-tuning on 6 tiles" in tuned["title"]
    assert "as it is" in plain["title"]


def test_layers_are_fitted_on_the_own_place_alone(matrix):
    folder, _ = matrix
    first, second = (TileSet.load(folder / f"tiles-from{region}.npz") for region in (1, 2))
    assert first.recipe.statistics["red"].high > 0.25
    assert second.recipe.statistics["red"].high < 0.2
    own = first.of(Part.TRAIN).subset(first.of(Part.TRAIN).region == 1)
    assert first.recipe.statistics["red"].mean == pytest.approx(float(own.image.mean()), rel=1e-4)


def test_one_place_and_overlapping_scenes_are_refused():
    with pytest.raises(ConfigError, match="transfer needs at least two"):
        check_places(Source((make_area(),)))
    from affine import Affine

    from landslip.grid import Grid, read_crs

    crs = read_crs("EPSG:32654", what="test")

    def at(name, east, region):
        grid = Grid((256, 512), Affine(10, 0, east, 0, -10, 4_700_000), crs)
        return replace(make_area(region=region), about={"path": name, "grid": grid.to_dict()})

    check_places(Source((at("a", 500_000, 0), at("b", 510_000, 1))))
    with pytest.raises(InputError, match="scenes a and b overlap: a model would be tested where it was trained"):
        check_places(Source((at("a", 500_000, 0), at("b", 504_000, 1))))


def test_rows_that_are_not_there_are_named(tmp_path):
    config = StudyConfig(data=DataConfig(patches="p"), layers=("red",), forest=False, transfer_rows=("nothing",))
    with pytest.raises(ConfigError, match="transfer_rows names no row of the study; rows are: unet"):
        run_transfer(two_regions(), ("red",), plan_rows(config, ("red",)), config, tmp_path, SILENT)


def test_a_run_that_begins_from_another_is_the_same_wherever_the_study_lies():
    from landslip.study.config import RowConfig
    from landslip.study.prepare import Fold
    from landslip.study.runs import Run
    from landslip.training import TrainConfig

    def run(place, origin="runs/unet/seed0"):
        train = TrainConfig(weights=f"{place}/{origin}")
        return Run(RowConfig(name="unet"), 0, Fold("main", SplitConfig(), ""), "runs/x", train, begins_from=origin)

    assert run("here").digest("t") == run("there").digest("t")
    assert run("here").digest("t") != run("here", "runs/unet/seed1").digest("t")
