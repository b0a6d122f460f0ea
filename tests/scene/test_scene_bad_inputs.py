"""What users get wrong: each case ends in one line that says what, where and what to do, and exit code 1.

Bad elevation models and inventories by themselves are tested with their readers; here are those that a
whole scene meets.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from affine import Affine
from typer.testing import CliRunner

from helpers.scene_inputs import (
    GRANULE,
    GRID,
    TAGS,
    grid_of,
    metadata_xml,
    numbers_of,
    write_dem,
    write_image,
    write_polygons,
    write_raster,
    write_safe,
)
from landslip.cli import scene as command
from landslip.errors import OutputError
from landslip.files import locked
from landslip.scene import writing

app = typer.Typer()
app.command()(command.command)

CASES: dict[str, tuple[Callable[[Path], list[str]], str]] = {}


def case(message: str) -> Callable[[Callable[[Path], list[str]]], Callable[[Path], list[str]]]:
    """Register a function that makes inputs in a folder and returns the command's arguments."""

    def register(function: Callable[[Path], list[str]]) -> Callable[[Path], list[str]]:
        CASES[function.__name__] = (function, message)
        return function

    return register


def with_dem(folder: Path, *arguments: object) -> list[str]:
    return [*map(str, arguments), "--dem", str(write_dem(folder / "dem.tif"))]


# --- files and folders ------------------------------------------------------------------------------------


@case(r"nowhere: no such file \(image\); check the path")
def absent(folder):
    return with_dem(folder, folder / "nowhere")


@case(r"empty: no band files \(image\): no GeoTIFF or JP2 file in it; name files like B02\.tif or blue\.tif")
def empty_folder(folder):
    (folder / "empty").mkdir()
    return with_dem(folder, folder / "empty")


@case(r"post: no band files \(image\): its 1 rasters tell no band by name; name files like B02\.tif")
def names_that_tell_nothing(folder):
    write_raster(folder / "post" / "scene_a.tif", numbers_of(0))
    return with_dem(folder, folder / "post")


@case(r"B02\.tif: not a readable raster \(image\)")
def text_for_a_raster(folder):
    write_image(folder / "post")
    (folder / "post" / "B02.tif").write_text("not an image")
    return with_dem(folder, folder / "post")


@case(r"B03\.tif: not a readable raster|B03\.tif: the file is empty")
def file_of_zero_bytes(folder):
    write_image(folder / "post")
    (folder / "post" / "B03.tif").write_bytes(b"")
    return with_dem(folder, folder / "post")


@case(r"B04\.tif: (pixels cannot be read, the file is truncated or damaged .*; fetch it again|not a readable raster)")
def truncated_geotiff(folder):
    write_image(folder / "post")
    cut(folder / "post" / "B04.tif", 0.6)
    return with_dem(folder, folder / "post")


@case(r"B04_10m\.jp2: (pixels cannot be read, the file is truncated or damaged|not a readable raster)")
def truncated_jp2(folder):
    product = write_safe(folder)
    cut(next(product.rglob("*_B04_10m.jp2")), 0.5)
    return with_dem(folder, product)


@case(r"B02\.tif: has no coordinate reference system; assign one")
def image_without_crs(folder):
    write_image(folder / "post", crs=None)
    return with_dem(folder, folder / "post")


@case(r"B02\.tif: raster is rotated or not north-up; warp it first \(gdalwarp\)")
def rotated_image(folder):
    write_image(folder / "post", transform=GRID.transform * Affine.rotation(10))
    return with_dem(folder, folder / "post")


@case(r"B02\.tif: complex pixels are no reflectance")
def complex_pixels(folder):
    write_raster(folder / "post" / "B02.tif", numbers_of(0).astype(np.complex64))
    return with_dem(folder, folder / "post")


@case(r"post: not one valid pixel in the scene: all is nodata; check the image")
def nothing_but_nodata(folder):
    for number in ("B02", "B03", "B04"):
        write_raster(folder / "post" / f"{number}.tif", np.zeros(GRID.shape, np.uint16))
    return with_dem(folder, folder / "post")


