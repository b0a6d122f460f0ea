"""An image before it is on any grid: which file holds which band, and how its numbers are to be read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from landslip.errors import GridMismatchError, InputError
from landslip.grid import Grid
from landslip.scene.images.names import CORE, NUMBERS, ordered
from landslip.scene.images.radiometry import Radiometry


@dataclass(frozen=True)
class BandFile:
    """One band in one file.

    Parameters
    ----------
    band
        Layer name (``blue`` … or ``scl``).
    path
        What rasterio opens: a path, a URL, or a path inside an archive (``/vsizip/…``).
    index
        1-based band in that file.
    grid
        Its own grid.
    dtype
        numpy name of the pixel type.
    nodata
        Value of missing pixels; integers have 0 where the file says nothing else.
    radiometry
        How its numbers become reflectance (of no meaning for classes).
    """

    band: str
    path: str
    index: int
    grid: Grid
    dtype: str
    nodata: float | None
    radiometry: Radiometry

    @property
    def name(self) -> str:
        """File name without folders."""
        return self.path.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True)
class Image:
    """One acquisition over one footprint.

    Parameters
    ----------
    name
        Product name, folder, or first file.
    bands
        Band files by layer name.
    classes
        Scene classification, where there is one.
    level
        ``"L2A"``, ``"L1C"``, or None when unknown.
    baseline
        Processing baseline such as ``"05.09"``, or None.
    date
        Day of acquisition ``YYYY-MM-DD``, or None.
    files
        Local files that the checksum covers.
    remarks
        What the user should know, in sentences.
    simulated
        Whether the pixels are a simulation's.
    """

    name: str
    bands: dict[str, BandFile]
    classes: BandFile | None = None
    level: str | None = None
    baseline: str | None = None
    date: str | None = None
    files: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    simulated: bool = False

    @property
    def reference(self) -> BandFile:
        """The band whose grid stands for the image: the finest, the first of them."""
        return min((self.bands[name] for name in ordered(self.bands)), key=lambda band: band.grid.resolution[1])

    def select(self, wanted: tuple[str, ...]) -> Image:
        """Keep some of the bands."""
        return replace(self, bands={name: self.bands[name] for name in wanted})

    def with_radiometry(self, offset: float | None, quantification: float | None) -> Image:
        """Override offset and quantification where given."""
        if offset is None and quantification is None:
            return self

        def changed(band: BandFile) -> BandFile:
            given = Radiometry(
                band.radiometry.offset if offset is None else offset,
                band.radiometry.quantification if quantification is None else quantification,
                "given by option",
            )
            return replace(band, radiometry=given)

        return replace(self, bands={name: changed(band) for name, band in self.bands.items()})

    def to_dict(self) -> dict[str, Any]:
        """Return what the scene's provenance records, as JSON types."""
        return {
            "name": self.name,
            "date": self.date,
            "level": self.level,
            "baseline": self.baseline,
            "bands": {
                name: {
                    "file": band.name,
                    "offset": band.radiometry.offset,
                    "quantification": band.radiometry.quantification,
                    "radiometry": band.radiometry.source,
                    "assumed": band.radiometry.assumed,
                }
                for name, band in self.bands.items()
            },
            "classes": self.classes.name if self.classes else None,
        }


def check_image(image: Image) -> Image:
    """Refuse an image whose bands do not belong together.

    Raises
    ------
    GridMismatchError
        10 m bands on different grids, or a coarser band that does not lie over them.
    InputError
        Bands with different offsets (a mixture of processing baselines).
    """
    core = [image.bands[name] for name in CORE if name in image.bands]
    for band in core[1:]:
        if not same_grid(band.grid, core[0].grid):
            message = (
                f"{image.name}: bands lie on different grids: {core[0].name} is {_size(core[0].grid)}, "
                f"{band.name} is {_size(band.grid)}; give bands of one product, or warp them to one grid (gdalwarp)"
            )
            raise GridMismatchError(message)
    for band in image.bands.values():
        if core and not _covers(band.grid, core[0].grid):
            message = (
                f"{image.name}: {band.name} ({_size(band.grid)}) does not lie over {core[0].name} "
                f"({_size(core[0].grid)}); give bands of one product"
            )
            raise GridMismatchError(message)
    first = next(iter(image.bands.values()))
    for band in image.bands.values():
        if not band.radiometry.agrees_with(first.radiometry):
            message = (
                f"{image.name}: bands of mixed baselines: {first.name} is {first.radiometry.words()}, "
                f"{band.name} is {band.radiometry.words()}; give bands of one product, or --offset for all"
            )
            raise InputError(message)
    return image


def same_grid(one: Grid, other: Grid) -> bool:
    """Whether two grids have the same shape and CRS and their corners agree to a hundredth of a pixel."""
    return one.shape == other.shape and one.crs == other.crs and _corners_agree(one, other, 0.01)


def band_label(name: str) -> str:
    """Return ``blue (B02)`` for messages."""
    return f"{name} ({NUMBERS[name]})" if name in NUMBERS else name


def _covers(one: Grid, other: Grid) -> bool:
    return one.crs == other.crs and _corners_agree(one, other, 1.01)


def _corners_agree(one: Grid, other: Grid, pixels: float) -> bool:
    width = max(one.resolution[1], other.resolution[1])
    return all(abs(a - b) <= pixels * width for a, b in zip(one.bounds, other.bounds, strict=True))


def _size(grid: Grid) -> str:
    return f"{grid.rows} x {grid.cols} pixels of {grid.resolution[1]:g} in {grid.crs.name}"
