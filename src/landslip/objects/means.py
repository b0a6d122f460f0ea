"""Layers of object means. numpy alone, so that it runs where nothing compiled is installed."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landslip.errors import InputError


def object_means(labels: ArrayLike, layers: ArrayLike) -> NDArray[np.float32]:
    """Give every pixel the mean of its object, layer by layer.

    Parameters
    ----------
    labels
        ``(rows, cols)`` whole numbers: 0 = invalid, else the object.
    layers
        ``(layers, rows, cols)``, or one layer ``(rows, cols)``. A pixel that is not finite counts in no
        mean, but receives its object's mean where the object has finite pixels in that layer.

    Returns
    -------
    numpy.ndarray
        ``(layers, rows, cols)`` float32 (``(rows, cols)`` for one layer); NaN where ``labels`` is 0 or
        no pixel of the object is finite. Sums are in float64.

    Raises
    ------
    InputError
        The shapes differ, or the labels are not whole numbers from 0 on.
    """
    objects = check_labels(labels)
    stack = np.asarray(layers)
    single = stack.ndim == 2
    if single:
        stack = stack[np.newaxis]
    if stack.ndim != 3 or stack.shape[1:] != objects.shape:
        message = (
            f"layers of shape {np.shape(layers)} beside labels of {objects.shape}; rows and columns must be the same"
        )
        raise InputError(message)
    flat = objects.ravel()
    count = int(flat.max(initial=0)) + 1
    out = np.empty(stack.shape, np.float32)
    for index, layer in enumerate(stack):
        out[index] = _means(flat, layer.ravel(), count)[objects]
    return out[0] if single else out


def _means(flat: NDArray[np.integer], values: NDArray[np.generic], count: int) -> NDArray[np.float32]:
    finite = np.isfinite(values)
    weights = np.where(finite, values, 0).astype(np.float64)
    sums = np.bincount(flat, weights=weights, minlength=count)
    members = np.bincount(flat, minlength=count) if finite.all() else np.bincount(flat[finite], minlength=count)
    means = np.full(count, np.nan, np.float32)
    some = members > 0
    means[some] = (sums[some] / members[some]).astype(np.float32)
    means[0] = np.nan
    return means


def check_labels(labels: ArrayLike, name: str = "labels") -> NDArray[np.integer]:
    """Return labels as an array of whole numbers from 0 on.

    Raises
    ------
    InputError
        Not two axes, not whole numbers, or negative.
    """
    objects = np.asarray(labels)
    if objects.ndim != 2 or objects.dtype.kind not in "bui":
        message = f"{name} of shape {objects.shape} and type {objects.dtype}; they must be (rows, cols) whole numbers"
        raise InputError(message)
    if objects.dtype.kind == "i" and objects.size and int(objects.min()) < 0:
        message = f"{name} go down to {int(objects.min())}; they must be 0 (none) or positive"
        raise InputError(message)
    return objects.astype(np.int64) if objects.dtype.kind in "bu" else objects