# --- which band is which ----------------------------------------------------------------------------------


@case(r"image: band red \(B04\) is missing, found blue \(B02\), green \(B03\), nir \(B08\); a scene needs blue, green")
def missing_band(folder):
    write_image(folder / "post", bands=("blue", "green", "nir"))
    shutil.move(folder / "post" / "B08.tif", folder / "post" / "nir.tif")
    return with_dem(folder, folder / "post")


@case(r"B02\.tif: bands seem swapped: its description says red \(B04\), its name says blue \(B02\); rename the file")
def swapped_bands(folder):
    write_image(folder / "post")
    write_raster(folder / "post" / "B02.tif", numbers_of(0), names=("B04",), tags=TAGS)
    return with_dem(folder, folder / "post")


@case(r"all\.tif: bands seem swapped: its description says blue \(B02\), --bands says red \(B04\)")
def option_against_description(folder):
    pixels = np.stack([numbers_of(seed) for seed in range(3)])
    write_raster(folder / "all.tif", pixels, names=("blue", "green", "red"))
    return [*with_dem(folder, folder / "all.tif"), "--bands", "red,green,blue"]


@case(r"--bands names 3 bands, the image files hold 4; name each, in their order")
def too_few_band_names(folder):
    write_raster(folder / "all.tif", np.stack([numbers_of(seed) for seed in range(4)]))
    return [*with_dem(folder, folder / "all.tif"), "--bands", "red,green,blue"]


@case(r"--bands: unknown band 'rot'; known are blue, green, red, nir")
def unknown_band_name(folder):
    write_raster(folder / "all.tif", np.stack([numbers_of(seed) for seed in range(3)]))
    return [*with_dem(folder, folder / "all.tif"), "--bands", "rot,green,blue"]


@case(r"all\.tif \(band 1 of 3\): which band is this\? neither description nor name tells; give --bands")
def bands_without_names(folder):
    return with_dem(folder, write_raster(folder / "all.tif", np.stack([numbers_of(seed) for seed in range(3)])))


@case(r"red_green\.tif: which band is this\? it may be red or green; give --bands")
def ambiguous_name(folder):
    return with_dem(folder, write_raster(folder / "red_green.tif", numbers_of(0)))


@case(r"band blue \(B02\) of this area was already given as .*B02\.tif; put each date into its own folder")
def band_given_twice(folder):
    write_image(folder / "post")
    write_raster(folder / "post" / "blue.tif", numbers_of(5), tags=TAGS)
    return with_dem(folder, folder / "post")


@case(r"bands lie on different grids: .*\(96 x 96\) and .*\(90 x 96\); warp them to one grid \(gdalwarp\)")
def bands_of_different_grids(folder):
    write_image(folder / "post")
    write_raster(folder / "post" / "B04.tif", numbers_of(2, (90, 96)), tags=TAGS)
    return with_dem(folder, folder / "post")


@case(r"post: bands lie on different grids: B02\.tif is 96 x 96 pixels of 10 .* B08\.tif is 48 x 48 pixels of 20")
def bands_of_different_resolution(folder):
    write_image(folder / "post")
    coarse = grid_of(48, 48, step=20)
    write_raster(folder / "post" / "B08.tif", numbers_of(2, coarse.shape), coarse, tags=TAGS)
    return with_dem(folder, folder / "post")


@case(r"east: has no band nir \(B08\), the other images have it; add it or leave it out")
def tile_without_near_infrared(folder):
    write_image(folder / "west")
    write_image(folder / "east", grid_of(west=500_500), bands=("blue", "green", "red"))
    return with_dem(folder, folder / "west", folder / "east")


@case(r"post: band swir1 \(B11\) is not there; leave it out of --extra-bands")
def extra_band_that_is_not_there(folder):
    return [*with_dem(folder, write_image(folder / "post")), "--extra-bands", "swir1"]


@case(r"extra band 'thermal' is unknown; known are re1")
def extra_band_that_does_not_exist(folder):
    return [*with_dem(folder, write_image(folder / "post")), "--extra-bands", "thermal"]


