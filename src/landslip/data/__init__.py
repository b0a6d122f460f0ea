"""Tiles for training: cut from scenes or read from patch data sets, and their augmentation.

Never imports rasterio, geopandas or numba at module level: prepared tiles train where PyTorch is alone.
"""

from landslip.data.patches import PatchDataset, open_patches
from landslip.data.tiles import cut_tiles
from landslip.data.tileset import UNKNOWN, Part, TileSet

__all__ = ["UNKNOWN", "Part", "PatchDataset", "TileSet", "cut_tiles", "open_patches"]
