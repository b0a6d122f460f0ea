"""Windows and threads for a memory: how many first passes, how large the windows, or how much memory it would take."""

from __future__ import annotations

from typing import NoReturn

from landslip.errors import ResourceError
from landslip.objects.kernels.layout import MEANS, record_words, steps_of
from landslip.objects.windows.plans import Plan
from landslip.objects.windows.tiling import window_bytes

GIB = 2**30

FIRST_PASSES = ((12, 76), (16, 120), (20, 200))
"""Passes in windows, and pixels around a core. The more passes, the fewer objects are left for the graph of the
whole, and the wider the margin has to be: taint came 61 to 110 pixels deep in 12 passes, 160 in 16."""


def node_bytes(bands: int) -> int:
    """Memory of a node in the graph of the whole, its list of neighbours and scratch memory included."""
    words = record_words(steps_of(bands))
    # the record, the exact statistics (as many words, less those of the list), a quarter of a block, small arrays
    return 4 * words + 8 * (words - MEANS) + 32 + 64


def plans_for(shape: tuple[int, int], bands: int, threads: int, memory_gib: float) -> list[tuple[Plan, int]]:
    """Plan the first passes, and with how many threads: few passes, and more in case they leave too many objects.

    Parameters
    ----------
    shape
        Rows and columns of the raster.
    bands
        Its bands.
    threads
        Threads at most.
    memory_gib
        Memory in GiB; windows take half of it at most.

    Returns
    -------
    list
        Plans with their threads, those of few passes first.

    Raises
    ------
    ResourceError
        No window fits the memory; the message says how much would do.
    """
    plans = [_plan(shape, bands, threads, memory_gib, *each) for each in FIRST_PASSES]
    return [plan for plan in plans if plan is not None] or [_too_small(bands, memory_gib)]


def _plan(
    shape: tuple[int, int], bands: int, threads: int, memory_gib: float, passes: int, margin: int
) -> tuple[Plan, int] | None:
    """Choose the largest windows that half of the memory allows, with fewer threads if need be."""
    per_pixel = window_bytes(steps_of(bands)) + 8 * bands
    for used in range(threads, 0, -1):
        edge = int((memory_gib * GIB / 2 / used / per_pixel) ** 0.5) - 2 * margin
        if edge >= min(256, *shape):
            return Plan.of(shape, min(edge // 64 * 64 or edge, 1024), passes, margin), used
    return None


def _too_small(bands: int, memory_gib: float) -> NoReturn:
    per_pixel = window_bytes(steps_of(bands)) + 8 * bands
    need = 2 * per_pixel * (256 + 2 * FIRST_PASSES[0][1]) ** 2 / GIB
    message = f"a memory of {memory_gib:g} GiB is too small for one window; give at least {need:.2f} GiB (--memory)"
    raise ResourceError(message)