# --- offset and quantification ----------------------------------------------------------------------------


@case(r"post: bands of mixed baselines: B02\.tif is \(DN -1000\) / 10000, from its tags, B04\.tif is \(DN \+0\)")
def mixed_baselines_in_one_image(folder):
    write_image(folder / "post")
    write_raster(folder / "post" / "B04.tif", numbers_of(2), tags={"BOA_ADD_OFFSET": "0"})
    return with_dem(folder, folder / "post")


@case(r"east: mixed baselines: its offset is not known, that of west is -1000; build them apart, or give --offset")
def mixed_baselines_in_a_mosaic(folder):
    write_image(folder / "west")
    write_image(folder / "east", grid_of(west=500_500), tags={})
    return with_dem(folder, folder / "west", folder / "east")


@case(r"B02\.tif: tags BOA_ADD_OFFSET and QUANTIFICATION_VALUE are not numbers; give --offset")
def offset_that_is_no_number(folder):
    return with_dem(folder, write_image(folder / "post", tags={"BOA_ADD_OFFSET": "minus a thousand"}))


@case(r"quantification 0 \(from its tags\) cannot be; give --offset and --quantification")
def quantification_of_zero(folder):
    return with_dem(folder, write_image(folder / "post", tags={"QUANTIFICATION_VALUE": "0"}))


@case(r"'quantification': input should be greater than 0")
def quantification_option_of_zero(folder):
    return [*with_dem(folder, write_image(folder / "post")), "--quantification", "0"]


# --- products ---------------------------------------------------------------------------------------------


def zipped(folder: Path, names: dict[str, bytes], name: str = "product.zip") -> Path:
    with zipfile.ZipFile(folder / name, "w") as archive:
        for member, content in names.items():
            archive.writestr(member, content)
    return folder / name


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@case(r"product\.zip: not a whole zip archive \(.*\); it is truncated or damaged, fetch it again")
def truncated_zip(folder):
    return with_dem(folder, cut(zipped(folder, {"a.SAFE/MTD_MSIL2A.xml": b"x" * 9000}), 0.7))


@case(r"product\.zip: member '\.\./\.\./B02\.tif' points outside the archive; do not trust it")
def zip_that_climbs_out(folder):
    return with_dem(folder, zipped(folder, {"../../B02.tif": b"x"}))


@case(r"product\.zip: member '/etc/B02\.tif' points outside the archive")
def zip_with_an_absolute_path(folder):
    return with_dem(folder, zipped(folder, {"/etc/B02.tif": b"x"}))


