"""The one grid of a scene: shape, transform and CRS, always together (odc-geo's GeoBox underneath)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from landslip.errors import CRSMismatchError, GridMismatchError
from landslip.windows import Window


def read_crs(value: Any, *, what: str) -> CRS:  # noqa: ANN401 - whatever pyproj understands
    """Return a pyproj CRS.

    Raises
    ------
    CRSMismatchError
        ``value`` is empty or not understood; ``what`` says whose CRS it was.
    """
    if not value:
        message = f"{what}: has no coordinate reference system; assign one (for example with gdal_edit.py -a_srs)"
        raise CRSMismatchError(message)
    try:
        return CRS.from_user_input(value.to_wkt() if hasattr(value, "to_wkt") else value)
    except CRSError as error:
        message = f"{what}: coordinate reference system not understood ({error})"
        raise CRSMismatchError(message) from error


@dataclass(frozen=True)
class Grid:
    """A north-up raster grid.

    Parameters
    ----------
    shape
        Rows and columns.
    transform
        Pixel to CRS coordinates of the pixel's upper left corner.
    crs
        Any CRS; scenes have a projected one in metres.
    """

    shape: tuple[int, int]
    transform: Affine
    crs: CRS

    @classmethod
    def from_bounds(
        cls, bounds: tuple[float, float, float, float], resolution: float, crs: CRS, *, snap: bool = True
    ) -> Self:
        """Grid of square pixels that covers ``bounds`` (west, south, east, north in CRS units).

        With ``snap`` the pixel edges fall on whole multiples of the resolution, as Sentinel-2's do.
        """
        west, south, east, north = bounds
        if snap:
            box = GeoBox.from_bbox(bounds, crs=crs.to_wkt(), resolution=resolution, anchor="edge", tol=1e-6)
            return cls.from_geobox(box)
        shape = (max(1, round((north - south) / resolution)), max(1, round((east - west) / resolution)))
        return cls(shape, Affine(resolution, 0, west, 0, -resolution, north), crs)

    @classmethod
    def from_geobox(cls, box: GeoBox) -> Self:
        """Take over an odc-geo GeoBox."""
        return cls((box.shape[0], box.shape[1]), box.affine, read_crs(str(box.crs), what="grid"))

    @classmethod
    def of_raster(cls, dataset: Any, *, what: str | None = None) -> Self:  # noqa: ANN401 - rasterio is not imported here
        """Grid of an open rasterio data set; refused without a CRS or when rotated."""
        name = what or str(dataset.name)
        transform = dataset.transform
        if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
            message = f"{name}: raster is rotated or not north-up; warp it first (gdalwarp)"
            raise GridMismatchError(message)
        return cls((dataset.height, dataset.width), transform, read_crs(dataset.crs, what=name))

    @cached_property
    def geobox(self) -> GeoBox:
        """The same grid for odc-geo."""
        return GeoBox(self.shape, self.transform, self.crs.to_wkt())

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.shape[0]

    @property
    def cols(self) -> int:
        """Number of columns."""
        return self.shape[1]

    @property
    def resolution(self) -> tuple[float, float]:
        """Pixel height and width in CRS units, both positive."""
        return -self.transform.e, self.transform.a

    @property
    def pixel_area_m2(self) -> float:
        """Area of a pixel in m² (projected grids in metres only)."""
        height, width = self.resolution
        return height * width

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in CRS units."""
        west, north = self.transform.c, self.transform.f
        height, width = self.resolution
        return west, north - height * self.rows, west + width * self.cols, north

    @property
    def window(self) -> Window:
        """The window of all pixels."""
        return Window(0, 0, *self.shape)

    def crop(self, window: Window) -> Grid:
        """Grid of the pixels in ``window``."""
        height, width = self.resolution
        west, north = self.transform.c + window.col * width, self.transform.f - window.row * height
        return Grid(window.shape, Affine(width, 0, west, 0, -height, north), self.crs)

    def contains_bounds(self, bounds: tuple[float, float, float, float], crs: CRS) -> bool:
        """Whether a box given in ``crs`` touches this grid at all."""
        transformer = Transformer.from_crs(crs, self.crs, always_xy=True)
        west, south, east, north = transformer.transform_bounds(*bounds)
        left, bottom, right, top = self.bounds
        return bool(west < right and east > left and south < top and north > bottom)

    def require_metric(self, *, what: str = "scene", remedy: str = "give --crs auto or an EPSG code") -> None:
        """Refuse a CRS that is not projected in metres.

        Parameters
        ----------
        what, remedy
            Whose grid it is, and what to do, for the message.

        Raises
        ------
        CRSMismatchError
            The CRS is geographic or in feet.
        """
        axes = {axis.unit_name for axis in self.crs.axis_info[:2]}
        if not self.crs.is_projected or not axes <= {"metre", "meter"}:
            message = f"{what}: CRS {self.crs.name} is not projected in metres; {remedy}"
            raise CRSMismatchError(message)

    def to_dict(self) -> dict[str, Any]:
        """Return the grid as JSON types."""
        return {
            "shape": list(self.shape),
            "transform": list(self.transform)[:6],
            "crs": self.crs.to_wkt(),
            "epsg": self.crs.to_epsg(),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        rows, cols = content["shape"]
        return cls((rows, cols), Affine(*content["transform"]), read_crs(content["crs"], what="grid"))
