"""Mosaics of maps: landslides in overlaps once, attributes by stated rules, virtual rasters, order, damage."""

import json

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Geod, Transformer

from helpers.maps import Pixelwise, member, scene_layers, write_scene
from helpers.mosaics import grid_at, write_map
from landslip.errors import CRSMismatchError, FormatError, InputError, MissingInputError
from landslip.mapping.config import MapConfig
from landslip.mapping.mosaic import MosaicConfig, mosaic_maps
from landslip.mapping.mosaic.finished import distinct_names, open_maps
from landslip.mapping.mosaic.merging import Merger
from landslip.mapping.run import map_scene

WEST, NORTH = 500_000, 4_700_000
BOX = (WEST + 400, NORTH - 200, WEST + 450, NORTH - 100)  # 50 x 100 m


def landslides(result):
    return geopandas.read_file(result.folder / "landslides.gpkg", layer="landslides")


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """A scene mapped whole, and as three crops that overlap."""
    folder = tmp_path_factory.mktemp("crops")
    layers = scene_layers((120, 260))
    settings = MapConfig.from_dict(
        {
            "predict": {"tile": 32, "overlap": 8, "batch": 16, "device": "cpu", "precision": "float32"},
            "polygons": {"min_area_m2": 0, "fill_holes_m2": 0, "threshold": 0.9},
            "output": {"page": False},
        }
    )
    places = {"whole": (0, 260), "a": (0, 120), "b": (80, 200), "c": (160, 260)}
    for name, (first, last) in places.items():
        part = {layer: np.ascontiguousarray(pixels[:, first:last]) for layer, pixels in layers.items()}
        scene = write_scene(folder / "scenes" / name, part, corner=(0, first))
        out = folder / "whole" if name == "whole" else folder / "maps" / name
        map_scene(member(Pixelwise()), scene, out, settings)
    return folder


def test_mosaic_of_crops_has_the_landslides_of_the_whole(crops, tmp_path):
    result = mosaic_maps([crops / "maps"], tmp_path / "m")
    found, whole = landslides(result), geopandas.read_file(crops / "whole" / "landslides.gpkg", layer="landslides")
    assert found.crs == whole.crs
    assert result.content["counts"]["joined"] > 3
    ours = {
        shapely.normalize(shape.geoms[0]).wkb: area for shape, area in zip(found.geometry, found.area_m2, strict=True)
    }
    theirs = {shapely.normalize(shape).wkb: area for shape, area in zip(whole.geometry, whole.area_m2, strict=True)}
    assert {shapely.from_wkb(w).area for w in ours} == {shapely.from_wkb(w).area for w in theirs}
    assert sorted(ours.values()) == sorted(theirs.values())
    assert shapely.union_all(found.geometry.values).equals(shapely.union_all(whole.geometry.values))
    assert found["area_m2"].sum() == found.geometry.area.sum() == result.content["counts"]["area_m2"]
    assert found["id"].tolist() == list(range(1, len(found) + 1))
    assert set(found.loc[found["parts"] > 1, "maps"]) <= {"a, b", "b, c", "a, b, c"}
    alone = found[found["parts"] == 1]
    for row in alone.itertuples():
        same = whole.iloc[(whole.geometry.symmetric_difference(row.geometry).area).argmin()]
        assert row.probability_mean == same.probability_mean
        assert row.crown_x == same.crown_x


def test_virtual_raster_shows_the_pixels_of_the_whole(crops, tmp_path):
    result = mosaic_maps([crops / "maps"], tmp_path / "m")
    assert result.content["rasters"] == ["probability.vrt"]
    with (
        rasterio.open(result.folder / "probability.vrt") as ours,
        rasterio.open(crops / "whole/probability.tif") as whole,
    ):
        assert (ours.transform, ours.crs, ours.shape) == (whole.transform, whole.crs, whole.shape)
        assert np.array_equal(ours.read(1), whole.read(1), equal_nan=True)


def test_order_of_arguments_changes_nothing(crops, tmp_path):
    folders = [crops / "maps" / name for name in "abc"]
    results = [
        mosaic_maps(order, tmp_path / name / "m", MosaicConfig(formats=("gpkg", "parquet")))
        for name, order in (("one", folders), ("two", [*folders[::-1], folders[1]]))
    ]
    files = [{path.name: path.read_bytes() for path in result.folder.iterdir()} for result in results]
    assert files[0].keys() == files[1].keys()
    assert {name for name in files[0] if files[0][name] != files[1][name]} == set()
    frame = geopandas.read_parquet(results[0].folder / "landslides.parquet")
    assert frame.crs == landslides(results[0]).crs
    assert frame["area_m2"].tolist() == landslides(results[0])["area_m2"].tolist()
    assert frame.geometry.geom_equals(landslides(results[0]).geometry).all()


