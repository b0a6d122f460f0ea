"""Training a network on tiles, and predicting tiles with it.

Never imports rasterio, geopandas or numba at module level: prepared tiles train where PyTorch is alone.
"""

from landslip.training.config import TrainConfig
from landslip.training.fit import fit
from landslip.training.predict import predict_tiles

__all__ = ["TrainConfig", "fit", "predict_tiles"]
