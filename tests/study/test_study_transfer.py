import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from helpers.study_area import OPTIONS, TINY, make_area
from helpers.training_tiles import make_tiles
from landslip.cluster import Outcome
from landslip.data.tileset import Part, TileSet
from landslip.errors import ConfigError, InputError, SplitError
from landslip.layers.stack import as_raster
from landslip.progress import SILENT
from landslip.splits import SplitConfig
from landslip.study import parallel
from landslip.study.config import DataConfig, RowConfig, StudyConfig
from landslip.study.content import _data, _warning
from landslip.study.design import plan_rows
from landslip.study.runs import read_finished
from landslip.study.sources import Area, PatchPlaces, Source, number_landslides
from landslip.study.study import run_study
from landslip.study.transfer import Place, check_places, check_split, fine_tuning, run_transfer
from landslip.study.transfer import run as transfer
from landslip.study.transfer.matrix import matrix as make_entry
from landslip.study.transfer.warning import warning_against_drop
from landslip.training import TrainConfig


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


def make_matrix(folder, cluster=None):
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
    rows = plan_rows(config, ("red",))
    return folder, run_transfer(source, ("red",), rows, config, folder, SILENT, cluster)


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    return make_matrix(tmp_path_factory.mktemp("transfer"))


def test_matrix_made_by_jobs_is_the_same(matrix, tmp_path, monkeypatch):
    """All runs are made by jobs that know nothing but their arguments; afterwards they are found finished."""
    made = []

    def here(cluster, function, jobs, **_more):
        for job in jobs:
            made.append(job.name)
            yield Outcome(job, function(*pickle.loads(pickle.dumps(job.arguments))))

    monkeypatch.setattr(parallel, "run_all", here)
    monkeypatch.setattr(transfer, "execute", only_read)
    assert make_matrix(tmp_path, cluster=object())[1] == matrix[1]
    assert sorted(made) == [
        "objects/seed0-from1", "objects/seed0-from2", "unet/seed0-from1", "unet/seed0-from1-to2",
        "unet/seed0-from2", "unet/seed0-from2-to1",
    ]  # fmt: skip