@case(r"product\.zip: member 'B02\.tif' points outside the archive")
def zip_with_a_link(folder):
    link = zipfile.ZipInfo("B02.tif")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(folder / "product.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    return with_dem(folder, folder / "product.zip")


@case(r"product\.zip: no band files \(image\): no GeoTIFF or JP2 file in it")
def zip_of_something_else(folder):
    return with_dem(folder, zipped(folder, {"readme.txt": b"hello"}))


@case(r"product\.zip: holds 2 products \(A\.SAFE/, B\.SAFE/ …\); give each by itself")
def zip_of_two_products(folder):
    names = [f"{p}.SAFE/GRANULE/L2A_T54TWN/IMG_DATA/R10m/T54TWN_20230925T012701_B02_10m.jp2" for p in "AB"]
    return with_dem(folder, zipped(folder, dict.fromkeys(names, b"x")))


@case(r"\.SAFE: band nir \(B08\) is missing from the product; fetch the product again")
def product_without_a_band(folder):
    product = write_safe(folder)
    next(product.rglob("*_B08_10m.jp2")).unlink()
    return with_dem(folder, product)


@case(r"\.SAFE: product with 2 granules \(.*\), as before December 2016; fetch the single-tile product")
def product_with_two_granules(folder):
    product = write_safe(folder)
    shutil.copytree(product / "GRANULE" / GRANULE, product / "GRANULE" / GRANULE.replace("TWN", "TXN"))
    return with_dem(folder, product)


@case(r"\.SAFE: a Sentinel-2 product without image files")
def product_without_images(folder):
    product = write_safe(folder)
    shutil.rmtree(product / "GRANULE")
    return with_dem(folder, product)


@case(r"\.SAFE: two files for band red \(B04\): .*; remove the one that does not belong to the product")
def product_with_two_files_for_a_band(folder):
    product = write_safe(folder, name="renamed")
    image = next(product.rglob("*_B04_10m.jp2"))
    shutil.copy(image, image.with_name("T54TWN_20190925T012701_B04_10m.jp2"))
    return with_dem(folder, product)


@case(r"MTD_MSIL2A\.xml: not XML \(.*\); the metadata are damaged, fetch the product again")
def metadata_that_are_not_xml(folder):
    return with_dem(folder, write_safe(folder, xml="{}"))


@case(r"MTD_MSIL2A\.xml: not XML")
def truncated_metadata(folder):
    return with_dem(folder, write_safe(folder, xml=metadata_xml()[:400]))


@case(r"MTD_MSIL2A\.xml: XML with entities or a document type, as no Sentinel-2 product has; do not trust it")
def xml_bomb(folder):
    bomb = '<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]><lolz>&lol2;</lolz>'
    return with_dem(folder, write_safe(folder, xml=bomb))


@case(r"MTD_MSIL2A\.xml: XML with entities or a document type")
def xml_that_reads_files(folder):
    outward = '<!DOCTYPE a [<!ENTITY secret SYSTEM "file:///etc/passwd">]><a>&secret;</a>'
    return with_dem(folder, write_safe(folder, xml=outward))


@case(r"MTD_MSIL2A\.xml: not the metadata of a Sentinel-2 product \(root element 'kml'\); check the product")
def metadata_of_something_else(folder):
    return with_dem(folder, write_safe(folder, xml="<kml/>"))


@case(r"MTD_MSIL2A\.xml: quantification 'ten thousand' is not a number; the metadata are damaged")
def metadata_with_words_for_numbers(folder):
    return with_dem(folder, write_safe(folder, xml=metadata_xml(quantification="ten thousand")))


@case(r"not one clear pixel: all is cloud or shadow by its classification; take another date")
def product_all_cloud(folder):
    return with_dem(folder, write_safe(folder, classes=np.full((48, 48), 9, np.uint8)))


# --- items ------------------------------------------------------------------------------------------------


def item(folder: Path, content: object) -> Path:
    path = folder / "item.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@case(r"item\.json: not JSON \(.*\); give a STAC item")
def item_that_is_not_json(folder):
    return with_dem(folder, item(folder, "<html>"))


@case(r"item\.json: not a STAC item with assets \(it is a FeatureCollection\); give the address of one item")
def collection_for_an_item(folder):
    return with_dem(folder, item(folder, {"type": "FeatureCollection", "features": []}))


@case(r"item\.json: no asset for band blue \(B02\); its assets: green, red")
def item_without_a_band(folder):
    assets = {name: {"href": f"./{name}.tif"} for name in ("green", "red")}
    return with_dem(folder, item(folder, {"type": "Feature", "assets": assets}))


@case(r"blue\.tif: no such file \(image\); check the path")
def item_whose_asset_is_not_there(folder):
    assets = {name: {"href": f"./{name}.tif"} for name in ("blue", "green", "red")}
    return with_dem(folder, item(folder, {"type": "Feature", "assets": assets}))


# --- grid -------------------------------------------------------------------------------------------------


@case(r"--crs: coordinate reference system not understood")
def unknown_crs(folder):
    return [*with_dem(folder, write_image(folder / "post")), "--crs", "EPSG:999999"]


@case(r"scene: CRS WGS 84 is not projected in metres; give --crs auto or an EPSG code")
def scene_in_degrees(folder):
    return [*with_dem(folder, write_image(folder / "post")), "--crs", "EPSG:4326"]


@case(r"no UTM zone at 88\.00°.*; give --crs with an EPSG code")
def beyond_utm(folder):
    transform = Affine(1e-3, 0, 10.0, 0, -1e-3, 88.048)
    write_image(folder / "post", crs="EPSG:4326", transform=transform)
    return with_dem(folder, folder / "post")


@case(r"the scene would have .* pixels of 10 m; the images lie too far apart, or --resolution is wrong")
def images_far_apart(folder):
    write_image(folder / "a")
    write_image(folder / "b", grid_of(north=3_000_000.0, west=100_000.0))
    return with_dem(folder, folder / "a", folder / "b")


@case(r"'resolution': input should be less than or equal to 1000")
def absurd_resolution(folder):
    return [*with_dem(folder, write_image(folder / "post")), "--resolution", "30000"]


@case(r"'merge': input should be 'first' or 'median'")
def unknown_way_of_merging(folder):
    return [*with_dem(folder, write_image(folder / "post")), "--merge", "mean"]


@case(r"^error: options: coregister is about the image from before the event; give that too \(pre\), or leave it out$")
def coregister_without_a_second_image(folder):
    return [*with_dem(folder, write_image(folder / "post")), "--coregister"]


@case(r"pre_sun is about the image from before the event")
def sun_of_an_image_that_is_not_given(folder):
    return [*with_dem(folder, write_image(folder / "post")), "--pre-sun", "150,40"]


@case(r"look\.jpg: the picture is a PNG; let its name end in \.png")
def picture_of_another_kind(folder):
    return [*with_dem(folder, write_image(folder / "post")), "--quicklook", str(folder / "look.jpg")]


# --- what goes with the image -----------------------------------------------------------------------------


@case(r"pre: the pre-event image has no usable pixel in the scene; give one of this area")
def pre_event_image_of_elsewhere(folder):
    write_image(folder / "post")
    write_image(folder / "pre", grid_of(west=700_000.0))
    return [*with_dem(folder, folder / "post"), "--pre", str(folder / "pre")]


@case(r"nodem\.tif: no such file \(elevation model\); check the path")
def absent_dem(folder):
    return [str(write_image(folder / "post")), "--dem", str(folder / "nodem.tif")]


@case(r"dem\.tif: the elevation model does not overlap the scene")
def dem_of_elsewhere(folder):
    dem = write_dem(folder / "dem.tif", grid_of(north=1_000_000.0))
    return [str(write_image(folder / "post")), "--dem", str(dem)]


@case(r"dem\.tif: the elevation model covers \d+ % of the scene, 90 % are needed; .*--allow-partial-dem")
def dem_of_half(folder):
    dem = write_dem(folder / "dem.tif", grid_of(48, 96), margin=0)
    return [str(write_image(folder / "post")), "--dem", str(dem)]


@case(r"slides\.gpkg: no such file")
def absent_inventory(folder):
    return [*with_dem(folder, write_image(folder / "post")), "--inventory", str(folder / "slides.gpkg")]


@case(r"slides\.gpkg: the inventory lies wholly outside the scene")
def inventory_of_elsewhere(folder):
    slides = write_polygons(folder / "slides.gpkg", [(5000, 5000, 5010, 5010)])
    return [*with_dem(folder, write_image(folder / "post")), "--inventory", str(slides)]


@case(r"extent\.gpkg: the mapped extent lies wholly outside the scene")
def mapped_extent_of_elsewhere(folder):
    slides = write_polygons(folder / "slides.gpkg", [(5, 5, 10, 10)])
    extent = write_polygons(folder / "extent.gpkg", [(5000, 5000, 5010, 5010)])
    return [*with_dem(folder, write_image(folder / "post")), "--inventory", str(slides), "--aoi", str(extent)]


@case(r"an area of interest says where the inventory is complete; give the inventory too")
def mapped_extent_without_inventory(folder):
    extent = write_polygons(folder / "extent.gpkg", [(5, 5, 10, 10)])
    return [*with_dem(folder, write_image(folder / "post")), "--aoi", str(extent)]


@pytest.mark.parametrize("name", CASES)
def test_bad_input(name, tmp_path):
    function, message = CASES[name]
    arguments = function(tmp_path)
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "scene")])
    lines = [line for line in result.stderr.splitlines() if line.startswith(("error:", "internal error:"))]
    assert len(lines) == 1, result.stderr
    import re

    assert re.search(message, lines[0]), lines[0]
    assert result.exit_code == 1
    assert lines[0] == [line for line in result.stderr.splitlines() if line.strip()][-1]  # nothing comes after it
    assert not (tmp_path / "scene" / "scene.json").exists()


