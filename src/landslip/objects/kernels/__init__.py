"""What numba compiles, and the memory that it works in: costs, the passes, the way from pixels to nodes and to labels.

All kernels lie in this one folder: a kernel kept on disk is made anew when any file beside it has changed.
"""
