"""Attributes, splitting, filters, refinement and simplification, on shapes whose numbers are known."""

import geopandas
import numpy as np
import pytest
import rasterio
import shapely

from helpers.maps import pixels_box, scene_layers, write_scene
from landslip.errors import CoverageError, CRSMismatchError, GridMismatchError, InputError
from landslip.mapping.config import FilterConfig, PolygonConfig
from landslip.mapping.landslides.attributes import VOLUME_RELATIONS, confidence
from landslip.mapping.landslides.filters import check_masks
from landslip.mapping.landslides.find import find_landslides, open_objects
from landslip.mapping.landslides.outlines import outline
from landslip.mapping.landslides.splitting import split_outlines
from landslip.rasters import RasterSpec, write_raster
from landslip.windows import Window

PLAIN = PolygonConfig(min_area_m2=0, fill_holes_m2=0)


def slope_scene(folder, shape=(60, 60), east=0.0, south=0.5):
    """A plane that falls ``east`` and ``south`` metres per metre."""
    row, col = np.mgrid[: shape[0], : shape[1]]
    elevation = (1000 - 10 * (east * col + south * row)).astype(np.float32)
    steep = np.full(shape, np.degrees(np.arctan(np.hypot(east, south))), np.float32)
    return write_scene(folder, {"elevation": elevation, "slope": steep})


def probability_of(scene, values, name="probability.tif"):
    path = scene.path / name
    write_raster(path, values[None].astype(np.float32),
                 RasterSpec(scene.grid, "float32", ("probability",), nodata=float("nan")))  # fmt: skip
    return path


def boxes(shape, *places, value=0.8):
    field = np.full(shape, 0.1, np.float32)
    for row, col, rows, cols in places:
        field[row : row + rows, col : col + cols] = value
    return field


def find(scene, field, polygons=PLAIN, filters=None, threshold=0.5, **options):
    path = probability_of(scene, field)
    return find_landslides(path, scene, threshold, polygons, filters or FilterConfig(), **options)


@pytest.mark.parametrize(
    ("east", "south", "aspect"),
    [(0, 0.5, 180), (0, -0.5, 0), (0.5, 0, 90), (-0.5, 0, 270), (0.5, 0.5, 135), (-0.3, -0.3, 315)],
)
def test_attributes_on_a_plane(tmp_path, east, south, aspect):
    scene = slope_scene(tmp_path / "scene", east=east, south=south)
    found = find(scene, boxes((60, 60), (10, 20, 20, 5)))
    row = found.table.iloc[0]
    assert len(found) == 1
    assert (row["area_m2"], row["perimeter_m"]) == (10_000, 500)
    assert row["fall_aspect_deg"] == pytest.approx(aspect, abs=0.05)
    assert row["slope_mean_deg"] == pytest.approx(np.degrees(np.arctan(np.hypot(east, south))), abs=0.01)
    assert row["relief_m"] == pytest.approx(10 * (abs(east) * 4 + abs(south) * 19), abs=0.1)
    assert row["probability_mean"] == row["probability_max"] == 0.8
    # a rectangle of 200 m southward and 50 m eastward, seen along and across the way down
    radians = np.radians(aspect)
    e, n = abs(np.sin(radians)), abs(np.cos(radians))
    assert row["length_m"] == pytest.approx(50 * e + 200 * n, abs=0.1)
    assert row["width_m"] == pytest.approx(50 * n + 200 * e, abs=0.1)
    fall = np.array([row["toe_x"] - row["crown_x"], row["toe_y"] - row["crown_y"]])
    assert row["runout_m"] == pytest.approx(np.hypot(*fall), abs=0.1)
    assert fall @ [np.sin(radians), np.cos(radians)] > 0


def test_crown_is_the_highest_and_toe_the_lowest_pixel(tmp_path):
    scene = slope_scene(tmp_path / "scene", east=0.1, south=0.5)
    row = find(scene, boxes((60, 60), (10, 20, 20, 5))).table.iloc[0]
    assert (row["crown_x"], row["crown_y"]) == (500_205, 4_700_000 - 105)
    assert (row["toe_x"], row["toe_y"]) == (500_245, 4_700_000 - 295)


