import numpy as np
import pytest

from landslip.errors import LayerError
from landslip.layers.catalogue import bands_needed, compute, describe, require_bands


def bands(**values: float) -> dict[str, np.ndarray]:
    return {name: np.full((2, 3), value, np.float32) for name, value in values.items()}


def test_ndvi_known_answer() -> None:
    assert compute("ndvi", bands(nir=0.4, red=0.1)) == pytest.approx(0.6)


@pytest.mark.parametrize(("nir", "red"), [(0.0, 0.0), (-0.02, 0.01), (0.01, -0.01)])
def test_ndvi_is_invalid_where_the_sum_is_not_positive(nir: float, red: float) -> None:
    assert np.isnan(compute("ndvi", bands(nir=nir, red=red))).all()


def test_ndvi_keeps_negative_reflectance_with_positive_sum() -> None:
    assert compute("ndvi", bands(nir=0.3, red=-0.01)) == pytest.approx(0.31 / 0.29)


def test_difference_is_after_minus_before() -> None:
    layer = compute("d_ngrdi", bands(green=0.1, red=0.3, pre_green=0.3, pre_red=0.1))
    assert layer == pytest.approx(-0.5 - 0.5)


def test_invalid_band_makes_the_index_invalid_there_alone() -> None:
    stack = bands(nir=0.4, red=0.1)
    stack["red"][1, 2] = np.nan
    invalid = np.isnan(compute("ndvi", stack))
    assert invalid[1, 2]
    assert invalid.sum() == 1


@pytest.mark.parametrize(
    ("name", "sources", "needs"),
    [
        ("blue", ("image",), ("blue",)),
        ("slope", ("dem",), ("slope",)),
        ("ndvi", ("image",), ("nir", "red")),
        ("pre_ndvi", ("pre",), ("pre_nir", "pre_red")),
        ("d_red", ("image", "pre"), ("red", "pre_red")),
        ("slope_obj", ("dem",), ("slope",)),
        ("d_ndvi_obj", ("image", "pre"), ("nir", "red", "pre_nir", "pre_red")),
    ],
)
def test_describe(name: str, sources: tuple[str, ...], needs: tuple[str, ...]) -> None:
    spec = describe(name)
    assert (spec.sources, spec.needs) == (sources, needs)


def test_turning_of_directional_layers() -> None:
    assert [describe(n).turning for n in ("aspect_sin", "aspect_cos", "hillshade", "slope")] == [
        "east",
        "north",
        "fixed",
        "scalar",
    ]


@pytest.mark.parametrize("name", ["blue_obj_obj", "aspect_sin_obj", "d_slope", "pre_slope", "d_", ""])
def test_nonsense_is_refused(name: str) -> None:
    with pytest.raises(LayerError, match="unknown layer"):
        describe(name)


def test_nearest_name_is_suggested() -> None:
    with pytest.raises(LayerError, match="did you mean 'ndvi'"):
        describe("ndvii")


def test_missing_near_infrared_names_the_visible_index() -> None:
    with pytest.raises(LayerError, match=r"'ndvi_obj' needs nir.*use 'ngrdi_obj'"):
        require_bands(["blue", "ndvi_obj"], ["blue", "green", "red"])


def test_missing_pre_event_names_the_option() -> None:
    with pytest.raises(LayerError, match=r"pre_red.*--pre"):
        require_bands(["d_red"], ["red"])


def test_bands_needed_has_no_repeats() -> None:
    assert bands_needed(["red", "ndvi", "ndvi_obj", "slope"]) == ("red", "nir", "slope")
