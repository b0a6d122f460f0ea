"""Patch sets of every kind: read lazily, described, refused when wrong."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from landslip.data import open_patches
from landslip.errors import FormatError, InputError, LayerError, MissingInputError

REAL = Path("../shared/data")
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real data in ../shared/data are absent")


def write_l4s(folder: Path, numbers=(1, 2, 10), size=32) -> Path:
    rng = np.random.default_rng(0)
    for name in ("img", "mask"):
        (folder / name).mkdir(parents=True)
    for number in numbers:
        with h5py.File(folder / "img" / f"image_{number}.h5", "w") as file:
            file["img"] = rng.random((size, size, 14)) + np.arange(14)
        with h5py.File(folder / "mask" / f"mask_{number}.h5", "w") as file:
            file["mask"] = (rng.random((size, size)) < 0.2).astype(np.uint8)
    return folder


def write_npz(path: Path, **changes) -> Path:
    rng = np.random.default_rng(0)
    content = {
        "image": rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8),
        "mask": (rng.random((4, 32, 32)) < 0.2).astype(np.uint8),
        "region": np.array([1, 1, 2, 2], np.uint8),
        "row": np.array([0, 1, 0, 0], np.int16),
        "col": np.array([5, 5, 2, 3], np.int16),
        "l4s_id": np.array([11, 12, 13, 14]),
        "split": np.array(["train", "train", "validation", "train"]),
    } | changes
    np.savez(path, **{name: array for name, array in content.items() if array is not None})
    return path


def write_chips(folder: Path, *, dtype="uint16", names=("blue", "red"), places=((0, 0), (1, 0), (1, 2)), mask=True):
    rng = np.random.default_rng(0)
    for i, (row, col) in enumerate(places):
        profile = {
            "driver": "GTiff", "width": 32, "height": 32, "crs": "EPSG:32654", "nodata": 0,
            "transform": from_origin(500_000 + 320 * col, 4_700_000 - 320 * row, 10, 10),
        }  # fmt: skip
        (folder / "images").mkdir(parents=True, exist_ok=True)
        with rasterio.open(folder / "images" / f"chip{i}.tif", "w", count=2, dtype=dtype, **profile) as file:
            pixels = rng.integers(1, 250, (2, 32, 32)).astype(dtype)
            pixels[:, 0, 0] = 0
            file.write(pixels)
            if names:
                file.descriptions = names
        if mask:
            (folder / "masks").mkdir(exist_ok=True)
            profile["nodata"] = None
            with rasterio.open(folder / "masks" / f"chip{i}.tif", "w", count=1, dtype="uint8", **profile) as file:
                file.write((rng.random((1, 32, 32)) < 0.2).astype(np.uint8))
    return folder


def test_landslide4sense_channels_have_their_names(tmp_path):
    patches = open_patches(write_l4s(tmp_path))
    picked = patches.select(("blue", "green", "red", "nir", "slope"))
    assert picked.names == ("image_1", "image_2", "image_10")
    assert picked.image.shape == (3, 5, 32, 32)
    # channel k holds values from k to k + 1
    np.testing.assert_array_equal(picked.image.min((0, 2, 3)).astype(int), [1, 2, 3, 7, 12])
    with h5py.File(tmp_path / "mask" / "mask_10.h5") as file:
        np.testing.assert_array_equal(picked.label[2], file["mask"][()])
    assert patches.col.tolist() == [1, 2, 10]
    assert patches.scaling == "per-patch-maximum"


def test_patches_are_read_when_asked_for_and_not_before(tmp_path):
    folder = write_l4s(tmp_path)
    (folder / "img" / "image_10.h5").write_bytes(b"damaged")
    patches = open_patches(folder)
    image, label = patches.read(1)
    assert image.shape == (14, 32, 32)
    assert label.shape == (32, 32)
    with pytest.raises(FormatError, match=r"image_10\.h5: not readable as HDF5"):
        _ = patches.image


def test_npz_keeps_places_and_scales_whole_numbers(tmp_path):
    patches = open_patches(write_npz(tmp_path / "p.npz"))
    assert patches.bands == ("red", "green", "blue")
    assert patches.names == ("11", "12", "13", "14")
    assert patches.region.tolist() == [1, 1, 2, 2]
    assert patches.row.tolist() == [0, 1, 0, 0]
    assert patches.split.tolist()[2] == "validation"
    assert patches.scaling == "per-patch-maximum"
    with np.load(tmp_path / "p.npz") as content:
        expected = np.moveaxis(content["image"], -1, 1) / np.float32(255)
    np.testing.assert_array_equal(patches.image, expected)
    np.testing.assert_array_equal(patches.select(["blue"]).image[:, 0], expected[:, 2])


def test_npz_of_floats_is_reflectance_with_named_bands_and_without_masks_unlabelled(tmp_path):
    image = np.random.default_rng(1).random((2, 32, 32, 2)).astype(np.float32)
    np.savez(tmp_path / "f.npz", image=image, bands=np.array(["red", "nir"]))
    patches = open_patches(tmp_path / "f.npz")
    assert patches.bands == ("red", "nir")
    assert patches.scaling == "reflectance"
    assert patches.label is None
    assert patches.split is None
    assert (patches.read(0)[1] == 255).all()


def test_chips_take_place_from_georeference_and_nan_from_nodata(tmp_path):
    patches = open_patches(write_chips(tmp_path))
    assert patches.bands == ("blue", "red")
    assert patches.row.tolist() == [0, 1, 1]
    assert patches.col.tolist() == [0, 0, 2]
    assert np.isnan(patches.image[:, :, 0, 0]).all()
    assert np.nanmax(patches.image) < 0.025
    assert patches.scaling == "reflectance"
    assert patches.label is not None


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: p / "absent", MissingInputError, "no such patch set; check the path"),
        (lambda p: p, FormatError, "not a patch set; give a Landslide4Sense folder"),
        (lambda p: write_npz(p / "p.npz", image=None), FormatError, "no array 'image' in it"),
        (lambda p: write_npz(p / "p.npz", image=np.zeros((4, 32, 32))), InputError, r"not \(n, rows, cols, bands\)"),
        (lambda p: write_npz(p / "p.npz", image=np.zeros((4, 32, 32, 5))), InputError, "5 bands without names"),
        (lambda p: write_npz(p / "p.npz", row=np.zeros(3)), InputError, "array 'row' has 3 values for 4 images"),
        (lambda p: write_npz(p / "p.npz", bands=np.array(["red", "red", "blue"])), InputError, "or a name twice"),
        (lambda p: write_npz(p / "p.npz", image=np.zeros((0, 32, 32, 3))), InputError, "no patch in it|values for 0"),
    ],
)
def test_what_is_no_patch_set_is_refused(tmp_path, make, error, message):
    with pytest.raises(error, match=message) as caught:
        open_patches(make(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((4, 32, 31), np.uint8), r"patch 11: its mask is \(32, 31\), its image \(32, 32\)"),
        (np.full((4, 32, 32), 2, np.uint8), "patch 11: its mask holds 2; use 0 no landslide, 1 landslide, 255"),
        (np.full((4, 32, 32), 257, np.uint16), "patch 11: its mask holds 257; use 0"),  # 1 as a byte
        (np.full((4, 32, 32), -1, np.int16), "patch 11: its mask holds -1; use 0"),
        (np.full((4, 32, 32), 0.7, np.float32), r"patch 11: its mask holds 0\.69\d*; use 0"),
        (np.full((4, 32, 32), np.nan, np.float32), "patch 11: its mask holds nan; use 0"),
        (np.zeros((3, 32, 32), np.uint8), "3 masks for 4 images"),
    ],
)
def test_masks_that_do_not_fit_are_refused(tmp_path, mask, message):
    with pytest.raises(InputError, match=message):
        _ = open_patches(write_npz(tmp_path / "p.npz", mask=mask)).label


def test_missing_masks_and_foreign_files_are_refused(tmp_path):
    folder = write_l4s(tmp_path / "l4s")
    (folder / "mask" / "mask_2.h5").unlink()
    with pytest.raises(InputError, match=r"image_2\.h5: no mask for it"):
        open_patches(folder)
    chips = write_chips(tmp_path / "chips")
    (chips / "masks" / "chip1.tif").unlink()
    with pytest.raises(InputError, match=r"chip1\.tif: no mask for it"):
        open_patches(chips)
    other = write_l4s(tmp_path / "other", numbers=(3,))
    with h5py.File(other / "img" / "image_3.h5", "w") as file:
        file["data"] = np.zeros(3)
    with pytest.raises(FormatError, match="no data set 'img' in it"):
        open_patches(other).read(0)
    with h5py.File(other / "img" / "image_3.h5", "w") as file:
        file["img"] = np.zeros((32, 32, 6))
    with pytest.raises(InputError, match="6 channels, Landslide4Sense has 14"):
        open_patches(other).read(0)


def test_chips_with_other_bands_and_cut_files_are_refused(tmp_path):
    chips = write_chips(tmp_path / "a")
    with rasterio.open(chips / "images" / "chip2.tif", "r+") as file:
        file.descriptions = ("blue", "nir")
    with pytest.raises(InputError, match=r"chip2\.tif: its bands are not those of chip0\.tif"):
        open_patches(chips)
    chips = write_chips(tmp_path / "b")
    (chips / "images" / "chip1.tif").write_bytes(b"II*\0")
    with pytest.raises(InputError, match=r"chip1\.tif: not a readable raster \(chip\)"):
        open_patches(chips)


def test_damaged_npz_and_unknown_bands_are_refused(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(FormatError, match=r"x\.npz: not a readable \.npz file"):
        open_patches(tmp_path / "x.npz")
    with pytest.raises(LayerError, match="band 'nir' is not in the patches; there are: red, green, blue"):
        open_patches(write_npz(tmp_path / "p.npz")).select(["nir"])


@pytest.mark.real
@needs_real
def test_real_landslide4sense_folder_agrees_with_the_patches_derived_from_it():
    original = open_patches(REAL / "l4s_h5").select(("red", "green", "blue"))
    derived = open_patches(REAL / "l4s_rgb" / "patches.npz")
    assert (len(original), len(derived)) == (12, 1522)
    place = {name: i for i, name in enumerate(derived.names)}
    for i, name in enumerate(original.names):
        other = place[name.removeprefix("image_")]
        np.testing.assert_array_equal(original.label[i], derived.read(other)[1])
        # each derived patch was scaled by its own maximum: the same up to a scale
        ours, theirs = original.read(i)[0].ravel(), derived.read(other)[0].ravel()
        assert np.corrcoef(ours, theirs)[0, 1] > 0.8
