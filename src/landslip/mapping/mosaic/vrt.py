"""A virtual raster (VRT) over the probability rasters that share a projection: a small XML file, no pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from landslip.grid import Grid
from landslip.rasters import BLOCK


@dataclass(frozen=True)
class Source:
    """One raster in a VRT.

    Parameters
    ----------
    href
        Path or address as it is written into the VRT.
    relative
        Whether it is relative to the VRT's folder.
    grid
        Its grid.
    """

    href: str
    relative: bool
    grid: Grid


def vrt_text(sources: Sequence[Source], description: str) -> str:
    """Return the XML of a VRT of one float32 band with NaN as nodata.

    Parameters
    ----------
    sources
        Rasters of one CRS and one pixel size. Where two overlap the first that is valid there is shown.
    description
        Of the band.

    References
    ----------
    https://gdal.org/en/stable/drivers/raster/vrt.html
    """
    first = sources[0].grid
    height, width = first.resolution
    west, south, east, north = _hull([source.grid for source in sources])
    rows, cols = round((north - south) / height), round((east - west) / width)
    numbers = ", ".join(repr(float(value)) for value in (west, width, 0.0, north, 0.0, -height))
    lines = [
        f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}">',
        f'  <SRS dataAxisToSRSAxisMapping="1,2">{escape(first.crs.to_wkt())}</SRS>',
        f"  <GeoTransform>{numbers}</GeoTransform>",
        '  <VRTRasterBand dataType="Float32" band="1">',
        f"    <Description>{escape(description)}</Description>",
        "    <NoDataValue>nan</NoDataValue>",
    ]
    for source in reversed(sources):  # later ones cover earlier ones
        lines += _source(source, (west, north), (height, width))
    return "\n".join([*lines, "  </VRTRasterBand>", "</VRTDataset>", ""])


def _source(source: Source, corner: tuple[float, float], resolution: tuple[float, float]) -> list[str]:
    grid = source.grid
    x = (grid.bounds[0] - corner[0]) / resolution[1]
    y = (corner[1] - grid.bounds[3]) / resolution[0]
    size = f'xSize="{grid.cols}" ySize="{grid.rows}"'
    return [
        "    <ComplexSource>",
        f'      <SourceFilename relativeToVRT="{int(source.relative)}">{escape(source.href)}</SourceFilename>',
        "      <SourceBand>1</SourceBand>",
        f'      <SourceProperties RasterXSize="{grid.cols}" RasterYSize="{grid.rows}" DataType="Float32" '
        f'BlockXSize="{BLOCK}" BlockYSize="{BLOCK}" />',
        f'      <SrcRect xOff="0" yOff="0" {size} />',
        f'      <DstRect xOff="{_number(x)}" yOff="{_number(y)}" {size} />',
        "      <NODATA>nan</NODATA>",
        "    </ComplexSource>",
    ]


def _hull(grids: Sequence[Grid]) -> tuple[float, float, float, float]:
    boxes = [grid.bounds for grid in grids]
    west, south = min(box[0] for box in boxes), min(box[1] for box in boxes)
    return west, south, max(box[2] for box in boxes), max(box[3] for box in boxes)


def _number(value: float) -> str:
    """Write whole numbers without a fraction: pixels that fit must not be resampled."""
    return str(round(value)) if abs(value - round(value)) < 1e-6 else repr(round(value, 6))
