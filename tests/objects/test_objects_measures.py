"""Means, fitness, scale choice and the table of objects, by known answers and invariants."""

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS

from landslip.errors import CRSMismatchError, InputError, OutputError
from landslip.grid import Grid
from landslip.objects import (
    choose_scale,
    choose_scale_unsupervised,
    object_fitness,
    object_means,
    object_polygons,
    object_table,
    plot_scales,
    segment,
    write_objects,
)

LABELS = np.array([[1, 1, 2, 2], [1, 1, 2, 0], [3, 3, 3, 3]], np.int32)
GRID = Grid((3, 4), Affine(10, 0, 500_000, 0, -20, 4_000_000), CRS.from_epsg(32654))


def parcels(seed=0):
    """Four squares of different colour in noise, and their ids."""
    rng = np.random.default_rng(seed)
    ids = np.zeros((96, 96), np.int32)
    for k, (r, c) in enumerate([(8, 8), (10, 60), (55, 20), (60, 64)], start=1):
        ids[r : r + 22, c : c + 22] = k
    image = np.stack([(ids > 0) * 90.0 + ids * 7, (ids > 0) * -60.0]) + rng.normal(0, 6, (2, 96, 96))
    return image.astype(np.float32), ids


def test_means_are_those_of_the_valid_pixels():
    layer = np.array([[1, 3, 5, np.nan], [np.nan, 5, 7, 9], [np.nan] * 4])
    means = object_means(LABELS, np.stack([layer, np.ones((3, 4))]))
    assert means.dtype == np.float32
    assert np.array_equal(means[0, :2, :2], np.full((2, 2), 3))
    assert np.array_equal(means[0, 0, 2:], [6, 6])
    assert np.isnan(means[0, 2]).all()
    assert np.isnan(means[:, 1, 3]).all()
    assert np.array_equal(object_means(LABELS, layer), means[0], equal_nan=True)


def test_means_keep_the_sum_and_are_their_own_means():
    image, _ = parcels()
    labels = segment(image, 30)
    means = object_means(labels, image)
    assert means.sum(dtype=np.float64) == pytest.approx(image.sum(dtype=np.float64), rel=1e-6)
    assert np.allclose(object_means(labels, means), means)


def test_fitness_by_hand():
    labels = np.array([[1, 1, 2, 2, 3, 3], [1, 1, 2, 2, 3, 3]])
    reference = np.array([[0, 5, 5, 9, 9, 9], [0, 5, 5, 9, 9, 9]])
    found = object_fitness(labels, reference)
    table = found.per_polygon
    assert table.polygon.tolist() == [5, 9]
    assert table.object.tolist() == [1, 3]  # of equal overlaps the lowest label
    assert table.opi.tolist() == [2 / 4, 4 / 4]
    assert table.omi.tolist() == [2 / 4, 4 / 6]
    assert found.opi == pytest.approx(0.75)
    assert found.omi == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found.ofi == pytest.approx(np.sqrt(found.opi * found.omi))
    assert found.opi_area == pytest.approx((4 * 0.5 + 6 * 1) / 10)


def test_fitness_leaves_out_small_polygons_and_invalid_pixels():
    labels = np.array([[1, 1, 1, 0], [1, 1, 1, 0]])
    reference = np.array([[2, 2, 7, 7], [2, 2, 7, 7]])
    found = object_fitness(labels, reference)
    assert found.polygons == 1
    assert found.per_polygon.pixels.tolist() == [4, 2]
    assert found.omi == 1


def test_the_perfect_segmentation_has_fitness_one():
    _, ids = parcels()
    found = object_fitness(ids + 1, ids)
    assert found.opi == found.omi == found.ofi == found.ofi_area == 1


def test_fitness_finds_the_scale_of_the_parcels():
    image, ids = parcels()
    search = choose_scale(image, ids, [2, 5, 30, 60, 3000])
    assert search.scale in (30, 60)
    assert not search.at_end
    assert search.best.ofi > 0.95
    curves = search.to_dict()
    assert curves["omi"] == sorted(curves["omi"])
    assert curves["opi"][0] > 0.99 > curves["opi"][-1]
    assert curves["objects"] == sorted(curves["objects"], reverse=True)


def test_the_unsupervised_scale_parts_the_parcels_too():
    image, _ = parcels()
    search = choose_scale_unsupervised(image, [2, 5, 15, 40, 3000])
    assert search.scale in (15, 40)
    assert list(search.variance) == sorted(search.variance)
    assert search.local_variance[0] < search.local_variance[-1]
    assert np.isnan(search.rate_of_change[0])
    assert search.to_dict()["rate_of_change"][0] is None
    assert search.score[search.scales.index(search.scale)] == max(search.score)


