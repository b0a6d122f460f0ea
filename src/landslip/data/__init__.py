"""Tiles for training: cut from scenes or read from patch data sets, and their augmentation.

Never imports rasterio, geopandas or numba at module level: prepared tiles train where PyTorch is alone.
"""
