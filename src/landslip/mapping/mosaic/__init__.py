"""Finished maps as one: landslides, virtual rasters over the probabilities, STAC items."""

from landslip.mapping.mosaic.config import MosaicConfig
from landslip.mapping.mosaic.mosaic import MosaicResult, mosaic_maps

__all__ = ["MosaicConfig", "MosaicResult", "mosaic_maps"]
