"""From a raster of probabilities to landslides with their attributes, and to what can be counted of them."""
