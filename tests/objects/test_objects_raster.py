"""Segmentation from disk: the same labels as in memory, a kept budget, resumption, and clear refusals."""

import errno
import gc
import warnings

import numpy as np
import pytest
import rasterio
from affine import Affine

from landslip.errors import ConfigError, CRSMismatchError, InputError, LayerError, OutputError, ResourceError
from landslip.objects import segment, segment_raster
from landslip.objects.disk import planning
from landslip.objects.disk import raster as disk
from landslip.objects.disk import run as work
from landslip.objects.disk.sources import open_source
from landslip.objects.kernels import memory
from landslip.objects.windows.plans import Plan

ROWS, COLS = 130, 150


def image_of(seed=0, constant=False):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:ROWS, 0:COLS] / 11
    image = np.stack([50 * np.sin(x + k) * np.cos(y * 1.3 - k) for k in range(3)]) + rng.normal(0, 5, (3, ROWS, COLS))
    if constant:
        image[:] = 9
    return image.astype(np.float32)


def write(path, image, **profile):
    options = {
        "driver": "GTiff", "dtype": image.dtype, "count": image.shape[0], "height": image.shape[1],
        "width": image.shape[2], "crs": "EPSG:32654", "transform": Affine(10, 0, 500_000, 0, -10, 4_700_000),
        "tiled": True, "blockxsize": 64, "blockysize": 64, **profile,
    }  # fmt: skip
    with rasterio.open(path, "w", **options) as dataset:
        dataset.write(image)
        for index, name in enumerate(("blue", "green", "red")[: image.shape[0]], start=1):
            dataset.set_band_description(index, name)
    return path


@pytest.fixture
def raster(tmp_path):
    image = image_of()
    image[:, 40:52, 30:90] = np.nan
    return write(tmp_path / "image.tif", image, nodata=np.nan), image


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def in_memory(image, scale, **options):
    return segment(image, scale, valid=np.isfinite(image).all(axis=0), **options)


@pytest.mark.parametrize("plan", [None, Plan((64, 64), 6, 24), Plan((37, 150), 3, 2), Plan((50, 49), 9, 0)])
def test_from_disk_equals_in_memory(raster, tmp_path, plan):
    path, image = raster
    done = segment_raster(path, tmp_path / "labels.tif", 30, plan=plan)
    expected = in_memory(image, 30)
    assert np.array_equal(read(tmp_path / "labels.tif"), expected)
    assert done.objects == expected.max()
    with rasterio.open(path) as source, rasterio.open(tmp_path / "labels.tif") as labels:
        assert labels.transform == source.transform
        assert labels.crs == source.crs
        assert labels.nodata == 0
        assert labels.dtypes == ("int32",)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["image.tif", "labels.tif"]


def test_no_memory_is_kept_when_it_is_done(raster, tmp_path):
    path, _ = raster
    segment(np.random.default_rng(0).normal(0, 9, (2, 300, 300)), 30)
    assert memory._kept
    segment_raster(path, tmp_path / "labels.tif", 30)
    gc.collect()
    assert memory._kept == []


def test_memory_kept_from_before_does_not_come_on_top(raster, tmp_path, monkeypatch):
    segment(np.random.default_rng(0).normal(0, 9, (2, 300, 300)), 30)
    assert memory._kept
    honest, kept = disk.first_passes, []
    monkeypatch.setattr(disk, "first_passes", lambda *a, **k: (kept.extend(memory._kept), honest(*a, **k))[1])
    segment_raster(raster[0], tmp_path / "labels.tif", 30)
    assert kept == []


def test_options_reach_the_segmentation(raster, tmp_path):
    path, image = raster
    options = {"color": 0.7, "compactness": 0.2, "band_weights": [1.0, 0.2], "min_size": 9}
    segment_raster(path, tmp_path / "labels.tif", 25, layers=["red", "blue"], plan=Plan((50, 60), 4, 9), **options)
    assert np.array_equal(read(tmp_path / "labels.tif"), in_memory(image[[2, 0]], 25, **options))


