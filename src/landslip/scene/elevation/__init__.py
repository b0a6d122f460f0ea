"""Elevation models of any CRS, mosaicked, filled and brought to a scene's grid, with what terrain gives."""

from landslip.scene.elevation.elevation import Elevation, ElevationConfig, open_elevation

__all__ = ["Elevation", "ElevationConfig", "open_elevation"]
