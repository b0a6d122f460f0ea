"""From a scene and a model to a raster of probabilities, in memory that does not grow with the scene."""
