"""Map landslides from Sentinel-2 images and elevation, and measure honestly how well it went.

The way of the data, which is also the way through the folders::

    Sentinel-2 product, elevation model, inventory
        -> scene -> splits -> layers (and objects) -> data (tiles) -> training (models)
        -> mapping (probability, polygons), scoring -> study -> report

Heavy libraries are imported by the rooms that need them, never here: ``import landslip`` is instant.
"""

from landslip._version import __version__

__all__ = ["__version__"]
