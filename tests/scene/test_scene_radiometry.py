"""From digital numbers to reflectance: whose word counts, and what is said when words differ."""

from __future__ import annotations

import pytest
import rasterio

from helpers.scene_inputs import numbers_of, write_raster
from landslip.errors import InputError
from landslip.scene.images.metadata import parse_metadata
from landslip.scene.images.radiometry import Radiometry, baseline_in_name, by_baseline, of_dataset, parse_baseline
from landslip.scene.images.stac import radiometry_of


def settled(path):
    with rasterio.open(path) as dataset:
        return of_dataset(dataset, 1, name=path.name)


def test_reflectance_is_dn_plus_offset_over_quantification():
    slope, intercept = Radiometry(-1000, 10000, "test").factors
    assert slope * 3000 + intercept == pytest.approx(0.2)
    assert slope * 500 + intercept == pytest.approx(-0.05)  # negative values are kept


def test_tags_scale_and_name_in_this_order(tmp_path):
    pixels = numbers_of(0)
    tagged = write_raster(tmp_path / "a.tif", pixels, tags={"BOA_ADD_OFFSET": "-1000", "QUANTIFICATION_VALUE": "10000"})
    scaled = write_raster(tmp_path / "b.tif", pixels, scale=1e-4, offset=-0.1)
    named = write_raster(tmp_path / "S2A_MSIL2A_20220101T000000_N0400_R1_B02.tif", pixels)
    older = write_raster(tmp_path / "S2A_MSIL2A_20200101T000000_N0214_R1_B02.tif", pixels)
    plain = write_raster(tmp_path / "B02.tif", pixels)
    for path in (tagged, scaled, named):
        radiometry, remarks = settled(path)
        assert radiometry.factors == pytest.approx((1e-4, -0.1))
        assert remarks == []
        assert radiometry.assumed == (path is named)
    assert settled(older)[0].offset == 0
    assert settled(plain)[0].assumed
    assert settled(plain)[0].factors == (1e-4, 0.0)


def test_floating_point_pixels_are_reflectance_already(tmp_path):
    radiometry, _ = settled(write_raster(tmp_path / "B02.tif", (numbers_of(0) / 10000).astype("float32")))
    assert radiometry.factors == (1.0, 0.0)
    assert radiometry.assumed


def test_contradicting_tags_and_scale_are_remarked_on(tmp_path):
    path = write_raster(tmp_path / "B02.tif", numbers_of(0), tags={"BOA_ADD_OFFSET": "-1000"}, scale=1e-4)
    radiometry, remarks = settled(path)
    assert radiometry.offset == -1000
    assert len(remarks) == 1
    assert "the tags are believed, give --offset" in remarks[0]


@pytest.mark.parametrize(("offset", "quantification"), [(float("nan"), 1e4), (0, 0), (0, -1), (0, float("inf"))])
def test_impossible_numbers_are_refused(offset, quantification):
    with pytest.raises(InputError, match=r"cannot be; give --offset and --quantification"):
        Radiometry(offset, quantification, "test")


def test_baselines():
    assert parse_baseline("05.09") == (5, 9)
    assert parse_baseline("N0509") is None
    assert baseline_in_name("S2B_MSIL2A_20220414T110751_N0400_R108_T26EMU") == "04.00"
    assert baseline_in_name("post") is None
    assert by_baseline("03.01", "x").offset == 0
    assert by_baseline("04.00", "x").offset == -1000


def band(scale=1e-4, offset=-0.1):
    return {"raster:bands": [{"scale": scale, "offset": offset}]}


@pytest.mark.parametrize(
    ("properties", "asset", "offset", "remark"),
    [
        # Earth Search: subtracted already, listed all the same
        ({"earthsearch:boa_offset_applied": True, "s2:processing_baseline": "05.09"}, band(), 0, "not applied again"),
        ({"earthsearch:boa_offset_applied": False, "s2:processing_baseline": "05.09"}, band(), -1000, None),
        ({"earthsearch:boa_offset_applied": False, "s2:processing_baseline": "02.14"}, band(offset=0), 0, None),
        # not applied, and the list forgets it
        (
            {"earthsearch:boa_offset_applied": False, "s2:processing_baseline": "05.09"},
            band(offset=0),
            -1000,
            "implies",
        ),
        # older pixels cannot carry the offset
        ({"s2:processing_baseline": "02.14"}, band(), 0, "implies"),
        # a provider who lists none and says nothing else
        ({"s2:processing_baseline": "05.09"}, band(offset=0), 0, "implies"),
        ({"s2:processing_baseline": "05.09"}, {}, -1000, None),
        ({"s2:processing_baseline": "03.00"}, {}, 0, None),
        ({}, {"raster:scale": 1e-4, "raster:offset": -0.1}, -1000, None),
        ({}, {"bands": [{"raster:scale": 1e-4, "raster:offset": 0}]}, 0, None),
        ({}, {}, 0, None),
    ],
)
def test_offset_of_a_stac_item(properties, asset, offset, remark):
    radiometry, remarks = radiometry_of(properties, asset, where="item")
    assert radiometry.offset == pytest.approx(offset)
    assert radiometry.quantification == pytest.approx(10000)
    assert [remark in text for text in remarks] == ([True] if remark else [])


@pytest.mark.parametrize(
    ("options", "offset", "remark"),
    [
        ({}, -1000, None),
        ({"baseline": "03.01", "offset": None}, 0, None),
        ({"baseline": "05.09", "offset": None}, -1000, "without a list of offsets"),
        ({"baseline": "03.01", "offset": -1000}, -1000, "contradict each other"),
    ],
)
def test_offset_of_product_metadata(options, offset, remark):
    from helpers.scene_inputs import metadata_xml

    metadata = parse_metadata(metadata_xml(**options).encode(), where="MTD")
    assert (metadata.level, metadata.date) == ("L2A", "2023-09-25")
    radiometry, remarks = metadata.radiometry("red", "MTD")
    assert radiometry.offset == offset
    assert [remark in text for text in remarks] == ([True] if remark else [])