def test_rules_for_attributes_of_joined_landslides(tmp_path):
    one, two = shapely.box(*BOX), shapely.box(BOX[0], BOX[1] - 100, BOX[2], BOX[3] - 50)  # 5000 m², 7500 m²
    grid = grid_at(32654, WEST, NORTH)
    write_map(tmp_path / "maps/a", grid, [one], probability_mean=0.6, probability_max=0.95, slope_mean_deg=20.0,
              slope_max_deg=60.0, relief_m=10.0)  # fmt: skip
    write_map(tmp_path / "maps/b", grid, [two], probability_mean=0.9, probability_max=0.92, slope_mean_deg=np.nan,
              slope_max_deg=50.0, relief_m=30.0, length_m=99.0)  # fmt: skip
    row = landslides(mosaic_maps([tmp_path / "maps"], tmp_path / "m")).iloc[0]
    assert row.area_m2 == row.geometry.area == 50 * 200
    assert row.perimeter_m == 500
    assert row.probability_mean == pytest.approx((5000 * 0.6 + 7500 * 0.9) / 12500, abs=1e-4)
    assert (row.probability_max, row.slope_mean_deg, row.slope_max_deg) == (0.95, 20.0, 60.0)
    assert (row.relief_m, row.length_m) == (30.0, 99.0)  # of the larger part
    assert row.volume_m3 == round(0.074 * 10_000**1.450)
    assert (row.maps, row.parts, row.confidence) == ("a, b", 2, "medium")


@pytest.mark.parametrize(("shift", "count"), [(44, 1), (46, 2)])
def test_share_in_common_decides(tmp_path, shift, count):
    box = shapely.box(*BOX)
    grid = grid_at(32654, WEST, NORTH)
    write_map(tmp_path / "maps/a", grid, [box])
    write_map(tmp_path / "maps/b", grid, [shapely.transform(box, lambda xy: xy + np.array([shift, 0]))])
    assert len(landslides(mosaic_maps([tmp_path / "maps"], tmp_path / "m"))) == count  # 12 % and 8 % in common


def test_neighbours_within_one_map_stay_two(tmp_path):
    left, right = shapely.box(*BOX), shapely.box(BOX[2], BOX[1], BOX[2] + 50, BOX[3])
    grid = grid_at(32654, WEST, NORTH)
    write_map(tmp_path / "maps/a", grid, [left, right])
    write_map(tmp_path / "maps/b", grid, [left, right])
    found = landslides(mosaic_maps([tmp_path / "maps"], tmp_path / "m"))
    assert found["area_m2"].tolist() == [5000, 5000]
    assert found["parts"].tolist() == [2, 2]


def neighbours(tmp_path):
    """One landslide seen in two UTM zones, on both sides of their border."""
    to_west = Transformer.from_crs(32654, 32653, always_xy=True)
    east = (170_000, 4_700_000)  # far west in zone 54, near its border with zone 53
    box = shapely.box(east[0] + 100, east[1] - 300, east[0] + 200, east[1] - 100)
    x, y = to_west.transform(*east)
    moved = shapely.transform(box, lambda xy: np.stack(to_west.transform(xy[:, 0], xy[:, 1]), axis=1))
    write_map(tmp_path / "maps/east", grid_at(32654, *east), [box], probability_mean=0.8)
    other = grid_at(32653, round(x, -1) - 300, round(y, -1) + 200, (60, 90))
    write_map(tmp_path / "maps/west", other, [moved], probability_mean=0.6, area_m2=[1.0])
    return tmp_path / "maps", box


def test_maps_of_two_zones_are_joined_in_an_equal_area_projection(tmp_path):
    maps, box = neighbours(tmp_path)
    result = mosaic_maps([maps], tmp_path / "m")
    found = landslides(result)
    assert len(found) == 1
    assert "Lambert Azimuthal Equal Area" in found.crs.to_wkt()
    geodesic = abs(Geod(ellps="WGS84").geometry_area_perimeter(found.to_crs(4326).geometry.iloc[0])[0])
    assert found.geometry.area.iloc[0] == pytest.approx(geodesic, rel=1e-4)
    assert found["area_m2"].iloc[0] == pytest.approx(box.area, rel=1e-5)  # in the projection of the larger part
    assert found["probability_mean"].iloc[0] == 0.8  # a part of 1 m² weighs nothing
    assert sorted(result.content["rasters"]) == ["probability_EPSG32653.vrt", "probability_EPSG32654.vrt"]
    mosaic_maps([maps / "west"], tmp_path / "m")  # made anew from fewer maps
    assert [path.name for path in result.folder.glob("*.vrt")] == ["probability.vrt"]
    back = Transformer.from_crs(found.crs, 32654, always_xy=True).transform(found.crown_x[0], found.crown_y[0])
    assert back == pytest.approx((box.centroid.x, box.centroid.y), abs=0.2)


