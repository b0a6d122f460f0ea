"""Making a scene: images, elevation and inventory on one grid, with their provenance.

This room reads what archives give (Sentinel-2 products, band files, elevation tiles, vector
inventories) and writes a scene folder. It never computes indices, differences or object layers: those
are built from a scene when they are needed (:mod:`landslip.layers`).
"""
