"""The real data go through the readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from landslip.errors import InputError
from landslip.layers.catalogue import bands_needed, compute
from landslip.scene.build import build_scene
from landslip.scene.config import SceneConfig
from landslip.scene.images.metadata import parse_metadata
from landslip.scene.images.sources import ReadOptions, read_images
from landslip.scene.remarks import Remarks
from landslip.scene.store import Scene

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="the real data (../shared/data) are not here"),
]


@pytest.fixture(scope="module")
def iburi(tmp_path_factory) -> Scene:
    folder = DATA / "iburi"
    config = SceneConfig(
        images=(str(folder / "post"),),
        pre=(str(folder / "pre"),),
        dem=(str(folder / "DSM.tif"),),
        inventory=str(folder / "inventory.gpkg"),
        aoi=str(folder / "mapped_extent.gpkg"),
    )
    return build_scene(config, tmp_path_factory.mktemp("iburi") / "scene")


def test_iburi_becomes_a_scene_without_near_infrared(iburi):
    assert iburi.grid.crs.to_epsg() == 32654
    assert iburi.grid.resolution == (10.0, 10.0)
    assert iburi.layers == (
        *("blue", "green", "red", "elevation", "slope"),
        *("pre_blue", "pre_green", "pre_red"),
    )
    assert "NDVI cannot be had, the visible index ngrdi can" in " ".join(iburi.info["remarks"])
    assert iburi.info["validity"]["image"] == pytest.approx(0.976, abs=0.005)
    assert iburi.info["validity"]["pre"] == pytest.approx(0.58, abs=0.02)  # the swath ends half-way


def test_iburi_labels_have_the_stated_prevalence(iburi):
    labels, landslides = iburi.labels(), iburi.landslides()
    known = labels != 255
    assert (labels == 1).sum() / known.sum() == pytest.approx(0.078, abs=0.001)
    assert ((labels == 1) == (landslides > 0)).all()
    assert len(np.unique(landslides)) - 1 == len(iburi.inventory()) == 752


def test_iburi_landslides_are_steeper_brighter_and_new(iburi):
    red, slope, before = iburi.read(["red", "slope", "pre_red"])
    labels = iburi.labels()
    seen = np.isfinite(red) & np.isfinite(slope) & np.isfinite(before)
    inside, outside = seen & (labels == 1), seen & (labels == 0)
    assert np.median(red[inside]) > 1.2 * np.median(red[outside])
    assert np.median(slope[inside]) > np.median(slope[outside]) + 3
    assert np.median((red - before)[inside]) > np.median((red - before)[outside]) + 0.02


def test_iburi_differences_and_index_are_layers(iburi):
    wanted = ("d_red", "d_ngrdi", "ngrdi", "slope")
    names = bands_needed(wanted)
    bands = dict(zip(names, iburi.read(names), strict=True))
    for name in wanted:
        layer = compute(name, bands)
        assert np.isfinite(layer).mean() > 0.5
        assert np.isnan(layer[~iburi.validity("image")]).all() or name == "slope"


def test_stac_item_with_its_copies(tmp_path):
    item = DATA / "sentinel2" / "cog" / "S2A_29RKH_20200219_0_L2A.json"
    scene = build_scene(SceneConfig(images=(str(item),), resolution=100), tmp_path / "scene")
    assert scene.layers == ("blue", "green", "red", "nir")
    assert scene.dates == {"post": ["2020-02-19"]}
    # the item itself says 4.05 % cloud of all kinds
    assert scene.info["validity"]["clouds"] == pytest.approx(1 - 0.0405, abs=0.003)
    band = scene.info["images"]["post"][0]["bands"]["red"]
    assert (band["offset"], band["quantification"], band["assumed"]) == (0, 10000, False)  # baseline 02.14
    assert np.nanmedian(scene.read(["nir"])) > np.nanmedian(scene.read(["red"])) > 0.2  # the Sahara


@pytest.mark.parametrize("level", ["L2A", "L1C"])
def test_product_layouts(tmp_path, level):
    (product,) = (DATA / "sentinel2" / "safe_layout").glob(f"*MSI{level}*.SAFE")
    scene = build_scene(SceneConfig(images=(str(product),), extra_bands=("swir1",)), tmp_path / "scene")
    image = scene.info["images"]["post"][0]
    assert (image["level"], image["baseline"]) == (level, "04.00")
    assert all(f"{image['date'].replace('-', '')}T" in band["file"] for band in image["bands"].values())
    assert image["bands"]["red"]["offset"] == -1000
    assert scene.layers == ("blue", "green", "red", "nir", "swir1")
    assert scene.grid.shape == (128, 128)


def test_product_metadata():
    (product,) = (DATA / "sentinel2" / "safe_metadata").glob("*.SAFE")
    metadata = parse_metadata((product / "MTD_MSIL2A.xml").read_bytes(), where="MTD_MSIL2A.xml")
    assert (metadata.level, metadata.baseline, metadata.date) == ("L2A", "05.09", "2023-06-25")
    assert metadata.quantification == 10000
    assert set(metadata.offsets.values()) == {-1000}
    assert len(metadata.offsets) == 13
    assert sum(name.endswith("_10m") for name in metadata.images) == 7
    with pytest.raises(InputError, match="a Sentinel-2 product without image files"):
        read_images([str(product)], ReadOptions(), Remarks())


def test_terrain_file_with_elevation_among_its_bands(tmp_path):
    """A scene on the grid of a terrain file, whose own slope is of another formula."""
    import rasterio

    from helpers.scene_inputs import TAGS, numbers_of, write_raster
    from landslip.grid import Grid

    terrain = DATA / "terrain" / "ta.tif"
    with rasterio.open(terrain) as dataset:
        grid = Grid.of_raster(dataset)
        theirs = dataset.read(1)
    for number in ("B02", "B03", "B04"):
        write_raster(tmp_path / "post" / f"{number}.tif", numbers_of(0, grid.shape), grid, tags=TAGS)
    config = SceneConfig(
        images=(str(tmp_path / "post"),), dem=(str(terrain),), elevation={"allow_partial": True}, resolution=10
    )
    scene = build_scene(config, tmp_path / "scene")
    ours = scene.read(["slope"])[0]
    both = np.isfinite(ours) & np.isfinite(theirs) & (theirs >= 0)
    assert both.mean() > 0.3
    assert np.median(np.abs(ours - theirs)[both]) < 2