def test_volume_follows_the_published_relations(tmp_path):
    scene = slope_scene(tmp_path / "scene")
    row = find(scene, boxes((60, 60), (10, 20, 20, 5))).table.iloc[0]
    volumes = [factor * 10_000**power for factor, power in VOLUME_RELATIONS.values()]
    assert row["volume_m3"] == round(0.074 * 10_000**1.450)
    assert (row["volume_low_m3"], row["volume_high_m3"]) == (round(min(volumes)), round(max(volumes)))
    assert row["volume_low_m3"] < row["volume_m3"] < row["volume_high_m3"]


def test_single_pixel_and_flat_ground_have_no_fall_line(tmp_path):
    scene = slope_scene(tmp_path / "scene", east=0, south=0)
    table = find(scene, boxes((60, 60), (5, 5, 1, 1), (20, 20, 2, 6))).table
    assert table["fall_aspect_deg"].isna().all()
    assert table["length_m"].tolist() == [10, 60]
    assert table["width_m"].tolist() == [10, 20]
    assert table["relief_m"].tolist() == [0, 0]


def test_without_elevation_terrain_is_unknown_and_the_rest_is_not(tmp_path):
    scene = write_scene(tmp_path / "scene", {"red": np.zeros((40, 40), np.float32)})
    row = find(scene, boxes((40, 40), (5, 5, 3, 6))).table.iloc[0]
    assert row[["slope_mean_deg", "relief_m", "fall_aspect_deg", "runout_m", "crown_x"]].isna().all()
    assert (row["area_m2"], row["length_m"], row["width_m"]) == (1800, 60, 30)


def test_a_landslide_one_pixel_wide_falls_along_itself(tmp_path):
    scene = slope_scene(tmp_path / "scene", east=0.3, south=0.5)
    row = find(scene, boxes((60, 60), (5, 5, 12, 1))).table.iloc[0]
    assert row["fall_aspect_deg"] == pytest.approx(180)
    assert (row["length_m"], row["width_m"]) == (120, 10)


def test_confidence_classes_are_thirds_of_the_way_to_one():
    means = np.array([0.3, 0.4, 0.59, 0.61, 0.79, 0.81, 1.0])
    assert confidence(means, 0.4).tolist() == ["low", "low", "low", "medium", "medium", "high", "high"]


def test_minimum_area_and_holes_are_counted(tmp_path):
    scene = slope_scene(tmp_path / "scene")
    field = boxes((60, 60), (2, 2, 1, 1), (10, 10, 10, 10), (30, 30, 3, 3))
    field[13:15, 13:15] = 0.1
    found = find(scene, field, PolygonConfig(min_area_m2=200, fill_holes_m2=500))
    assert found.table["area_m2"].tolist() == [10_000, 900]
    assert found.counts["too_small"] == 1
    assert found.counts["landslides"] == 2
    # the mean goes over the filled hole as well
    assert found.table["probability_mean"].iloc[0] == pytest.approx((96 * 0.8 + 4 * 0.1) / 100, abs=1e-4)


def test_threshold_takes_the_pixels_that_read_it(tmp_path):
    scene = slope_scene(tmp_path / "scene")
    assert len(find(scene, boxes((60, 60), (5, 5, 3, 3), value=0.7), threshold=0.7)) == 1


@pytest.mark.parametrize("nodata", [None, 255])
def test_masks_that_cover_a_part_of_the_scene_are_told(tmp_path, caplog, nodata):
    scene = write_scene(tmp_path / "scene", scene_layers((60, 60)))
    spec = RasterSpec(scene.grid, "uint8", ("class",), nodata=nodata, average=False)
    whole = np.full((1, 60, 60), 10, np.uint8)
    write_raster(tmp_path / "whole.tif", whole, spec)
    if nodata is None:  # a narrow raster
        sliver = spec.grid.crop(Window(0, 0, 60, 3))
        write_raster(tmp_path / "sliver.tif", whole[..., :3], RasterSpec(sliver, "uint8", ("class",), average=False))
    else:  # one that has values in a narrow part
        whole[..., 3:] = nodata
        write_raster(tmp_path / "sliver.tif", whole, spec)
    check_masks(scene.grid, FilterConfig(land_cover=tmp_path / "whole.tif", exclude_classes=(50,)))
    assert not caplog.records
    check_masks(scene.grid, FilterConfig(land_cover=tmp_path / "sliver.tif", exclude_classes=(50,)))
    line = caplog.records[0].getMessage()
    assert line.endswith(
        "sliver.tif: the land cover covers 5% of the scene; landslides elsewhere are not filtered by it"
    )
    check_masks(scene.grid, FilterConfig(water=tmp_path / "sliver.tif"))
    assert "the water mask covers 5% of the scene" in caplog.records[1].getMessage()


