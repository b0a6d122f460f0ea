"""Finding and reading the images before and after an event, and the elevation, from public archives."""

from landslip.scene.fetch.config import FetchConfig
from landslip.scene.fetch.fetch import INPUTS, fetch_scene, read_plan

__all__ = ["INPUTS", "FetchConfig", "fetch_scene", "read_plan"]