def test_moran_is_one_sided_for_a_checkerboard_of_objects():
    # neighbours differ always: strong negative autocorrelation
    tiles = np.kron(np.indices((6, 6)).sum(axis=0) % 2, np.ones((5, 5))) * 100
    search = choose_scale_unsupervised(tiles[None].astype(np.float32), [5, 6])
    assert search.moran[0] == pytest.approx(-1)
    assert search.variance[0] == 0


def test_the_figure_is_the_same_bytes_each_time(tmp_path):
    image, ids = parcels()
    for name, search in (
        ("fit", choose_scale(image, ids, [10, 40])),
        ("free", choose_scale_unsupervised(image, [10, 40])),
    ):
        plot_scales(search, tmp_path / f"{name}.png")
        plot_scales(search, tmp_path / f"{name}2.png")
        one = (tmp_path / f"{name}.png").read_bytes()
        assert one == (tmp_path / f"{name}2.png").read_bytes()
        assert one.startswith(b"\x89PNG")


def test_the_table_by_hand():
    slope = np.arange(12.0).reshape(3, 4)
    slope[0, 0] = np.nan
    table = object_table(LABELS, GRID, [("slope", slope)]).set_index("object")
    assert table["pixels"].tolist() == [4, 3, 4]
    assert table["area_m2"].tolist() == [800, 600, 800]
    assert table["perimeter_m"].tolist() == [2 * 20 + 2 * 40, 40 + 2 * 40, 2 * 40 + 2 * 20]
    assert table.loc[2, ["row_min", "row_max", "col_min", "col_max"]].tolist() == [0, 1, 2, 3]
    assert table.loc[1, "compactness"] == pytest.approx(8 / 2)
    assert table.loc[2, "compactness"] == pytest.approx(8 / np.sqrt(3))
    assert table["smoothness"].tolist() == [1, 1, 1]
    assert table["neighbours"].tolist() == [2, 2, 2]
    assert table["mean_slope"].tolist() == [pytest.approx((1 + 4 + 5) / 3), pytest.approx(11 / 3), 9.5]
    assert table.loc[3, "std_slope"] == pytest.approx(np.std([8, 9, 10, 11]))


def test_a_hole_counts_in_the_perimeter():
    labels = np.ones((5, 5), int)
    labels[2, 2] = 2
    grid = Grid((5, 5), Affine(10, 0, 0, 0, -10, 0), CRS.from_epsg(32654))
    table = object_table(labels, grid).set_index("object")
    assert table.loc[1, "perimeter_m"] == 10 * (20 + 4)
    assert table.loc[1, "smoothness"] == pytest.approx(24 / 20)


@pytest.mark.parametrize("suffix", [".gpkg", ".parquet"])
def test_outlines_have_the_pixels_area_and_edges_and_come_back(tmp_path, suffix):
    import geopandas

    image, _ = parcels()
    grid = Grid((96, 96), Affine(10, 0, 500_000, 0, -10, 4_000_000), CRS.from_epsg(32654))
    labels = segment(image, 15)
    table = object_table(labels, grid, [("red", image[0])])
    outlines = object_polygons(labels, grid, table)
    assert outlines.is_valid.all()
    assert np.allclose(outlines.area, table["area_m2"])
    assert np.allclose(outlines.length, table["perimeter_m"])
    path = tmp_path / f"objects{suffix}"
    write_objects(outlines, path)
    back = geopandas.read_file(path) if suffix == ".gpkg" else geopandas.read_parquet(path)
    assert back["pixels"].tolist() == table["pixels"].tolist()
    assert back.crs == outlines.crs
    first = path.read_bytes()
    write_objects(outlines, path)
    assert path.read_bytes() == first


def test_the_table_refuses_what_does_not_fit(tmp_path):
    with pytest.raises(InputError, match="on a grid of"):
        object_table(LABELS.T, GRID)
    with pytest.raises(InputError, match="layer red of"):
        object_table(LABELS, GRID, [("red", np.zeros((4, 3)))])
    degrees = Grid((3, 4), Affine(1e-4, 0, 0, 0, -1e-4, 0), CRS.from_epsg(4326))
    with pytest.raises(CRSMismatchError, match="not projected in metres"):
        object_table(LABELS, degrees)
    with pytest.raises(OutputError, match=r"\.gpkg or \.parquet"):
        write_objects(object_polygons(LABELS, GRID, object_table(LABELS, GRID)), tmp_path / "x.shp")
