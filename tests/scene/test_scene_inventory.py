"""Inventories: every format, hygiene that is told, burning that no window changes, refusals in one line."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS

from landslip.errors import (
    CoverageError,
    CRSMismatchError,
    FormatError,
    GridMismatchError,
    InputError,
    LandslipError,
    MissingInputError,
)
from landslip.grid import Grid
from landslip.scene.inventory import Inventory, rasterise, read_aoi, read_inventory
from landslip.scene.inventory.store import open_inventory, write_inventory
from landslip.windows import Window, split_windows

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
UTM = CRS.from_epsg(32654)
X, Y = 500_000.0, 4_730_000.0
GRID = Grid((200, 300), Affine(10, 0, X, 0, -10, Y), UTM)


def box(col: float, row: float, width: float, height: float):
    """A rectangle in pixels of the grid, from its upper left corner."""
    return shapely.box(X + 10 * col, Y - 10 * (row + height), X + 10 * (col + width), Y - 10 * row)


def frame(geometries, crs="EPSG:32654", **columns) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame(columns or {"n": range(len(geometries))}, geometry=list(geometries), crs=crs)


def saved(path: Path, geometries, crs="EPSG:32654", **options) -> Path:
    frame(geometries, crs).to_file(path, **options)
    return path


THREE = (box(10, 10, 4, 5), box(100, 50, 30, 20), box(280, 180, 8, 8))


@pytest.mark.parametrize("suffix", [".shp", ".gpkg", ".geojson", ".fgb", ".parquet", ".zip"])
def test_every_format_gives_the_same_pixels(tmp_path, suffix):
    path = tmp_path / f"slides{suffix}"
    if suffix == ".parquet":
        frame(THREE).to_parquet(path)
    elif suffix == ".geojson":
        frame(THREE).to_crs(4326).to_file(path)
    elif suffix == ".zip":
        shape = saved(tmp_path / "inner.shp", THREE)
        with zipfile.ZipFile(path, "w") as archive:
            for part in tmp_path.glob("inner.*"):
                archive.write(part, part.name)
        assert shape.exists()
    else:
        saved(path, THREE)
    inventory = read_inventory(path, GRID)
    labels, landslides = rasterise(inventory, GRID)
    assert len(inventory) == 3
    for number, (col, row, width, height) in enumerate(((10, 10, 4, 5), (100, 50, 30, 20), (280, 180, 8, 8)), start=1):
        # FlatGeobuf stores in an order of its own, so that ids follow the file and not our list
        value = landslides[row, col] if suffix == ".fgb" else number
        assert (landslides[row : row + height, col : col + width] == value).all()
        assert (landslides == value).sum() == width * height
    np.testing.assert_array_equal(labels, (landslides > 0).astype(np.uint8))


def test_ids_follow_the_file_and_its_attributes_stay(tmp_path):
    path = tmp_path / "slides.gpkg"
    given_frame = frame(THREE, id=[70, 80, 90], name=["a", "b", "c"], source_row=[1, 1, 1])
    given_frame.to_file(path)
    got = read_inventory(path, GRID).frame
    assert got["id"].tolist() == [1, 2, 3]
    assert got["source_row"].tolist() == [0, 1, 2]
    assert got["source_id"].tolist() == [70, 80, 90]
    assert got["name"].tolist() == ["a", "b", "c"]
    assert got["source_source_row"].tolist() == [1, 1, 1]


def test_hygiene_counts_and_says_everything(tmp_path):
    bow_tie = shapely.Polygon([(X + 500, Y - 500), (X + 600, Y - 600), (X + 600, Y - 500), (X + 500, Y - 600)])
    geometries = [
        box(10, 10, 4, 5),
        box(10, 10, 4, 5),  # the same again
        shapely.affinity.translate(box(10, 10, 4, 5), 0.05, 0),  # nearly the same again
        bow_tie,  # two lobes
        shapely.MultiPolygon([box(100, 20, 3, 3), box(110, 20, 3, 3)]),
        box(150, 50, 10, 10),
        box(155, 55, 10, 10),  # overlaps the one before by 25 pixels
        box(20, 150, 30, 0.01),  # a sliver
        None,
        shapely.Polygon(),
        box(-100, 10, 5, 5),  # outside
        box(-2, 10, 5, 5),  # across the edge
        box(70.1, 70.1, 0.3, 0.3),  # below a pixel, no centre in it
        box(90.2, 90.2, 0.7, 0.7),  # below a pixel, with a centre in it
        box(151, 51, 2, 2),  # on top of an earlier one, which shows around it
        box(200, 100, 2, 2),
        box(199, 99, 5, 5),  # hides the one before
    ]
    inventory = read_inventory(saved(tmp_path / "messy.gpkg", geometries), GRID)
    report = inventory.hygiene
    assert report.to_dict() | {"overlap_area_m2": round(report.overlap_area_m2), "repaired_area_change_m2": 0} == {
        "read": 17,
        "kept": len(inventory),
        "empty": 2,
        "outside": 1,
        "thinned": 0,
        "repaired": 1,
        "repaired_area_change_m2": 0,
        "split": 2,
        "slivers": 1,
        "duplicates": 2,
        "overlapping_pairs": 3,
        "overlap_area_m2": (25 + 4 + 4) * 100,
        "crossing_edge": 1,
        "below_pixel": 2,
        "without_centre": 1,
        "hidden": 1,
    }
    assert report.kept == 17 - 2 - 1 + 2 - 1 - 2
    assert report.changed
    said = " ".join(report.words)
    for words in (
        "13 landslides from 17 features",
        "2 without a geometry dropped",
        "1 outside the scene",
        "1 with invalid rings repaired (area changed by 5000 m²)",
        "2 more landslides from multi-part features",
        "1 sliver dropped",
        "2 duplicates dropped",
        "3 pairs overlap (3300 m²): merged in the mask, kept apart in the scores",
        "1 reaches beyond the scene's edge",
        "2 smaller than a pixel",
        "1 holds no pixel centre",
        "1 wholly under others",
    ):
        assert words in said
    json.dumps(report.to_dict())
    assert shapely.is_valid(inventory.frame.geometry.values).all()


def test_a_clean_inventory_is_not_changed(tmp_path):
    report = read_inventory(saved(tmp_path / "clean.gpkg", THREE), GRID).hygiene
    assert not report.changed
    assert report.words == ("3 landslides from 3 features.",)


def test_overlaps_the_larger_id_has_the_pixel_and_both_keep_their_polygon(tmp_path):
    inventory = read_inventory(saved(tmp_path / "o.gpkg", [box(10, 10, 10, 10), box(15, 15, 10, 10)]), GRID)
    labels, landslides = rasterise(inventory, GRID)
    assert (landslides[15:20, 15:20] == 2).all()
    assert (landslides == 1).sum() == 75
    assert labels.sum() == 175
    assert [round(area) for area in inventory.frame.area] == [10_000, 10_000]


def test_small_polygons_are_not_lost(tmp_path):
    shapes = [box(70.1, 70.1, 0.3, 0.3), box(80.8, 80.1, 0.4, 0.2), box(90.6, 50, 0.3, 6)]
    inventory = read_inventory(saved(tmp_path / "s.gpkg", shapes), GRID)
    _, landslides = rasterise(inventory, GRID)
    assert inventory.frame["all_touched"].tolist() == [True, True, True]
    assert np.argwhere(landslides == 1).tolist() == [[70, 70]]
    assert np.argwhere(landslides == 2).tolist() == [[80, 80], [80, 81]]
    # GDAL touches a pixel more where the edge falls exactly on a boundary; every pixel it lies in is burnt
    assert set(map(tuple, np.argwhere(landslides == 3))) >= {(row, 90) for row in range(50, 56)}


def many(seed: int, count: int = 120):
    rng = np.random.default_rng(seed)
    shapes = []
    for _ in range(count):
        centre = np.array([X, Y]) + rng.random(2) * [3000, -2000]
        angles = np.sort(rng.random(rng.integers(4, 12))) * 2 * np.pi
        radius = rng.lognormal(2.8, 1.0) * (0.5 + rng.random(angles.size))
        shapes.append(shapely.Polygon(centre + radius[:, None] * np.c_[np.cos(angles), np.sin(angles)]))
    # exactly on pixel centres, where rounding decides
    shapes += [box(c + 0.5, r + 0.5, 7, 7) for c, r in rng.integers(20, 180, (20, 2))]
    return shapes


LARGE = Grid((1200, 1100), Affine(10, 0, X, 0, -10, Y), UTM)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 700), st.integers(1, 700), st.integers(5, 600), st.integers(5, 600))
def test_a_pixel_is_the_same_whatever_the_window(tmp_path_factory, seed, row, col, rows, cols):
    path = tmp_path_factory.mktemp("w") / "many.gpkg"
    shapes = [shapely.affinity.scale(s, 3, 5, origin=(X, Y)) for s in many(seed)]
    inventory = read_inventory(saved(path, shapes), LARGE)
    labels, landslides = rasterise(inventory, LARGE)
    window = Window(row, col, min(rows, 1200 - row), min(cols, 1100 - col))
    part_labels, part = rasterise(inventory, LARGE, window=window)
    np.testing.assert_array_equal(part, landslides[window.slices])
    np.testing.assert_array_equal(part_labels, labels[window.slices])


def test_small_windows_put_together_are_the_whole(tmp_path):
    inventory = read_inventory(saved(tmp_path / "m.gpkg", many(5)), GRID)
    extent = read_aoi(saved(tmp_path / "a.gpkg", [shapely.Point(X + 1500, Y - 1000).buffer(900)]), GRID)
    whole = rasterise(inventory, GRID, extent)
    for window in split_windows(GRID.shape, (37, 53)):
        for part, full in zip(rasterise(inventory, GRID, extent, window), whole, strict=True):
            np.testing.assert_array_equal(part, full[window.slices])


def test_every_landslide_shows_unless_hidden(tmp_path):
    inventory = read_inventory(saved(tmp_path / "m.gpkg", many(8)), GRID)
    _, landslides = rasterise(inventory, GRID)
    shown = set(np.unique(landslides).tolist()) - {0}
    assert len(inventory) - len(shown) <= inventory.hygiene.hidden + inventory.hygiene.without_centre
    assert len(shown) >= len(inventory) - inventory.hygiene.hidden - 3


def test_outside_the_mapped_extent_labels_are_unknown(tmp_path):
    inventory = read_inventory(saved(tmp_path / "i.gpkg", THREE), GRID)
    extent = read_aoi(saved(tmp_path / "a.gpkg", [box(0, 0, 110, 200), box(100, 0, 15, 100)]), GRID)
    labels, landslides = rasterise(inventory, GRID, extent)
    assert (labels[:, 115:] == 255).all()
    assert not (labels[:, :110] == 255).any()
    assert (landslides[labels == 255] == 0).all()
    assert (labels == 1).sum() == 20 + 15 * 20
    assert extent.geometry.area == pytest.approx((110 * 200 + 5 * 100) * 100)


def test_heights_are_dropped_and_other_crs_warped(tmp_path):
    shapes = [shapely.force_3d(s, 12.0) for s in THREE]
    plain, _ = rasterise(read_inventory(saved(tmp_path / "flat.gpkg", THREE), GRID), GRID)
    for crs in (6668, 3857, 32653):
        path = tmp_path / f"{crs}.gpkg"
        frame(shapes).to_crs(crs).to_file(path)
        inventory = read_inventory(path, GRID)
        assert not shapely.has_z(inventory.frame.geometry.values).any()
        np.testing.assert_array_equal(rasterise(inventory, GRID)[0], plain)


def test_a_collection_gives_its_areas(tmp_path):
    mixed = shapely.GeometryCollection([box(10, 10, 4, 5), shapely.LineString([(X, Y), (X + 100, Y - 100)])])
    nested = shapely.GeometryCollection([shapely.MultiPolygon([box(50, 50, 3, 3), box(60, 60, 3, 3)])])
    path = tmp_path / "c.geojson"
    frame([mixed, nested]).to_crs(4326).to_file(path)
    inventory = read_inventory(path, GRID)
    assert len(inventory) == 3
    assert inventory.frame["source_row"].tolist() == [0, 1, 1]


def test_layers_are_chosen_by_name(tmp_path):
    path = tmp_path / "two.gpkg"
    frame(THREE[:1]).to_file(path, layer="rockfalls")
    frame(THREE[1:]).to_file(path, layer="slides")
    assert len(read_inventory(path, GRID, layer="slides")) == 2
    with pytest.raises(
        InputError, match=r"several layers \(rockfalls, slides\); choose with .* --inventory-layer, or write the one"
    ):
        read_inventory(path, GRID)
    with pytest.raises(InputError, match="no layer 'debris'; its layers are: rockfalls, slides"):
        read_inventory(path, GRID, layer="debris")


def test_the_only_layer_of_areas_needs_no_choice(tmp_path):
    path = tmp_path / "two.gpkg"
    frame(THREE).to_file(path, layer="slides")
    frame([shapely.Point(X, Y)]).to_file(path, layer="field sites")
    assert len(read_inventory(path, GRID)) == 3


def shapefile_in(folder: Path, encoding: str, text: str, *, cpg: str | None) -> Path:
    path = folder / "s.shp"
    frame(THREE[:1], place=[text]).to_file(path, encoding=encoding)
    path.with_suffix(".cpg").unlink(missing_ok=True)
    if cpg is not None:
        path.with_suffix(".cpg").write_text(cpg)
    with path.with_suffix(".dbf").open("r+b") as table:  # no word of the encoding in the table itself
        table.seek(29)
        table.write(b"\0")
    return path


def test_encodings_by_cpg_and_by_option(tmp_path):
    path = shapefile_in(tmp_path, "CP932", "厚真町", cpg="CP932")
    assert read_inventory(path, GRID).frame["place"].tolist() == ["厚真町"]
    path.with_suffix(".cpg").unlink()
    assert read_inventory(path, GRID, encoding="CP932").frame["place"].tolist() == ["厚真町"]


@pytest.mark.parametrize("cpg", ["UTF-8", None])
def test_an_unreadable_encoding_is_refused_with_the_remedy(tmp_path, cpg):
    path = shapefile_in(tmp_path, "CP932", "厚真町", cpg=cpg)
    if cpg is None:  # GDAL takes Latin-1 then: legible to it, wrong to the reader, and no error
        assert len(read_inventory(path, GRID)) == 1
        return
    with pytest.raises(InputError, match=r"not readable as utf-8; give their encoding \(--inventory-encoding"):
        read_inventory(path, GRID)


def test_an_unknown_encoding_is_named(tmp_path):
    path = shapefile_in(tmp_path, "UTF-8", "a", cpg=None)
    with pytest.raises(InputError, match="encoding 'klingon' is not known"):
        read_inventory(path, GRID, encoding="klingon")


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        ([shapely.Point(X + 50, Y - 50)], "1 of 1 feature is a point,.*buffer the points"),
        (
            [THREE[0], shapely.LineString([(X, Y), (X + 9, Y)])],
            "1 of 2 features is a line,.*into polygons",
        ),
        ([shapely.Point(X, Y), shapely.LineString([(X, Y), (X + 9, Y)])], "2 of 2 features are points and lines"),
    ],
)
def test_points_and_lines_are_refused_with_the_remedy(tmp_path, shapes, says):
    with pytest.raises(InputError, match=says):
        read_inventory(saved(tmp_path / "x.gpkg", shapes), GRID)


@pytest.mark.parametrize(
    ("move", "says"),
    [
        (lambda f: f.translate(50_000, 0), "give the one of this area, or check its CRS"),
        (lambda f: f.translate(0, 10_000_000), "UTM zone is of the other hemisphere"),
        (lambda f: f.to_crs(4326).map(lambda g: shapely.affinity.scale(g, 1, -1, origin=(0, 0))), "other hemisphere"),
        (lambda f: f.to_crs(4326).map(lambda g: shapely.affinity.scale(g, -1, 1, origin=(0, 0))), "other hemisphere"),
        (lambda f: f.to_crs(4326).map(lambda g: shapely.transform(g, lambda c: c[:, ::-1])), "latitude first"),
    ],
)
def test_an_inventory_elsewhere_says_why(tmp_path, move, says):

    path = tmp_path / "far.gpkg"
    geopandas.GeoDataFrame(geometry=move(frame(THREE).geometry)).to_file(path)
    with pytest.raises(CoverageError, match=f"lies wholly outside the scene.*{says}") as caught:
        read_inventory(path, GRID)
    assert "\n" not in str(caught.value)
    with pytest.raises(CoverageError, match="mapped extent lies wholly outside"):
        read_aoi(path, GRID)


def test_touching_the_edge_from_outside_is_outside(tmp_path):
    path = saved(tmp_path / "edge.gpkg", [box(300, 10, 5, 5)])
    with pytest.raises(CoverageError, match="wholly outside"):
        read_inventory(path, GRID)


def broken(tmp_path: Path) -> dict[str, tuple]:
    text = tmp_path / "text.gpkg"
    text.write_text("not a database at all")
    nothing = tmp_path / "nothing.geojson"
    nothing.write_text('{"type": "FeatureCollection", "features": []}')
    (tmp_path / "zero.gpkg").touch()
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\n")
    frame(THREE).to_file(tmp_path / "parts.shp")
    no_prj = tmp_path / "noprj.shp"
    frame(THREE).to_file(no_prj)
    no_prj.with_suffix(".prj").unlink()
    no_shx = tmp_path / "noshx.shp"
    frame(THREE).to_file(no_shx)
    no_shx.with_suffix(".shx").unlink()
    plain = tmp_path / "plain.parquet"
    import pandas as pd

    pd.DataFrame({"a": [1]}).to_parquet(plain)
    fake = tmp_path / "fake.parquet"
    fake.write_bytes(b"PAR1 but not really")
    cut = saved(tmp_path / "cut.gpkg", many(1))
    cut.write_bytes(cut.read_bytes()[:30_000])
    bad_json = tmp_path / "cut.geojson"
    frame(THREE).to_crs(4326).to_file(bad_json)
    bad_json.write_text(bad_json.read_text()[:400])
    empties = tmp_path / "empties.geojson"
    empties.write_text('{"type":"FeatureCollection","features":[{"type":"Feature","properties":{},"geometry":null}]}')
    return {
        "missing": (tmp_path / "no.gpkg", MissingInputError, "no such file"),
        "text": (text, InputError, "not a readable vector file"),
        "empty file": (tmp_path / "zero.gpkg", InputError, "the file is empty"),
        "no features": (nothing, InputError, "holds no features"),
        "only empties": (empties, InputError, "1 feature has an empty geometry"),
        "table": (table, InputError, "without geometries"),
        "part": (tmp_path / "parts.dbf", InputError, r"one part of a shapefile; give its \.shp"),
        "no crs": (no_prj, CRSMismatchError, "no coordinate reference system; assign the right one"),
        "no index": (no_shx, InputError, "not a readable vector file.*shx"),
        "plain parquet": (plain, InputError, "not a readable GeoParquet file"),
        "fake parquet": (fake, InputError, "not a readable GeoParquet file"),
        "cut database": (cut, InputError, "vector file|damaged"),
        "cut json": (bad_json, InputError, "not a readable vector file|damaged"),
        "raster": (DATA / "iburi" / "DSM.tif", InputError, "not a readable vector file"),
    }


CASES = (
    "missing",
    "text",
    "empty file",
    "no features",
    "only empties",
    "table",
    "part",
    "no crs",
    "no index",
    "plain parquet",
    "fake parquet",
    "cut database",
    "cut json",
    "raster",
)


@pytest.mark.parametrize("case", CASES)
def test_unusable_files_are_refused_in_one_line(tmp_path, case):
    path, kind, says = broken(tmp_path)[case]
    if case == "raster" and not path.is_file():
        pytest.skip("real data absent: ../shared/data/iburi/DSM.tif")
    with pytest.raises(kind, match=says) as caught:
        read_inventory(path, GRID)
    assert isinstance(caught.value, LandslipError)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


def test_a_grid_that_is_another_is_refused(tmp_path):
    inventory = read_inventory(saved(tmp_path / "i.gpkg", THREE), GRID)
    with pytest.raises(GridMismatchError, match="read for another grid"):
        rasterise(inventory, LARGE)


def test_stored_and_opened_it_is_the_same(tmp_path):
    inventory = read_inventory(saved(tmp_path / "m.gpkg", many(3)), GRID)
    out = tmp_path / "out.gpkg"
    write_inventory(inventory, out)
    first = out.read_bytes()
    write_inventory(inventory, out)
    assert out.read_bytes() == first
    again = open_inventory(out, GRID)
    np.testing.assert_array_equal(rasterise(again, GRID)[1], rasterise(inventory, GRID)[1])
    assert again.frame["id"].tolist() == inventory.frame["id"].tolist()


def test_a_stored_inventory_that_is_none_is_refused(tmp_path):
    with pytest.raises(FormatError, match="cannot be read; build the scene again"):
        open_inventory(saved(tmp_path / "other.gpkg", THREE), GRID)
    frame(THREE).to_file(tmp_path / "named.gpkg", layer="inventory")
    with pytest.raises(FormatError, match="not an inventory of a scene"):
        open_inventory(tmp_path / "named.gpkg", GRID)
    with pytest.raises(InputError, match="its columns or its CRS"):
        Inventory.of_frame(frame(THREE), GRID)


def star(vertices: int, jitter: float = 0.0) -> shapely.Polygon:
    angles = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    if jitter:  # neighbours change places: the ring crosses itself everywhere
        angles = angles + np.random.default_rng(0).normal(0, jitter * 2 * np.pi / vertices, vertices)
    radius = 600 + 200 * np.sin(5 * angles) + np.random.default_rng(1).normal(0, 0.3, vertices)
    return shapely.Polygon(np.c_[X + 1500 + radius * np.cos(angles), Y - 1000 + radius * np.sin(angles)])


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("vertices", "jitter"),
    [(400_000, 0.0), (400_000, 3.0), pytest.param(10_000_000, 0.0, marks=pytest.mark.slow)],
)
def test_a_polygon_of_very_many_vertices_survives(tmp_path, vertices, jitter):
    path = tmp_path / "huge.gpkg"
    frame([star(vertices, jitter), box(280, 180, 8, 8)]).to_file(path)
    inventory = read_inventory(path, GRID)
    assert inventory.hygiene.thinned == 1
    labels, _ = rasterise(inventory, GRID)
    coarse, _ = rasterise(read_inventory(saved(tmp_path / "c.gpkg", [star(3000), box(280, 180, 8, 8)]), GRID), GRID)
    assert (labels != coarse).mean() < 5e-4  # pixels on the outline


@pytest.mark.real
def test_the_real_study_area_is_burnt_as_it_was_labelled():
    folder = DATA / "iburi"
    if not folder.is_dir():
        pytest.skip("real data absent: ../shared/data/iburi")
    cell = 8.983152841195215e-05
    # an equirectangular grid in metres that has the pixels of the images in degrees
    crs = CRS.from_proj4("+proj=eqc +lat_ts=0 +lon_0=0 +a=6378137 +b=6378137 +units=m")
    k = np.radians(1) * 6378137
    degrees = Affine(cell, 0, 141.89033643113302, 0, -cell, 42.769509329157714)
    grid = Grid((970, 1533), Affine(degrees.a * k, 0, degrees.c * k, 0, degrees.e * k, degrees.f * k), crs)
    inventory = read_inventory(folder / "inventory.gpkg", grid)
    extent = read_aoi(folder / "mapped_extent.gpkg", grid)
    labels, landslides = rasterise(inventory, grid, extent)
    known = labels != 255
    assert len(inventory) == 752
    assert abs(int(known.sum()) - 652_272) < 0.03 * 652_272
    assert 0.07 < (labels == 1).sum() / known.sum() < 0.085
    assert len(np.unique(landslides)) - 1 > 745


@pytest.mark.real
def test_a_real_inventory_in_flatgeobuf():
    path = DATA / "inventories" / "hokai_all_20240106_merge.fgb"
    if not path.is_file():
        pytest.skip("real data absent: ../shared/data/inventories")
    grid = Grid.from_bounds((664_000, 4_118_000, 713_000, 4_156_000), 10, CRS.from_epsg(32653))
    inventory = read_inventory(path, grid)
    report = inventory.hygiene
    assert (report.read, report.repaired) == (1472, 3)
    assert report.kept == len(inventory) == report.read - report.outside + report.split - report.slivers
    labels, landslides = rasterise(inventory, grid)
    assert set(np.unique(landslides)) == {0, *range(1, len(inventory) + 1)}
    assert abs(labels.sum() * 100 / inventory.area_m2 - 1) < 0.01