def test_there_are_enough_cases():
    assert len(CASES) >= 40


# --- the place to write to --------------------------------------------------------------------------------


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 1, result.output
    return result.stderr


def test_output_that_is_a_file(tmp_path, image, dem):
    (tmp_path / "out").write_text("")
    assert "out: is a file, not a folder; choose another --out" in invoke(
        image, "--dem", dem, "--out", tmp_path / "out"
    )


def test_output_that_another_process_holds(tmp_path, image, dem):
    with locked(tmp_path / "out"):
        text = invoke(image, "--dem", dem, "--out", tmp_path / "out")
    assert "another landslip process is working on it" in text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write and read everywhere")
def test_no_permission(tmp_path, image, dem):
    (tmp_path / "locked").mkdir(mode=0o500)
    text = invoke(image, "--dem", dem, "--out", tmp_path / "locked" / "out")
    assert "no permission to write there; choose another --out" in text
    image.chmod(0)
    text = invoke(image, "--dem", dem, "--out", tmp_path / "out")
    image.chmod(0o700)
    assert "no permission to read it; ask its owner, or copy it" in text


def test_permission_that_the_system_refuses(tmp_path, image, dem, monkeypatch):
    """As the test before, also where root runs the tests: the refusal comes from the system's own calls."""

    def refusing(call, place):
        def refuse(path=".", *rest, **named):
            if isinstance(path, str | os.PathLike) and Path(path).is_relative_to(place):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
            return call(path, *rest, **named)

        return refuse

    with monkeypatch.context() as system:
        system.setattr(os, "mkdir", refusing(os.mkdir, tmp_path / "locked"))
        text = invoke(image, "--dem", dem, "--out", tmp_path / "locked" / "out")
    assert "no permission to write there; choose another --out" in text
    with monkeypatch.context() as system:
        for name in ("listdir", "scandir"):
            system.setattr(os, name, refusing(getattr(os, name), image))
        text = invoke(image, "--dem", dem, "--out", tmp_path / "out")
    assert f"{image}: no permission to read it; ask its owner, or copy it" in text