def test_filters_are_counted_each(tmp_path):
    layers = scene_layers((60, 60))
    layers["slope"] = np.full((60, 60), 30, np.float32)
    layers["slope"][:, :15] = 2
    scene = write_scene(tmp_path / "scene", layers)
    field = boxes((60, 60), (5, 5, 4, 4), (5, 25, 4, 4), (25, 25, 4, 4), (45, 45, 4, 4))
    water = geopandas.GeoDataFrame(geometry=[pixels_box(0, 20, 12, 20)], crs=scene.grid.crs)
    water.to_crs(4326).to_file(tmp_path / "water.gpkg")
    cover = np.full((60, 60), 10, np.uint8)
    cover[20:30, 20:30] = 50
    write_raster(tmp_path / "cover.tif", cover[None], RasterSpec(scene.grid, "uint8", ("class",), average=False))
    filters = FilterConfig(
        min_slope_deg=10, water=tmp_path / "water.gpkg", land_cover=tmp_path / "cover.tif", exclude_classes=(50, 60)
    )
    found = find(scene, field, filters=filters)
    assert found.counts["filtered"] == {"slope": 1, "water": 1, "land_cover": 1}
    assert len(found) == 1
    assert found.table["id"].tolist() == [1]
    raster = FilterConfig(water=tmp_path / "cover.tif")
    assert find(scene, field, filters=raster).counts["filtered"] == {"water": 4}


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_masks_that_cannot_be_used_are_refused(tmp_path):
    scene = slope_scene(tmp_path / "scene")
    field = boxes((60, 60), (5, 5, 4, 4))
    far = geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    far.to_file(tmp_path / "far.gpkg")
    with pytest.raises(CoverageError, match=r"far.gpkg: the water mask does not overlap the scene"):
        find(scene, field, filters=FilterConfig(water=tmp_path / "far.gpkg"))
    bare = geopandas.GeoDataFrame(geometry=[pixels_box(0, 0, 9, 9)])
    bare.to_file(tmp_path / "bare.shp")
    with pytest.raises(CRSMismatchError, match=r"bare.shp: the water mask has no .*coordinate reference system"):
        find(scene, field, filters=FilterConfig(water=tmp_path / "bare.shp"))
    points = geopandas.GeoDataFrame(geometry=[shapely.Point(500_000, 4_700_000)], crs=scene.grid.crs)
    points.to_file(tmp_path / "points.gpkg")
    with pytest.raises(InputError, match=r"points.gpkg: no polygon in it .water mask.; lines and points"):
        find(scene, field, filters=FilterConfig(water=tmp_path / "points.gpkg"))


def two_valleys(shape=(60, 80)):
    """Two valleys side by side that fall southward, a ridge of 60 m between them."""
    row, col = np.mgrid[: shape[0], : shape[1]]
    return (1000 - 3.0 * row + 60 * np.cos(col / (shape[1] - 1) * 4 * np.pi)).astype(np.float32)


def test_landslides_of_two_valleys_are_split_on_the_ridge(tmp_path):
    scene = write_scene(tmp_path / "scene", {"elevation": two_valleys()})
    merged = boxes((60, 80), (10, 10, 30, 60))
    found = find(scene, merged, PolygonConfig(min_area_m2=400, fill_holes_m2=0, split=True))
    assert found.counts["split"] == 1
    assert len(found) == 2
    assert found.table["area_m2"].sum() == 180_000
    ridge = 500_000 + 400
    toes, crowns = sorted(found.table["toe_x"]), sorted(found.table["crown_x"])
    assert toes[0] < ridge < toes[1]
    assert crowns[0] <= ridge + 10
    east = [polygon.bounds for polygon in found.shapes]
    assert min(b[0] for b in east) == 500_100
    assert {round(b[2]) for b in east} & {500_400, 500_390, 500_410}
    whole = find(scene, merged, PolygonConfig(min_area_m2=400, fill_holes_m2=0, split=True, split_depth_m=400))
    assert whole.counts["split"] == 0


