"""Images from plain raster files: one band each or several, in any format that GDAL reads.

Which band a file holds is found from its band description, else from its name, else from ``--bands``;
where two of these disagree the file is refused rather than guessed at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from rasterio.io import DatasetReader

from landslip.errors import GridMismatchError, InputError
from landslip.grid import Grid
from landslip.rasters import open_raster
from landslip.scene.images.image import BandFile, Image, band_label, check_image
from landslip.scene.images.names import CLASSES, CORE, REQUIRED, band_named, bands_in
from landslip.scene.images.radiometry import baseline_in_name, of_dataset
from landslip.scene.images.tree import Tree

SUFFIXES = (".tif", ".tiff", ".jp2", ".vrt", ".img")
"""Files that are looked at in a folder or archive."""

_DATE_TAGS = ("SENSING_TIME", "ACQUISITION_DATE", "DATE", "TIFFTAG_DATETIME")
_DATE = re.compile(r"(?<!\d)(20\d{2})[-:]?(0[1-9]|1[0-2])[-:]?(0[1-9]|[12]\d|3[01])(?!\d{3})")


def images_from_files(paths: Sequence[str], *, bands: Sequence[str] | None = None, what: str = "image") -> list[Image]:
    """Group loose band files into images, one for each footprint.

    Parameters
    ----------
    paths
        Rasters, each with one band or several.
    bands
        Names of the bands in the order of the files (and of the bands in a file); replaces names and
        descriptions where these say nothing.
    what
        Word for messages: ``"image"`` or ``"pre-event image"``.

    Raises
    ------
    InputError
        A band cannot be told, is given twice or is missing; descriptions and names disagree.
    GridMismatchError
        Bands of one image lie on different grids.
    """
    found, remarks = _read_bands(paths, bands, what=what)
    groups = _by_footprint(found)
    _complete(groups, what=what)
    return [_image(group, remarks) for group in groups]


def band_paths(tree: Tree, *, bands: Sequence[str] | None = None, what: str = "image") -> list[str]:
    """List the band files of a folder or archive: every raster whose name or description tells a band.

    Raises
    ------
    InputError
        There is none.
    """
    top = min((name.count("/") for name in tree.names() if _is_raster(name)), default=0)
    rasters = [tree.gdal_path(name) for name in tree.names() if _is_raster(name) and name.count("/") == top]
    chosen = rasters if bands is not None else [path for path in rasters if _tells_a_band(path)]
    if not chosen:
        held = f"its {len(rasters)} rasters tell no band by name" if rasters else "no GeoTIFF or JP2 file in it"
        message = (
            f"{tree.path}: no band files ({what}): {held}; name files like B02.tif or blue.tif, "
            "describe their bands, or give the files with --bands"
        )
        raise InputError(message)
    return chosen


def open_band(path: str, band: str, *, what: str, index: int = 1) -> tuple[BandFile, list[str]]:
    """Describe one band of a raster, with remarks on its radiometry."""
    with open_raster(path, what=what) as dataset:
        return _band(dataset, path, band, index)


def date_in(text: str) -> str | None:
    """Return the first date in a text as ``YYYY-MM-DD``; None when there is none."""
    match = _DATE.search(text)
    return "-".join(match.groups()) if match else None


def _is_raster(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES and not Path(name).name.startswith(".")


def _tells_a_band(path: str) -> bool:
    if bands_in(Path(path).stem):
        return True
    with open_raster(path) as dataset:
        return any(bands_in(text) for text in dataset.descriptions if text)


def _band(dataset: DatasetReader, path: str, band: str, index: int) -> tuple[BandFile, list[str]]:
    name = Path(path).name
    dtype = dataset.dtypes[index - 1]
    if dtype.startswith("complex"):
        message = f"{path}: complex pixels are no reflectance; give the amplitude or another file"
        raise InputError(message)
    integer = not dtype.startswith("float")
    nodata = dataset.nodatavals[index - 1]
    if nodata is None and integer:
        nodata = 0.0
    radiometry, remarks = of_dataset(dataset, index, name=name)
    grid = Grid.of_raster(dataset, what=path)
    return BandFile(band, path, index, grid, dtype, nodata, radiometry), remarks


def _read_bands(paths: Sequence[str], given: Sequence[str] | None, *, what: str) -> tuple[list[BandFile], list[str]]:
    names = None if given is None else [_checked_name(name) for name in given]
    if names is not None:
        _require_count(paths, len(names), what=what)
    position, found, remarks = 0, [], []
    for path in paths:
        with open_raster(path, what=what) as dataset:
            for index in range(1, dataset.count + 1):
                wanted = names[position] if names is not None else None
                band = _which_band(dataset, path, index, wanted)
                position += 1
                if band is None or band == "unused":
                    continue
                band_file, more = _band(dataset, path, band, index)
                found.append(band_file)
                remarks += more
    return found, remarks


def _require_count(paths: Sequence[str], named: int, *, what: str) -> None:
    held = 0
    for path in paths:
        with open_raster(path, what=what) as dataset:
            held += dataset.count
    if held != named:
        message = f"--bands names {named} bands, the {what} files hold {held}; name each, in their order"
        raise InputError(message)


def _checked_name(name: str) -> str:
    band = band_named(name)
    if band is None:
        message = f"--bands: unknown band {name!r}; known are {', '.join(CORE)}, re1 … swir2, scl, or B02 … B12"
        raise InputError(message)
    return band


def _which_band(dataset: DatasetReader, path: str, index: int, given: str | None) -> str | None:
    described = bands_in(dataset.descriptions[index - 1] or "")
    named = bands_in(Path(path).stem) if dataset.count == 1 else ()
    said = [("its description says", described), ("its name says", named)]
    if given is not None:
        said.append(("--bands says", (given,)))
    clear = [(who, bands[0]) for who, bands in said if len(bands) == 1]
    if len({band for _, band in clear}) > 1:
        claims = ", ".join(f"{who} {band_label(band)}" for who, band in clear)
        message = f"{path}: bands seem swapped: {claims}; rename the file or correct the description"
        raise InputError(message)
    if clear:
        return clear[0][1]
    if dataset.count > 1 and given is None and any(dataset.descriptions):
        return None  # one of several described bands that we have no use for
    several = next((bands for _, bands in said if len(bands) > 1), ())
    why = f"it may be {' or '.join(several)}" if several else "neither description nor name tells"
    count = f" (band {index} of {dataset.count})" if dataset.count > 1 else ""
    message = f"{path}{count}: which band is this? {why}; give --bands, for example --bands blue,green,red,nir"
    raise InputError(message)


def _by_footprint(bands: Iterable[BandFile]) -> list[dict[str, BandFile]]:
    groups: list[dict[str, BandFile]] = []
    for band in bands:
        for group in groups:
            one = next(iter(group.values()))
            if _same_footprint(one.grid, band.grid):
                if band.band in group:
                    message = (
                        f"{band.path}: band {band_label(band.band)} of this area was already given as "
                        f"{group[band.band].path}; put each date into its own folder and give the folders"
                    )
                    raise InputError(message)
                group[band.band] = band
                break
        else:
            groups.append({band.band: band})
    return groups


def _same_footprint(one: Grid, other: Grid) -> bool:
    width = max(one.resolution[1], other.resolution[1])
    return one.crs == other.crs and all(
        abs(a - b) <= 1.01 * width for a, b in zip(one.bounds, other.bounds, strict=True)
    )


def _complete(groups: list[dict[str, BandFile]], *, what: str) -> None:
    everything = {name for group in groups for name in group}
    missing = [name for name in REQUIRED if name not in everything]
    if missing:
        there = ", ".join(band_label(name) for name in sorted(everything)) or "nothing"
        message = (
            f"{what}: band {band_label(missing[0])} is missing, found {there}; "
            "a scene needs blue, green and red (nir where there is one)"
        )
        raise InputError(message)
    for group in groups:
        lacking = [name for name in CORE if name in everything and name not in group]
        if not lacking:
            continue
        some = next(iter(group.values()))
        other = next(g[lacking[0]] for g in groups if lacking[0] in g)
        if sum(lacking[0] in g for g in groups) + sum(some.band in g for g in groups) <= len(groups):
            message = (
                f"{what}: bands lie on different grids: {some.path} ({some.grid.rows} x {some.grid.cols}) and "
                f"{other.path} ({other.grid.rows} x {other.grid.cols}); warp them to one grid (gdalwarp)"
            )
            raise GridMismatchError(message)
        message = f"{what}: the tile of {some.path} has no band {band_label(lacking[0])}, others have; add it"
        raise InputError(message)


def _image(group: dict[str, BandFile], remarks: list[str]) -> Image:
    classes = group.get(CLASSES)
    bands = {name: band for name, band in group.items() if name != CLASSES}
    paths = tuple(dict.fromkeys(band.path for band in group.values()))
    first = next(iter(bands.values()))
    folder = Path(first.path).parent.name
    own = tuple(r for r in remarks if any(r.startswith(Path(p).name) for p in paths))
    tags = _tags(paths[0])
    stamp = next((tags[key] for key in _DATE_TAGS if key in tags), "")
    date = next((d for text in (*(Path(p).stem for p in paths), stamp, folder) if (d := date_in(text))), None)
    level = next((lev for lev in ("L1C", "L2A") if lev in f"{folder}/{first.name}".upper()), None)
    return check_image(
        Image(
            name=first.name if len(paths) == 1 else folder or first.name,
            bands=bands,
            classes=classes,
            level=level,
            baseline=baseline_in_name(f"{folder}/{first.name}"),
            date=date,
            files=tuple(os.fspath(p) for p in paths),
            remarks=own,
            simulated=tags.get("SIMULATED") == "YES",
        )
    )


def _tags(path: str) -> dict[str, str]:
    with open_raster(path) as dataset:
        return dict(dataset.tags())