def test_bounds_map_the_layers(raster, tmp_path):
    path, image = raster
    bounds = [(-40.0, 30.0), (-10.0, 60.0), (0.0, 50.0)]
    segment_raster(path, tmp_path / "labels.tif", 40, bounds=bounds)
    mapped = np.stack(
        [(x - np.float32(a)) * np.float32(255 / (b - a)) for x, (a, b) in zip(image, bounds, strict=True)]
    )
    assert np.array_equal(read(tmp_path / "labels.tif"), in_memory(mapped, 40))


def test_integers_with_nodata_are_read_as_they_are(tmp_path):
    image = np.round(image_of() * 10 + 2000).astype(np.uint16)
    image[:, :20, :20] = 0
    path = write(tmp_path / "image.tif", image, nodata=0)
    segment_raster(path, tmp_path / "labels.tif", 200, plan=Plan((64, 64), 4, 12))
    valid = (image != 0).all(axis=0)
    assert np.array_equal(read(tmp_path / "labels.tif"), segment(image, 200, valid=valid))


def test_an_interrupted_run_is_taken_up(raster, tmp_path, monkeypatch):
    path, image = raster
    plan, out = Plan((50, 50), 5, 20), tmp_path / "labels.tif"
    honest, calls = work.run_window, []

    def broken(*arguments):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return honest(*arguments)

    monkeypatch.setattr(work, "run_window", broken)
    with pytest.raises(KeyboardInterrupt):
        segment_raster(path, out, 30, plan=plan, threads=1)
    assert not out.exists()
    calls.clear()
    monkeypatch.setattr(work, "run_window", lambda *a: (calls.append(1), honest(*a))[1])
    segment_raster(path, out, 30, plan=plan, threads=1, resume=True)
    assert len(calls) == 9 - 4
    assert np.array_equal(read(out), in_memory(image, 30))


def test_parts_of_other_settings_are_not_taken_up(raster, tmp_path, monkeypatch):
    path, image = raster
    plan, out = Plan((50, 50), 5, 20), tmp_path / "labels.tif"
    monkeypatch.setattr(work.Run, "merge", lambda self: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        segment_raster(path, out, 30, plan=plan)
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="other settings; remove it or omit --resume"):
        segment_raster(path, out, 31, plan=plan, resume=True)
    segment_raster(path, out, 31, plan=plan)
    assert np.array_equal(read(out), in_memory(image, 31))