def test_one_valley_is_not_split_and_pieces_keep_every_pixel(tmp_path):
    rng = np.random.default_rng(0)
    scene = write_scene(tmp_path / "scene", {"elevation": (rng.random((50, 50)) * 100).astype(np.float32)})
    mask = np.zeros((50, 50), bool)
    mask[3:47, 5:45] = rng.random((44, 40)) < 0.9
    outlines = outline(mask)
    pieces, _ = split_outlines(outlines, scene, depth_m=5, min_pixels=6)
    burnt = pieces.burn(scene.grid.window)
    assert np.array_equal(burnt > 0, mask)
    assert shapely.is_valid(pieces.polygons(scene.grid.transform)).all()
    assert len(pieces) > len(outlines)
    assert all(size >= 6 or size in outlines.pixels for size in pieces.pixels)


def test_refinement_by_objects_decides_by_mean(tmp_path):
    scene = slope_scene(tmp_path / "scene")
    labels = np.ones((60, 60), np.int32)
    labels[10:20, 10:20], labels[30:40, 30:40] = 2, 3
    write_raster(tmp_path / "objects.tif", labels[None],
                 RasterSpec(scene.grid, "int32", ("object",), nodata=0, average=False))  # fmt: skip
    field = boxes((60, 60), (10, 10, 10, 7), (30, 30, 10, 3))  # 70 % and 30 % of their objects
    field[12, 12] = np.nan
    objects = open_objects(tmp_path / "objects.tif", scene.grid)
    config = PolygonConfig(min_area_m2=0, fill_holes_m2=0, refine="objects")
    found = find(scene, field, config, objects=objects)
    assert found.table["area_m2"].tolist() == [9_900]
    assert found.counts["by_pixel"] == {"landslides": 2, "area_m2": 9_900.0}
    assert found.counts["by_object"] == {"landslides": 1, "area_m2": 9_900.0}
    with pytest.raises(InputError, match="needs segmentation objects"):
        find(scene, field, config)


def test_objects_of_another_grid_are_refused(tmp_path):
    scene, other = slope_scene(tmp_path / "a"), slope_scene(tmp_path / "b", shape=(50, 50))
    write_raster(tmp_path / "o.tif", np.ones((1, 50, 50), np.int32), RasterSpec(other.grid, "int32", ("o",)))
    with pytest.raises(GridMismatchError, match="not on the scene's grid; segment this scene"):
        open_objects(tmp_path / "o.tif", scene.grid)


def test_simplification_keeps_shared_borders(tmp_path):
    scene = write_scene(tmp_path / "scene", {"elevation": two_valleys()})
    row, col = np.mgrid[:60, :80]
    field = np.where(np.hypot((row - 28) / 22, (col - 40) / 34) < 1, 0.8, 0.1)
    config = PolygonConfig(min_area_m2=400, split=True, simplify_m=30)
    found = find(scene, field, config)
    assert len(found) == 2
    one, two = found.shapes
    before = found.outlines.polygons(scene.grid.transform)
    assert shapely.get_num_coordinates(found.shapes).sum() < 0.5 * shapely.get_num_coordinates(before).sum()
    assert shapely.is_valid(found.shapes).all()
    assert one.intersection(two).area == 0
    assert one.intersection(two).length > 200
    assert one.union(two).geom_type == "Polygon"
    # attributes are those of the pixels, before simplification
    assert found.table["area_m2"].tolist() == shapely.area(before).tolist()


def test_large_rasters_are_cut_nowhere(tmp_path):
    scene = slope_scene(tmp_path / "scene", shape=(1100, 60))
    found = find(scene, boxes((1100, 60), (3, 10, 1090, 20)))
    assert found.table["area_m2"].tolist() == [1090 * 20 * 100]
    assert found.table["relief_m"].iloc[0] == pytest.approx(1089 * 5, abs=0.5)
    with rasterio.open(scene.path / "probability.tif") as dataset:
        assert dataset.height == 1100
