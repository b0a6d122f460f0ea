"""Landslides for others: vector files with styles, pictures, and a map that opens in any browser."""
