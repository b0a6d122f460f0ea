"""Sentinel-2 products, STAC items and band files as one kind of thing: bands with known names and radiometry."""
