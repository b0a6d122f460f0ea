"""Splits landslides that have grown together: by the toes that they run down to."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from landslip.mapping.landslides import kernels
from landslip.mapping.landslides.outlines import Outlines, concatenate, outline, shifted
from landslip.progress import SILENT, Progress
from landslip.scene.store import Scene
from landslip.windows import Window

log = logging.getLogger(__name__)

LARGEST_WINDOW = 1 << 26
"""A landslide whose bounding box has more pixels is left whole, with a warning: it is no landslide."""


def split_outlines(
    outlines: Outlines, scene: Scene, *, depth_m: float, min_pixels: float, progress: Progress = SILENT
) -> tuple[Outlines, int]:
    """Split each landslide along the divides between the toes that it drains to.

    Parameters
    ----------
    outlines
        Landslides.
    scene
        With its elevation layer.
    depth_m
        A toe counts when it lies at least this deep below the saddle to its neighbour.
    min_pixels
        Smaller pieces join the neighbour with which they share the longest border.

    Returns
    -------
    tuple
        The landslides after splitting, and how many were split.
    """
    if "elevation" not in scene.layers:
        log.warning("%s has no elevation, so nothing can be split; build the scene with --dem", scene.path)
        return outlines, 0
    whole = np.ones(len(outlines), np.bool_)
    pieces: list[Outlines] = []
    candidates = np.flatnonzero(outlines.pixels >= 2 * max(min_pixels, 1))
    boxes = outlines.bounds()
    with progress.task("split", len(candidates)) as task:
        for index in candidates:
            top, left, bottom, right = (int(edge) for edge in boxes[index])
            window = Window(top, left, bottom - top, right - left)
            task.advance()
            if window.rows * window.cols > LARGEST_WINDOW:
                log.warning("a landslide of %d x %d pixels is left unsplit", window.rows, window.cols)
                continue
            inside = outlines.take(np.array([index])).burn(window) > 0
            elevation = scene.read(["elevation"], window)[0]
            found, count = kernels.flow_basins(inside, elevation, depth_m)
            if count < 2:
                continue
            parts = [outline(found == number) for number in range(1, count + 1)]
            labels, count = _joined(parts, window, min_pixels)
            if count < 2:
                continue
            whole[index] = False
            pieces += [shifted(outline(labels == number), top, left) for number in range(1, count + 1)]
    if not pieces:
        return outlines, 0
    return concatenate([outlines.take(whole), *pieces]), int((~whole).sum())


def _joined(parts: list[Outlines], window: Window, min_pixels: float) -> tuple[NDArray[np.int32], int]:
    """Join small pieces to a neighbour; return labels from 1 and how many there are."""
    local = Window(0, 0, window.rows, window.cols)
    labels = np.zeros(local.shape, np.int32)
    count = 0
    for part in parts:
        burnt = part.burn(local)
        labels[burnt > 0] = burnt[burnt > 0] + count
        count += len(part)
    while count > 1:
        sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
        small = int(np.argmin(sizes)) + 1
        if sizes[small - 1] >= min_pixels:
            break
        labels[labels == small] = _neighbour(labels, small)
        labels[labels > small] -= 1
        count -= 1
    return labels, count


def _neighbour(labels: NDArray[np.int32], number: int) -> int:
    """Label that shares the longest border with ``number``; the lower one among equals."""
    beside = []
    for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        beside += [other[one == number], one[other == number]]
    touching = np.concatenate(beside)
    touching = touching[(touching != 0) & (touching != number)]
    return int(np.argmax(np.bincount(touching)))
