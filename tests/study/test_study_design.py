import pytest

from landslip.errors import ConfigError, LayerError
from landslip.study.config import DataConfig, RowConfig, StudyConfig
from landslip.study.design import base_layers, layer_sets, plan_rows

DATA = DataConfig(scene="scene")
FULL = ("blue", "green", "red", "nir", "elevation", "slope", "pre_blue", "pre_green", "pre_red", "pre_nir")


def by_name(config, bands):
    return {row.name: row for row in plan_rows(config, bands)}


def test_paper_design_with_everything_there():
    rows = by_name(StudyConfig(data=DATA), FULL)
    assert list(rows) == [
        "unet", "resunet34", "attention-resunet34", "data-centric", "unet-steps", "attention-steps",
        "data-centric-pre", "forest",
    ]  # fmt: skip
    base = ("blue", "green", "red", "nir", "slope")
    assert rows["unet"].layers == rows["resunet34"].layers == rows["unet-steps"].layers == base
    assert rows["data-centric"].layers == (*base, "ndvi", *(f"{name}_obj" for name in (*base, "ndvi")))
    assert rows["data-centric"].augment == "paper5"
    assert rows["unet"].augment == "none"
    assert rows["unet-steps"].matched_to == rows["attention-steps"].matched_to == "data-centric"
    assert rows["attention-steps"].model == rows["attention-resunet34"].model
    assert {"d_red", "d_ndvi"} <= set(rows["data-centric-pre"].layers)
    assert {row.role for row in rows.values()} == {
        "baseline",
        "model",
        "attention",
        "attention-control",
        "data",
        "control",
        "other",
        "forest",
    }


def test_without_near_infrared_the_visible_index_stands_in():
    rows = by_name(StudyConfig(data=DATA), ("blue", "green", "red", "slope"))
    assert "ngrdi" in rows["data-centric"].layers
    assert "ndvi" not in rows["data-centric"].layers
    assert "data-centric-pre" not in rows


def test_patches_with_three_colours_only():
    bands = ("red", "green", "blue")
    assert base_layers(StudyConfig(data=DATA), bands) == ("blue", "green", "red")
    sets = layer_sets(("blue", "green", "red"), bands)
    assert list(sets) == ["base", "index", "objects"]


def test_factorial_design_crosses_everything_and_matches_steps():
    config = StudyConfig(data=DATA, design="factorial", forest=False)
    rows = by_name(config, FULL)
    assert len(rows) == 3 * 4 * 3
    assert {row.matched_to for row in rows.values()} == {None, "unet.base.paper5"}
    assert rows["unet.base.paper5"].matched_to is None
    few = by_name(config.model_copy(update={"augments": ("d4", "none")}), FULL)
    assert {row.matched_to for row in few.values()} == {None, "unet.base.d4"}
    assert sum(row.role == "baseline" for row in rows.values()) == 1


def test_data_design_changes_one_lever_at_a_time():
    rows = by_name(StudyConfig(data=DATA, design="data"), FULL)
    assert rows["plain"].role == "baseline"
    assert rows["no-augmentation"].layers == rows["plain"].layers
    assert rows["index"].augment == rows["plain"].augment
    assert all(row.factors for name, row in rows.items() if name != "forest")


@pytest.mark.parametrize("design", ["data", "factorial", "paper"])
def test_rows_that_are_compared_for_their_data_take_equally_many_updates(design, settings):
    """Also where levers add tiles, and where layers that do not reach everywhere take tiles away."""
    from helpers.study_area import make_area
    from landslip.data.tileset import Part
    from landslip.study.folds import plan_folds
    from landslip.study.prepare import prepare
    from landslip.study.runs import plan_runs, tiles_with_pixels, updates
    from landslip.study.sources import Source

    area = make_area(pre=True)
    for name in ("pre_blue", "pre_green", "pre_red"):
        area.bands[name][:, 100:300] = float("nan")
    bands = tuple(area.bands)
    config = settings.model_copy(update={"design": design, "seeds": (0,), "forest": False, "train": {"batch": 4}})
    rows = plan_rows(config, bands)
    layers = tuple(dict.fromkeys(name for row in rows for name in row.layers))
    folds = plan_folds(config, None)
    tiles = prepare(Source((area,)), base_layers(config, bands), layers, folds[0], config).tiles
    runs = plan_runs(config, rows, folds, {"main": tiles})
    reaching = {len(tiles_with_pixels(tiles.of(Part.TRAIN), run.row.layers)) for run in runs}
    assert len(reaching) > 1  # some rows do have fewer tiles
    compared = [run for run in runs if design != "paper" or run.row.name in ("data-centric-pre", "data-centric")]
    assert len({updates(run.train, tiles) for run in compared}) == 1


