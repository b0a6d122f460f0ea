"""Products as folders and archives: the same pixels, the right files, the metadata's word."""

from __future__ import annotations

import shutil
import zipfile

import numpy as np
import pytest

from helpers.scene_inputs import GRANULE, GRID, PRODUCT, metadata_xml, numbers_of, write_raster, write_safe
from landslip.scene.build import build_scene
from landslip.scene.config import SceneConfig
from landslip.scene.images.sources import ReadOptions, read_images
from landslip.scene.remarks import Remarks


def zipped(folder, archive, prefix=""):
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                out.write(path, prefix + path.relative_to(folder).as_posix())
    return archive


def read(path, **options):
    (image,) = read_images([str(path)], ReadOptions(**options), Remarks())
    return image


def test_folder_and_archive_give_the_same_scene(tmp_path):
    product = write_safe(tmp_path)
    archive = zipped(product, tmp_path / f"{PRODUCT}.zip", f"{PRODUCT}.SAFE/")
    one = build_scene(SceneConfig(images=(str(product),)), tmp_path / "one")
    two = build_scene(SceneConfig(images=(str(archive),)), tmp_path / "two")
    assert one.grid == two.grid == GRID
    assert one.sources == two.sources == ("image", "clouds")
    np.testing.assert_array_equal(one.read(one.layers), two.read(two.layers))
    expected = (numbers_of(2).astype(float) - 1000) / 10000
    np.testing.assert_allclose(one.read(["red"])[0], expected, atol=1e-6)
    assert [source["file"] for source in two.info["sources"]] == [archive.name]
    assert not list(tmp_path.glob("*.SAFE/*.aux.xml"))  # inputs are left as they are


def test_an_archive_without_the_product_folder_and_one_in_a_folder_are_found(tmp_path):
    product = write_safe(tmp_path / "unpacked")
    bare = zipped(product, tmp_path / f"{PRODUCT}.zip")
    assert read(bare).name == read(product).name == read(tmp_path / "unpacked").name == PRODUCT


def test_metadata_give_date_level_baseline_and_offsets(tmp_path):
    image = read(write_safe(tmp_path))
    assert (image.level, image.baseline, image.date) == ("L2A", "05.09", "2023-09-25")
    assert {band.radiometry.offset for band in image.bands.values()} == {-1000}
    assert not any(band.radiometry.assumed for band in image.bands.values())
    assert image.classes is not None


def test_extra_bands_come_from_their_own_resolution(tmp_path):
    image = read(write_safe(tmp_path), extra=("re1", "swir1"))
    assert list(image.bands) == ["blue", "green", "red", "nir", "re1", "swir1"]
    assert image.bands["swir1"].grid.resolution == (20.0, 20.0)


def test_top_of_atmosphere_is_accepted_with_a_warning(tmp_path):
    name = PRODUCT.replace("MSIL2A", "MSIL1C")
    xml = (
        metadata_xml()
        .replace("Level-2A", "Level-1C")
        .replace("BOA_QUANTIFICATION_VALUE", "QUANTIFICATION_VALUE")
        .replace("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET")
    )
    remarks = Remarks()
    (image,) = read_images([str(write_safe(tmp_path, name=name, xml=xml))], ReadOptions(), remarks)
    assert image.level == "L1C"
    assert image.bands["red"].radiometry.offset == -1000
    assert image.classes is None
    assert "Level-1C is top-of-atmosphere reflectance" in " ".join(remarks.said)


def test_without_metadata_the_name_tells_the_offset_as_an_assumption(tmp_path):
    remarks = Remarks()
    (image,) = read_images([str(write_safe(tmp_path, xml=None))], ReadOptions(), remarks)
    assert image.bands["red"].radiometry.offset == -1000
    assert image.date == "2023-09-25"
    assert "(from baseline 05.09 in the product name; MTD_MSI*.xml is missing)" in remarks.said[0]


def test_files_of_another_acquisition_are_left_aside(tmp_path):
    product = write_safe(tmp_path)
    folder = product / "GRANULE" / GRANULE / "IMG_DATA" / "R10m"
    stray = folder / "T54TWN_20190925T012701_B04_10m.jp2"
    shutil.copy(folder / "T54TWN_20230925T012701_B04_10m.jp2", stray)
    assert "20230925" in read(product).bands["red"].path


def test_the_list_in_the_metadata_decides_which_files_belong(tmp_path):
    product = write_safe(tmp_path, name="renamed")
    folder = product / "GRANULE" / GRANULE / "IMG_DATA" / "R10m"
    stray = folder / "T54TWN_20190925T012701_B04_10m.jp2"
    shutil.copy(folder / "T54TWN_20230925T012701_B04_10m.jp2", stray)
    names = [
        f"GRANULE/{GRANULE}/IMG_DATA/R10m/T54TWN_20230925T012701_{band}_10m" for band in ("B02", "B03", "B04", "B08")
    ]
    listed = "".join(f"<IMAGE_FILE>{name}</IMAGE_FILE>" for name in names)
    (product / "MTD_MSIL2A.xml").write_text(metadata_xml().replace("</Product_Info>", f"{listed}</Product_Info>"))
    assert "20230925" in read(product).bands["red"].path


def test_a_name_that_contradicts_the_metadata_is_remarked_on(tmp_path):
    remarks = Remarks()
    read_images([str(write_safe(tmp_path, xml=metadata_xml(baseline="05.10")))], ReadOptions(), remarks)
    assert "the name says baseline 05.09, the metadata 05.10; these are believed" in remarks.said[0]


@pytest.mark.parametrize("suffix", ["tif", "jp2"])
def test_an_archive_of_band_files_is_read_in_place(tmp_path, suffix):
    folder = tmp_path / "bands"
    options = {"driver": "JP2OpenJPEG", "creation": {"QUALITY": "100", "REVERSIBLE": "YES"}} if suffix == "jp2" else {}
    for seed, number in enumerate(("B02", "B03", "B04")):
        write_raster(folder / f"{number}.{suffix}", numbers_of(seed), **options)
    archive = zipped(folder, tmp_path / "bands.zip", "some/folder/")
    scene = build_scene(SceneConfig(images=(str(archive),), offset=-1000), tmp_path / "scene")
    np.testing.assert_allclose(scene.read(["red"])[0], (numbers_of(2).astype(float) - 1000) / 10000, atol=1e-6)