def only_read(run, tiles, study, tiles_id, **_more):
    return read_finished(run, study, tiles_id)


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"patches": "p"}, "transfer_rows": ("unett",)}, "transfer_rows names no row of the study; rows are"),
        ({"data": {"tiles": "t.npz"}}, "transfer needs scenes or patches, not tiles"),
    ],
)
def test_a_matrix_that_cannot_be_is_told_before_anything_is_made(tmp_path, monkeypatch, changes, message):
    monkeypatch.setattr("landslip.study.plan.open_source", lambda *_, **__: two_regions())
    monkeypatch.setattr("landslip.study.plan.TileSet.load", lambda _: None)
    content = {"layers": ("red",), "forest": False, "only": ("unet",), "transfer": True, "split": {"tile": 32}}
    content["split"] |= {"block_tiles": 1, "buffer_px": 0}
    with pytest.raises(ConfigError, match=message):
        run_study(StudyConfig.from_dict(content | changes), tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_where_a_row_matches_images_the_warning_looks_at_matched_ones(matrix):
    """A place ten times as bright lies outside the range, but not once it is matched."""
    folder, _ = matrix
    tiles = TileSet.load(folder / "tiles-from1.npz")
    tiles.image[tiles.region == 2] *= 10
    config = StudyConfig(data=DataConfig(patches="p"), layers=("red",), train={"match_images": True})
    places = [Place(region, tiles, "") for region in (1, 2)]
    shares = {}
    for name, row in (
        ("matched", RowConfig(name="unet", layers=("red",))),
        ("not", RowConfig(name="unet", layers=("red",), train={"match_images": False})),
        ("forest", RowConfig(name="unet", model="forest", layers=("red",))),
    ):
        shares[name] = make_entry(row, places, {}, folder, config, "")["outside"][0][1]
    assert shares["matched"] < 0.2 < 0.5 < shares["not"] == shares["forest"]


def test_a_run_that_begins_from_another_is_the_same_wherever_the_study_lies():
    from landslip.study.config import RowConfig
    from landslip.study.folds import Fold
    from landslip.study.runs import Run

    def run(place, origin="runs/unet/seed0"):
        train = TrainConfig(weights=f"{place}/{origin}")
        return Run(RowConfig(name="unet"), 0, Fold("main", SplitConfig(), ""), "runs/x", train, begins_from=origin)

    assert run("here").digest("t") == run("there").digest("t")
    assert run("here").digest("t") != run("here", "runs/unet/seed1").digest("t")


def an_entry(f1, worst):
    """A matrix as ``study.json`` has it, of the given scores and shares outside the range."""
    cells = [[None if value is None else {"value": value, "low": 0.0, "high": 1.0} for value in line] for line in f1]
    shares = [[{"layer": "red", "share": share} for share in line] for line in worst]
    return {"places": ["a", "b", "c"], "f1": cells, "worst": shares}


def test_warning_is_set_against_what_scores_lost_between_places():
    f1 = [[0.8, 0.5, 0.75], [0.6, 0.7, 0.65], [None, 0.4, 0.9]]
    worst = [[0.02, 0.4, 0.03], [0.06, 0.02, 0.04], [0.9, 0.5, 0.02]]
    found = warning_against_drop(an_entry(f1, worst))
    assert [(p["trained"], p["tested"], p["warned"]) for p in found["pairs"]] == [
        ("a", "b", True), ("a", "c", False), ("b", "a", True), ("b", "c", False), ("c", "a", True), ("c", "b", True),
    ]  # fmt: skip
    assert found["pairs"][0]["drop"] == pytest.approx(0.3)
    assert found["pairs"][4]["drop"] is None
    assert found["drop_warned"] == pytest.approx((0.3 + 0.1 + 0.5) / 3)
    assert found["drop_silent"] == pytest.approx((0.05 + 0.05) / 2)
    assert found["rank_correlation"] > 0.8
    nothing = warning_against_drop(an_entry([[0.5] * 3] * 3, [[0.0] * 3] * 3))
    assert (nothing["rank_correlation"], nothing["drop_warned"], nothing["drop_silent"]) == (None, None, 0.0)
    json.dumps(warning_against_drop(an_entry(f1, np.array(worst))))  # shares as numpy has them end in study.json too


def test_matrix_knows_its_places_blocks_and_warning(matrix):
    _, (plain, _, tuned) = matrix
    assert plain["seeds"] == 1
    assert all(blocks >= 10 for blocks in plain["blocks"])
    pairs = plain["warning"]["pairs"]
    assert [pair["drop"] for pair in pairs] == pytest.approx(
        [plain["f1"][i][i]["value"] - plain["f1"][i][j]["value"] for i, j in ((0, 1), (1, 0))]
    )
    assert pairs[0]["layer"] == "red"
    assert pairs[0]["warned"]  # landslides darker than anything that was trained on
    assert "warning" not in tuned


def test_places_have_names():
    scenes = DataConfig(scenes=("x/north", "x/south"))
    assert [scenes.place(i) for i in (0, 1)] == ["north", "south"]
    assert DataConfig(scenes=("a/scene", "b/scene")).place(1) == "b/scene"
    named = DataConfig.from_dict({"patches": "p", "region_names": {"1": "Taiwan"}})
    assert [named.place(i) for i in (1, 2)] == ["Taiwan", "2"]
    tiles = make_tiles()
    tiles = replace(tiles, region=np.arange(len(tiles), dtype=np.int32) % 2 + 1)
    assert _data(tiles, StudyConfig(data=named))["regions"] == {"1": "Taiwan"}  # what the report calls its maps by
    assert "regions" not in _data(tiles, StudyConfig(data=DataConfig(patches="p")))


def test_a_warning_names_the_fold_where_there_are_several():
    found = {"fold": "fold1", "text": "test pixels touch training pixels"}
    assert _warning(found, 3) == "fold1: test pixels touch training pixels"
    assert _warning(found, 1) == "test pixels touch training pixels"


def test_fine_tuning_takes_a_share_of_the_epochs_or_of_the_updates():
    again = fine_tuning(TrainConfig(epochs=10, learning_rate=1e-3), "run")
    assert (again.epochs, again.steps, again.weights) == (2, None, "run")
    assert again.learning_rate == pytest.approx(1e-4)
    assert fine_tuning(TrainConfig(epochs=10, steps=300), "run").steps == 60


def test_dry_run_counts_the_runs_of_the_matrix(monkeypatch, tmp_path):
    from landslip.study import plan as module
    from landslip.study.probe import probe_study

    config = StudyConfig(
        data=DataConfig(patches="p.npz"), design="rows", forest=False, layers=("red",), seeds=(0, 1),
        split=SplitConfig(block_tiles=1, buffer_px=0, tile=32), train={**TINY, "steps": 10}, model_options=OPTIONS,
        rows=(RowConfig(name="one"), RowConfig(name="two")), transfer=True, transfer_rows=("one",),
    )  # fmt: skip
    monkeypatch.setattr(module, "open_source", lambda *_args, **_more: two_regions())
    plain = {row.name: row for row in probe_study(config, tmp_path / "out").rows}
    assert list(plain) == ["one", "two", "one (transfer)"]
    assert (plain["one (transfer)"].runs, plain["one (transfer)"].updates) == (4, 10)
    assert 0 < plain["one (transfer)"].tiles < plain["one"].tiles
    monkeypatch.setattr("landslip.study.probe.BUSY", 2.0)
    told = probe_study(config, tmp_path / "out").remarks[-1]
    assert told.startswith("other work kept the processors busy while this was timed: about ")
    tuned = probe_study(config.model_copy(update={"transfer_tiles": 4}), tmp_path / "out").rows[-1]
    assert tuned.runs == 8


def test_a_place_without_landslides_in_a_part_is_named_before_anything_is_trained():
    source = two_regions()
    config = StudyConfig(data=DataConfig.from_dict({"patches": "p", "region_names": {"2": "Iburi"}}), layers=("red",))
    config = config.model_copy(update={"split": SplitConfig(block_tiles=1, buffer_px=0, tile=32)})
    check_split(source, ("red",), config)
    held_out = config.model_copy(update={"split": config.split.model_copy(update={"test_regions": (2,)})})
    with pytest.raises(SplitError, match=r"transfer, 1: no test pixel is left by the split"):
        check_split(source, ("red",), held_out)
    label = source.areas[0].label.copy()
    label[48 * 32 :] = 0
    bare = replace(source, areas=(replace(source.areas[0], label=label),))
    with pytest.raises(SplitError, match=r"transfer, Iburi: not a single landslide in the training part"):
        check_split(bare, ("red",), config)


def test_a_scene_without_landslides_in_a_part_is_named_too():
    areas = tuple(make_area(seed=i, region=i) for i in (0, 1))
    label = areas[1].label.copy()
    label[:, 256:] = 0
    config = StudyConfig(data=DataConfig(scenes=("north", "south")), split=SplitConfig(tile=32, buffer_px=8))
    check_split(Source(areas), ("red",), config)
    with pytest.raises(SplitError, match="transfer, south: not a single landslide in the test part"):
        check_split(Source((areas[0], replace(areas[1], label=label))), ("red",), config)