def test_a_damaged_part_is_named(raster, tmp_path, monkeypatch):
    path, _ = raster
    plan, out = Plan((50, 50), 5, 20), tmp_path / "labels.tif"
    monkeypatch.setattr(work.Run, "merge", lambda self: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        segment_raster(path, out, 30, plan=plan)
    part = tmp_path / "labels.tif.partial" / "window-000003.npz"
    part.write_bytes(part.read_bytes()[:200])
    with pytest.raises(OutputError, match=r"window-000003.npz: is damaged; remove it and run again with --resume"):
        segment_raster(path, out, 30, plan=plan, resume=True)


def test_a_constant_raster_beyond_the_budget_is_refused_with_the_size_it_needs(tmp_path):
    path = write(tmp_path / "flat.tif", image_of(constant=True))
    out = tmp_path / "labels.tif"
    with pytest.raises(
        ResourceError, match=r"merging them needs about 0\.\d+ GiB and the limit is 0\.00 GiB: raise it"
    ):
        segment_raster(path, out, 30, plan=Plan((65, 75), 2, 9), memory_gib=1e-5)
    assert not out.exists()


def test_windows_that_outgrow_the_budget_are_refused(tmp_path):
    path = write(tmp_path / "flat.tif", image_of(constant=True))
    plan = Plan((16, 16), 8, 1)
    with pytest.raises(ResourceError, match="objects grow so large near row"):
        segment_raster(path, tmp_path / "labels.tif", 30, plan=plan, memory_gib=0.0005, threads=1)


def test_a_memory_for_no_window_is_refused_with_what_it_takes(raster, tmp_path):
    with pytest.raises(ResourceError, match=r"too small for one window; give at least 0\.\d+ GiB"):
        segment_raster(raster[0], tmp_path / "labels.tif", 30, memory_gib=0.01)
    with pytest.raises(ConfigError, match="memory_gib is -1"):
        segment_raster(raster[0], tmp_path / "labels.tif", 30, memory_gib=-1)


def test_a_full_disk_leaves_nothing_under_the_final_name(raster, tmp_path, monkeypatch):
    out = tmp_path / "labels.tif"

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(work, "save", full)
    with pytest.raises(OutputError, match=r"cannot write .*labels.tif: the disk is full"):
        segment_raster(raster[0], out, 30, plan=Plan((50, 50), 3, 20))
    assert not out.exists()
    monkeypatch.undo()
    monkeypatch.setattr(work, "write_block", full)
    with pytest.raises(OutputError, match="the disk is full"):
        segment_raster(raster[0], out, 30, plan=Plan((50, 50), 3, 20))
    assert not out.exists()


def test_bad_rasters_are_refused(raster, tmp_path):
    path, image = raster
    out = tmp_path / "labels.tif"
    with pytest.raises(LayerError, match=r"no band 'nir'; it has blue, green, red: choose with --layers"):
        segment_raster(path, out, 30, layers=["nir"])
    radar = write(tmp_path / "radar.tif", image[:1].astype(np.complex64))
    with pytest.raises(InputError, match="band blue is of type complex64; it must hold real numbers"):
        segment_raster(radar, out, 30)
    with pytest.raises(ConfigError, match="low < high"):
        segment_raster(path, out, 30, bounds=[(1, 0)])
    empty = write(tmp_path / "empty.tif", np.full_like(image, np.nan), nodata=np.nan)
    with pytest.raises(InputError, match="no pixel is valid; check its nodata value"):
        segment_raster(empty, out, 30)
    with pytest.raises(InputError, match="has no valid pixels or one value only"):
        open_source(empty).percentiles()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        nowhere = write(tmp_path / "nowhere.tif", image, crs=None)
    with pytest.raises(CRSMismatchError, match="no coordinate reference system"):
        segment_raster(nowhere, out, 30)


def test_percentiles_are_those_of_the_whole_raster(raster):
    path, image = raster
    found = open_source(path).percentiles()
    expected = [np.percentile(x[np.isfinite(x)], (2, 98)) for x in image]
    assert np.allclose(found, expected)


def test_more_passes_in_windows_where_few_leave_too_many_objects(raster, tmp_path, monkeypatch):
    path, image = raster
    out, used, interrupt = tmp_path / "labels.tif", [], []
    honest = work.Run._run

    def run(self, core, *others):
        used.append(self.task.plan.passes)
        if used[-1] == 6 and interrupt:
            interrupt.clear()
            raise KeyboardInterrupt
        return honest(self, core, *others)

    monkeypatch.setattr(work.Run, "_run", run)
    monkeypatch.setattr(planning, "FIRST_PASSES", ((2, 10), (6, 30)))
    monkeypatch.setattr(planning, "_plan", lambda shape, b, threads, m, *each: (Plan.of(shape, 64, *each), 1))
    # a memory that holds the graph after six passes, not after two
    nodes = {passes: _nodes_left(path, tmp_path, passes) for passes in (2, 6)}
    memory = (nodes[2] + nodes[6]) / 2 * planning.node_bytes(len(image)) / 2**30
    used.clear()
    interrupt.append(True)
    with pytest.raises(KeyboardInterrupt):
        segment_raster(path, out, 30, memory_gib=memory)
    segment_raster(path, out, 30, memory_gib=memory, resume=True)
    assert np.array_equal(read(out), in_memory(image, 30))
    assert used == sorted(used)  # the plan that was given up is not begun again
    assert set(used) == {2, 6}


def _nodes_left(path, folder, passes):
    sizes = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work.Run, "merge", lambda self: sizes.extend(self.sizes) or 1 / 0)
        with pytest.raises(ZeroDivisionError):
            segment_raster(path, folder / f"{passes}.tif", 30, plan=Plan((64, 64), passes, 30))
    return sum(size.nodes for size in sizes)
