"""Landslide inventories: read, put in order, checked against the image, and burnt into the pixels of a scene."""

from landslip.scene.inventory.landslides import UNKNOWN, Inventory, MappedExtent, rasterise
from landslip.scene.inventory.read import NO_EXTENT, read_aoi, read_inventory

__all__ = ["NO_EXTENT", "UNKNOWN", "Inventory", "MappedExtent", "rasterise", "read_aoi", "read_inventory"]
