"""Choosing the scale without mapped landslides: what objects hold against how they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landslip.errors import ConfigError
from landslip.objects.options import check_image
from landslip.objects.scale.supervised import DEFAULT_SCALES
from landslip.progress import SILENT, Progress


@dataclass(frozen=True)
class UnsupervisedSearch:
    """Curves over scales, and the scale that balances them.

    Parameters
    ----------
    scale
        The scale of the greatest score (of equals the smallest).
    scales
        Scales tried, increasing.
    objects
        Number of objects per scale.
    variance
        Variance within objects, weighted by area, mean over bands: low when objects are pure.
    moran
        Moran's I of the object means over neighbouring objects, mean over bands: low when neighbours differ.
    score
        ``F(variance) + F(moran)`` with ``F(x) = (max − x) / (max − min)``, 0 to 2.
    local_variance
        Mean standard deviation within objects, mean over bands, and …
    rate_of_change
        … its change from the scale before in percent (NaN for the first): peaks hint at scales at which
        the image has objects.
    """

    scale: float
    scales: tuple[float, ...]
    objects: tuple[int, ...]
    variance: tuple[float, ...]
    moran: tuple[float, ...]
    score: tuple[float, ...]
    local_variance: tuple[float, ...]
    rate_of_change: tuple[float, ...]

    @property
    def at_end(self) -> bool:
        """Whether the peak lies at an end of the grid."""
        return self.scale in (self.scales[0], self.scales[-1])

    def to_dict(self) -> dict[str, Any]:
        """Return the curves as JSON types."""
        names = ("scales", "objects", "variance", "moran", "score", "local_variance")
        rates = [None if np.isnan(rate) else rate for rate in self.rate_of_change]
        return {"scale": self.scale, **{name: list(getattr(self, name)) for name in names}, "rate_of_change": rates}


def choose_scale_unsupervised(
    image: ArrayLike,
    scales: Sequence[float] | None = None,
    *,
    progress: Progress = SILENT,
    **segment_options: Any,  # noqa: ANN401 - passed on to segment
) -> UnsupervisedSearch:
    """Segment at every scale of a grid and keep the one that balances purity within and difference between.

    Parameters
    ----------
    image
        ``(bands, rows, cols)``, in the units that will be segmented later.
    scales
        The grid, at least two scales; by default that of :func:`landslip.objects.choose_scale`.
    progress
        Who is told how far it is.
    **segment_options
        Passed to :func:`landslip.objects.segment`.

    Returns
    -------
    UnsupervisedSearch
        The scale and all curves.

    Raises
    ------
    ConfigError, InputError
        Fewer than two scales; as :func:`landslip.objects.segment`.

    References
    ----------
    Espindola, G. M. et al. (2006): Parameter selection for region-growing image segmentation algorithms using
    spatial autocorrelation. International Journal of Remote Sensing 27, 3035-3040. Johnson, B. & Xie, Z.
    (2011): Unsupervised image segmentation evaluation and refinement using a multi-scale approach. ISPRS
    Journal 66, 473-483. Drăguţ, L. et al. (2010): ESP: a tool to estimate scale parameter for multiresolution
    image segmentation of remotely sensed data. IJGIS 24, 859-871.
    """
    from landslip.objects.segmentation import segment

    pixels = check_image(image)
    grid = tuple(sorted({float(scale) for scale in (scales if scales is not None else DEFAULT_SCALES)}))
    if len(grid) < 2:
        message = f"scales {list(grid)}; comparing needs at least two"
        raise ConfigError(message)
    rows: list[tuple[int, float, float, float]] = []
    with progress.task("choosing the scale", len(grid)) as task:
        for scale in grid:
            rows.append(_curves(segment(pixels, scale, **segment_options), pixels))
            task.advance(note=f"scale {scale:g}: {rows[-1][0]:,} objects")
    objects, variance, moran, local = (tuple(column) for column in zip(*rows, strict=True))
    score = tuple(float(a + b) for a, b in zip(_falling(variance), _falling(moran), strict=True))
    rate = (float("nan"), *(100 * (b - a) / a if a > 0 else 0.0 for a, b in pairwise(local)))
    return UnsupervisedSearch(
        grid[int(np.argmax(score))], grid, objects, variance, moran, score, local, rate
    )  # fmt: skip


def _falling(values: Sequence[float]) -> NDArray[np.float64]:
    x = np.asarray(values, np.float64)
    width = x.max() - x.min()
    return (x.max() - x) / width if width > 0 else np.zeros_like(x)


def _curves(labels: NDArray[np.int32], pixels: NDArray[np.float32]) -> tuple[int, float, float, float]:
    inside = labels > 0
    where = labels[inside]
    size = int(where.max()) + 1
    count = np.bincount(where, minlength=size)[1:]
    first, second = _pairs(labels, size)
    variances, morans, locals_ = [], [], []
    for band in pixels:
        values = band[inside].astype(np.float64)
        mean = np.bincount(where, weights=values, minlength=size)[1:] / count
        scatter = np.bincount(where, weights=(values - mean[where - 1]) ** 2, minlength=size)[1:] / count
        variances.append(float((scatter * count).sum() / count.sum()))
        locals_.append(float(np.sqrt(scatter).mean()))
        apart = mean - mean.mean()
        total = float((apart**2).sum())
        pairs = first.size
        morans.append(
            apart.size / pairs * float((apart[first] * apart[second]).sum()) / total if pairs and total else 0
        )
    return size - 1, float(np.mean(variances)), float(np.mean(morans)), float(np.mean(locals_))


def _pairs(labels: NDArray[np.int32], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Neighbouring objects, each pair once, counted from 0."""
    keys = []
    for a, b in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        meet = (a != b) & (a > 0) & (b > 0)
        low, high = np.minimum(a[meet], b[meet]).astype(np.int64), np.maximum(a[meet], b[meet])
        keys.append(np.unique(low * size + high))
    unique = np.unique(np.concatenate(keys))
    return unique // size - 1, unique % size - 1
