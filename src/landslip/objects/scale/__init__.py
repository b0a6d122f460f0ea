"""The choice of the scale: how well objects fit mapped landslides, or how alike their pixels are without any."""
