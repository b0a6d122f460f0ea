"""C-correction: light and shade of the terrain go, the ground's own brightness stays."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import CRS

from landslip.errors import ConfigError
from landslip.grid import Grid
from landslip.scene.build import build_scene
from landslip.scene.config import SceneConfig
from landslip.scene.elevation import ElevationConfig, open_elevation
from landslip.scene.elevation.illumination import LARGEST_FACTOR, CCorrection, CFit, Illumination

GRID = Grid((300, 320), Affine(10, 0, 500_000, 0, -10, 4_730_000), CRS.from_epsg(32654))
SUN = (150.0, 45.0)


@pytest.fixture(scope="module")
def elevation(tmp_path_factory):
    path = tmp_path_factory.mktemp("dem") / "dem.tif"
    rows, cols = np.indices((140, 150))
    z = 300 + 90 * np.sin(cols / 9) + 80 * np.cos(rows / 8 + cols / 20)
    profile = {"driver": "GTiff", "height": 140, "width": 150, "count": 1, "dtype": "float32", "crs": "EPSG:32654"}
    with rasterio.open(path, "w", **profile, transform=Affine(30, 0, 499_500, 0, -30, 4_730_500)) as dataset:
        dataset.write(z.astype("float32"), 1)
    return open_elevation(path, GRID, ElevationConfig(layers=("hillshade",)))


def shaded(elevation, reflectance: np.ndarray, c: float) -> np.ndarray:
    lit, _ = elevation.lit(GRID.window, SUN)
    flat = np.sin(np.radians(SUN[1]))
    return (reflectance * (np.maximum(lit, 0) + c) / (flat + c)).astype("float32")


def test_light_is_taken_out_and_brightness_stays(elevation):
    rng = np.random.default_rng(2)
    ground = (0.2 + 0.03 * rng.random(GRID.shape)).astype("float32")
    ground[100:120, 100:140] = 0.35  # a landslide
    image = np.stack([shaded(elevation, ground, 0.3), shaded(elevation, 2 * ground, 0.9)])
    found = Illumination.fit(elevation, SUN, ("red", "nir"), lambda window: image[:, *window.slices])
    constants = found.correction.constants
    assert constants["red"] == pytest.approx(0.3, abs=0.05)
    assert constants["nir"] == pytest.approx(0.9, abs=0.12)
    corrected = found.apply(GRID.window, image)
    lit, slope = elevation.lit(GRID.window, SUN)
    steep = slope > 10
    before = np.corrcoef(lit[steep], image[0][steep])[0, 1]
    after = np.corrcoef(lit[steep], corrected[0][steep])[0, 1]
    assert before > 0.9
    assert abs(after) < 0.1
    assert np.abs(corrected[0] - ground).mean() < 0.005
    assert corrected[0][100:120, 100:140].mean() == pytest.approx(0.35, abs=0.01)
    assert found.to_dict()["sun_azimuth_deg"] == 150.0


def test_windows_are_corrected_as_the_whole(elevation):
    rng = np.random.default_rng(3)
    image = shaded(elevation, rng.random(GRID.shape).astype("float32"), 0.4)[None]
    found = Illumination.fit(elevation, SUN, ("red",), lambda window: image[:, *window.slices])
    whole = found.apply(GRID.window, image)
    from landslip.windows import Window

    part = Window(33, 71, 120, 99)
    np.testing.assert_array_equal(found.apply(part, image[:, *part.slices]), whole[:, *part.slices])


def test_a_band_that_does_not_follow_the_light_stays(elevation, caplog):
    image = np.random.default_rng(5).random((1, *GRID.shape)).astype("float32")
    lit, _ = elevation.lit(GRID.window, SUN)
    image[0] -= 0.5 * lit
    with caplog.at_level("WARNING", "landslip"):
        found = Illumination.fit(elevation, SUN, ("red",), lambda window: image[:, *window.slices])
    assert found.correction.constants == {"red": None}
    assert "red does not follow the terrain's light" in caplog.text
    np.testing.assert_array_equal(found.apply(GRID.window, image), image)


def test_invalid_pixels_stay_invalid_and_deep_shade_is_not_blown_up():
    correction = CCorrection({"red": 0.05}, flat=0.7)
    lit = np.array([[0.7, 0.0, -0.4, np.nan]], np.float32)
    got = correction.apply({"red": np.array([[0.2, 0.2, 0.2, 0.2]], np.float32)}, lit)["red"]
    np.testing.assert_allclose(got[0, :3], [0.2, 0.2 * LARGEST_FACTOR, 0.2 * LARGEST_FACTOR], rtol=1e-6)
    assert np.isnan(got[0, 3])
    nothing = CFit(("red",)).correction(45.0)
    assert nothing.constants == {"red": None}


def test_a_scene_is_corrected_by_option(tmp_path, image, dem):
    settings = {"images": (str(image),), "dem": (str(dem),), "elevation": {"allow_partial": True}}
    plain = build_scene(SceneConfig(**settings), tmp_path / "plain")
    scene = build_scene(SceneConfig(**settings, sun=SUN), tmp_path / "scene")
    said = scene.info["illumination"]["post"]
    assert (said["sun_azimuth_deg"], said["sun_elevation_deg"]) == SUN
    assert set(said["c"]) == set(plain.info["layers"]) - {"elevation", "slope"}
    assert "illumination" not in plain.info
    for name, constant in said["c"].items():
        same = np.array_equal(scene.read([name]), plain.read([name]), equal_nan=True)
        assert same == (constant is None)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"sun": (150.0, 95.0), "dem": ("d.tif",)}, "sun 150,95: azimuth must be 0 to 360, elevation over 0 to 90"),
        ({"sun": (150.0, 45.0)}, "light and shade are corrected with an elevation model"),
        ({"sun": (150.0, 45.0), "dem": ("d.tif",), "pre": ("p",)}, "give the sun of both images"),
    ],
)
def test_suns_that_cannot_be(settings, says):
    with pytest.raises(ConfigError, match=says):
        SceneConfig.from_dict({"images": ("post",), **settings})