def test_a_row_that_would_have_epochs_without_an_update_is_refused(settings, source):
    from landslip.study.folds import plan_folds
    from landslip.study.prepare import prepare
    from landslip.study.runs import plan_runs

    rows = (RowConfig(name="short"), RowConfig(name="long", matched_to="short", train={"epochs": 9000}))
    config = settings.model_copy(update={"rows": rows, "design": "rows", "forest": False})
    planned, folds = plan_rows(config, source.bands), plan_folds(config, source)
    layers = base_layers(config, source.bands)
    tiles = prepare(source, layers, layers, folds[0], config).tiles
    with pytest.raises(ConfigError, match=r"row 'long': .*are fewer than epochs = 9000; lower epochs"):
        plan_runs(config, planned, folds, {"main": tiles})


def test_rows_of_ones_own_and_a_choice_of_rows():
    own = RowConfig(name="wide", train={"epochs": 3})
    config = StudyConfig(data=DATA, rows=(own,), only=("unet", "wide"))
    rows = by_name(config, FULL)
    assert list(rows) == ["unet", "wide"]
    assert rows["wide"].layers == rows["unet"].layers
    assert rows["wide"].label == "wide"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"only": ("unt",)}, "there is no row 'unt'; rows are: unet, resunet34"),
        ({"rows": (RowConfig(name="unet"),)}, "two rows are named 'unet'"),
        ({"rows": (RowConfig(name="x", matched_to="y"),)}, "there is no row 'y'"),
        ({"rows": (RowConfig(name="x", matched_to="x"),)}, r"row 'x': matched_to goes round in a circle .x -> x."),
        (
            {"rows": (RowConfig(name="x", matched_to="y"), RowConfig(name="y", matched_to="x"))},
            r"row 'x': matched_to goes round in a circle .x -> y -> x.; let one of them have its own",
        ),
        ({"rows": (RowConfig(name="x", matched_to="forest"),)}, "row 'x' is matched to 'forest', a forest, which has"),
    ],
)
def test_rows_that_cannot_be(changes, message):
    with pytest.raises(ConfigError, match=message):
        plan_rows(StudyConfig(data=DATA, **changes), FULL)


def test_layers_that_cannot_be():
    with pytest.raises(LayerError, match=r"layer 'ndvi' needs nir, which the scene scene does not have; .*'ngrdi'"):
        plan_rows(StudyConfig(data=DATA, layers=("red", "ndvi")), ("red", "green"))
    with pytest.raises(LayerError, match="unknown layer 'slop'; did you mean 'slope'"):
        plan_rows(StudyConfig(data=DATA, layers=("slop",)), FULL)
    with pytest.raises(ConfigError, match="no image band"):
        plan_rows(StudyConfig(data=DATA), ("elevation",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"data": {}}, "give exactly one of scene, scenes, patches, tiles .found none"),
        ({"data": {"scene": "a", "patches": "b"}}, "found scene and patches"),
        ({"data": {"scene": "a"}, "seeds": [1, 1]}, "seeds must be different"),
        ({"data": {"scene": "a"}, "desing": "paper"}, "unknown key 'desing'; did you mean 'design'"),
        ({"data": {"scene": "a"}, "split": {"buffer": 3}}, "unknown key 'split.buffer'; did you mean 'buffer_px'"),
        ({"data": {"scene": "a"}, "train": {"seed": 3}}, "'train.seed' is set by seeds"),
        ({"data": {"scene": "a"}, "augments": ["d5"]}, "augments"),
        ({"data": {"scene": "a"}, "design": "rows"}, "needs at least one"),
        ({"data": {"scene": "a"}, "rows": [{"name": "A b"}]}, "is no folder name"),
        ({"data": {"patches": "a", "test_polygon": "p.gpkg"}}, "test_polygon needs a single scene"),
        (
            {"data": {"scene": "a", "test_polygon": "p"}, "split": {"folds": 3}},
            "split.folds and data.test_polygon both",
        ),
        ({"data": {"patches": "a"}, "split": {"design": "supplied", "folds": 3}}, "'supplied' both say what is tested"),
        ({"data": {"tiles": "a"}, "leave_one_region_out": True}, "leave_one_region_out and data.tiles both"),
    ],
)
def test_settings_that_make_no_sense_are_refused(content, message):
    with pytest.raises(ConfigError, match=message):
        StudyConfig.from_dict(content)
