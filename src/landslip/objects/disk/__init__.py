"""Segmentation of rasters larger than memory, identical to the segmentation in memory.

The first passes run in windows read from disk; each window leaves a part with its proven nodes. The parts
are then joined into the graph of the whole, on which the remaining passes run; last, the labels are written
window by window. Parts survive an interruption, and a later run takes them up.
"""
