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
        "unet", "resunet34", "attention-resunet34", "data-centric", "unet-steps", "data-centric-pre", "forest",
    ]  # fmt: skip
    base = ("blue", "green", "red", "nir", "slope")
    assert rows["unet"].layers == rows["resunet34"].layers == rows["unet-steps"].layers == base
    assert rows["data-centric"].layers == (*base, "ndvi", *(f"{name}_obj" for name in (*base, "ndvi")))
    assert rows["data-centric"].augment == "paper5"
    assert rows["unet"].augment == "none"
    assert rows["unet-steps"].matched_to == "data-centric"
    assert {"d_red", "d_ndvi"} <= set(rows["data-centric-pre"].layers)
    assert {row.role for row in rows.values()} == {
        "baseline",
        "model",
        "attention",
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
    for row in rows.values():
        partner = row.matched_to
        assert (partner is None) == (row.augment == "paper5")
        if partner:
            assert rows[partner].layers == row.layers
            assert rows[partner].model == row.model
            assert rows[partner].augment == "paper5"
    assert sum(row.role == "baseline" for row in rows.values()) == 1


def test_data_design_changes_one_lever_at_a_time():
    rows = by_name(StudyConfig(data=DATA, design="data"), FULL)
    assert rows["plain"].role == "baseline"
    assert rows["no-augmentation"].layers == rows["plain"].layers
    assert rows["index"].augment == rows["plain"].augment
    assert all(row.factors for name, row in rows.items() if name != "forest")


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