def test_directions_follow_the_grid(tmp_path):
    maps, box = neighbours(tmp_path)
    found = landslides(mosaic_maps([maps], tmp_path / "m", MosaicConfig(crs="EPSG:32653")))
    to_west = Transformer.from_crs(32654, 32653, always_xy=True)
    (x0, y0), (x1, y1) = (to_west.transform(box.centroid.x + step, box.centroid.y) for step in (0, 10))
    assert found.crs.to_epsg() == 32653
    east = np.degrees(np.arctan2(x1 - x0, y1 - y0)) % 360  # 90 degrees in zone 54, here some degrees off
    assert abs(east - 90) > 2
    assert found["fall_aspect_deg"].iloc[0] == pytest.approx(east, abs=0.1)


def test_only_landslides_in_overlaps_are_held(tmp_path):
    shapes = []
    for number in range(6):
        west = WEST + 450 * number  # grids of 500 m
        shapes = [shapely.box(west + 10 + 60 * k, NORTH - 200, west + 50 + 60 * k, NORTH - 100) for k in range(8)]
        write_map(tmp_path / f"maps/{number}", grid_at(32654, west, NORTH), shapes)
    maps = open_maps([tmp_path / "maps"])
    merger = Merger(maps, maps[0].grid.crs, 0.1)
    held, total = [], 0
    for number, one in enumerate(maps):
        frame = geopandas.read_file(one.polygons, layer="landslides")
        total += sum(len(found) for found in merger.add(number, frame))
        held.append(merger.held)
    assert held == [1, 1, 1, 1, 1, 0]
    assert total == 6 * 8 - 5


def test_holes_in_the_first_map_show_the_next(tmp_path):
    first, second = np.full((40, 50), 0.25, np.float32), np.full((40, 50), 0.75, np.float32)
    first[10:20] = np.nan
    write_map(tmp_path / "maps/a", grid_at(32654, WEST, NORTH), probability=first)
    write_map(tmp_path / "maps/b", grid_at(32654, WEST + 200, NORTH), probability=second)
    result = mosaic_maps([tmp_path / "maps"], tmp_path / "m")
    with rasterio.open(result.folder / "probability.vrt") as dataset:
        pixels = dataset.read(1)
    assert pixels.shape == (40, 70)
    assert (pixels[:10, :50] == 0.25).all()
    assert (pixels[10:20, 20:] == 0.75).all()
    assert np.isnan(pixels[10:20, :20]).all()
    assert len(landslides(result)) == 0
    footprints = geopandas.read_file(result.folder / "landslides.gpkg", layer="maps")
    assert footprints["map"].tolist() == ["a", "b"]
    assert footprints.geometry.area.tolist() == [200_000, 200_000]


def test_names_are_as_short_as_tells_them_apart(tmp_path):
    folders = [tmp_path / name for name in ("x/valley", "y/valley", "ridge")]
    assert distinct_names(folders) == ["x-valley", "y-valley", "ridge"]


def test_says_what_is_wrong(tmp_path):
    grid = grid_at(32654, WEST, NORTH)
    good = write_map(tmp_path / "maps/a", grid, [shapely.box(*BOX)])
    with pytest.raises(MissingInputError, match="nowhere: no such map; check the path"):
        mosaic_maps([tmp_path / "nowhere"], tmp_path / "m")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingInputError, match=r"neither a finished map .no map.json in it. nor a folder of such"):
        mosaic_maps([tmp_path / "empty"], tmp_path / "m")
    with pytest.raises(InputError, match="no map was given"):
        mosaic_maps([], tmp_path / "m")
    for crs, words in (("EPSG:4326", "WGS 84 is not projected in metres"), ("nonsense", "not understood")):
        with pytest.raises(CRSMismatchError, match=words):
            mosaic_maps([good], tmp_path / "m", MosaicConfig(crs=crs))
    other = write_map(tmp_path / "maps/b", grid)
    (other / "probability.tif").unlink()
    with pytest.raises(FormatError, match=r"probability.tif: is missing; the map is damaged"):
        mosaic_maps([good, other], tmp_path / "m")
    (other / "probability.tif").write_bytes((good / "probability.tif").read_bytes())
    (other / "landslides.gpkg").write_bytes(b"no database")
    with pytest.raises(FormatError, match=r"landslides.gpkg: not readable .*; the map is damaged, make it again"):
        mosaic_maps([good, other], tmp_path / "m")
    assert not (tmp_path / "m" / "mosaic.json").exists()
    content = json.loads((other / "map.json").read_text())
    (other / "map.json").write_text(json.dumps({key: value for key, value in content.items() if key != "models"}))
    with pytest.raises(FormatError, match="no 'models' entry"):
        mosaic_maps([good, other], tmp_path / "m")
