"""Windows of a raster: how it is cut, the first passes in each, and the graph of the whole made of them."""