def test_disk_full_before_it_begins(tmp_path, image, dem, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(writing.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    text = invoke(image, "--dem", dem, "--out", tmp_path / "out")
    assert "the disk is full: about 0.0 GB are needed, 0.0 GB are free; free some space" in text


def test_disk_full_on_the_way(tmp_path):
    """A limit on the size of files stands for the full disk: the operating system refuses in the same place."""
    script = textwrap.dedent("""
        import resource, sys
        import numpy as np
        from affine import Affine
        from pyproj import CRS
        from landslip.errors import OutputError
        from landslip.grid import Grid
        from landslip.rasters import RasterSpec, write_block
        from landslip.scene.writing import scene_raster
        grid = Grid((1024, 1024), Affine(10, 0, 0, 0, -10, 0), CRS.from_epsg(32633))
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            with scene_raster(sys.argv[1], RasterSpec(grid, "float32", ("red",), nodata=float("nan"))) as dataset:
                write_block(dataset, np.random.default_rng(0).random((1, 1024, 1024), np.float32), grid.window)
        except OutputError as error:
            print(error)
        """)
    target = tmp_path / "bands.tif"
    answer = subprocess.run([sys.executable, "-c", script, str(target)], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith(f"cannot write {target}: "), answer.stdout + answer.stderr
    assert len(answer.stdout.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_output_error_names_the_disk_when_it_is_full(tmp_path, monkeypatch):
    from rasterio.errors import RasterioIOError

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(writing.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(OutputError, match="the disk is full; free some space"), writing.explained(tmp_path / "a.tif"):
        raise RasterioIOError("write failed")
