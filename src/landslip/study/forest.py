"""The practice before deep learning: segment the image, describe each object, classify with a random forest.

Stands as a row in every study. It sees the same training objects, validation and test pixels as the networks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.data.tileset import Part, TileSet

TREES = 300
_MOST_OBJECTS = 200_000


def fit_forest(tiles: TileSet, *, seed: int) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Train a random forest on the objects of training tiles and predict all tiles.

    An object is a set of pixels of one tile with the same object means; its features are these means and, for
    each layer that is not an object mean, its mean and standard deviation within the object. Without object
    layers every pixel is an object of its own. The label of a training object is that of most of its counted
    pixels; its weight is their number.

    Parameters
    ----------
    tiles
        With the layers of the row.
    seed
        Of the forest.

    Returns
    -------
    numpy.ndarray
        ``(n, size, size)`` float32 probability; 0 where invalid.
    dict
        ``trees``, ``features``, ``objects``: what was trained, for the record.

    References
    ----------
    Breiman (2001), doi:10.1023/A:1010933404324; for landslides on objects: Stumpf & Kerle (2011),
    doi:10.1016/j.rse.2011.05.013.
    """
    described = [_objects(tiles, i) for i in range(len(tiles))]
    forest, facts = _fit(tiles, described, np.flatnonzero(tiles.part == Part.TRAIN), seed, TREES)
    return _predict(forest, described, tiles), facts


def out_of_fold(tiles: TileSet, *, seed: int, folds: int = 3, trees: int = 100) -> NDArray[np.float32]:
    """Predict every tile by a forest that has not seen its spatial block, ``(n, size, size)`` float32.

    Parameters
    ----------
    tiles
        Training tiles, all of which are labelled.
    seed
        Of the folds and forests.
    folds, trees
        Number of groups of blocks; trees of each forest.
    """
    rng = np.random.default_rng(seed)
    blocks = rng.permutation(np.unique(tiles.block))
    fold = np.searchsorted(np.sort(blocks), tiles.block)
    fold = np.argsort(blocks, kind="stable")[fold] % min(folds, len(blocks))
    described = [_objects(tiles, i) for i in range(len(tiles))]
    probability = np.zeros((len(tiles), tiles.size, tiles.size), np.float32)
    for k in np.unique(fold):
        others, mine = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        if len(others):
            forest, _ = _fit(tiles, described, others, seed, trees)
            probability[mine] = _predict(forest, [described[i] for i in mine], tiles.subset(mine))
    return probability


def _fit(
    tiles: TileSet,
    described: list[tuple[NDArray[np.int64], NDArray[np.float32]]],
    training: NDArray[np.int64],
    seed: int,
    trees: int,
) -> tuple[Any, dict[str, Any]]:
    from sklearn.ensemble import RandomForestClassifier

    features, label, weight = [], [], []
    for i in training:
        index, table = described[i]
        counted = (tiles.label[i] <= 1) & (index >= 0)
        size = np.bincount(index[counted], minlength=len(table))
        hits = np.bincount(index[counted & (tiles.label[i] == 1)], minlength=len(table))
        features.append(table[size > 0])
        label.append(2 * hits[size > 0] > size[size > 0])
        weight.append(size[size > 0])
    x, y, w = np.concatenate(features), np.concatenate(label), np.concatenate(weight)
    if len(x) > _MOST_OBJECTS:
        some = np.random.default_rng(seed).choice(len(x), _MOST_OBJECTS, replace=False)
        x, y, w = x[some], y[some], w[some]
    forest = RandomForestClassifier(trees, min_samples_leaf=2, n_jobs=-1, random_state=seed)
    forest.fit(x, y, sample_weight=w)
    return forest, {"trees": trees, "features": x.shape[1], "objects": len(x)}


def _predict(
    forest: Any,  # noqa: ANN401 - scikit-learn has no types
    described: list[tuple[NDArray[np.int64], NDArray[np.float32]]],
    tiles: TileSet,
) -> NDArray[np.float32]:
    table = np.concatenate([features for _, features in described])
    landslide = np.flatnonzero(forest.classes_ == 1)
    share = forest.predict_proba(table)[:, landslide[0]] if len(landslide) else np.zeros(len(table))
    probability = np.zeros((len(tiles), tiles.size, tiles.size), np.float32)
    first = 0
    for i, (index, features) in enumerate(described):
        values = share[first : first + len(features)]
        first += len(features)
        probability[i][index >= 0] = values[index[index >= 0]]
    return probability


def _objects(tiles: TileSet, i: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Index of the object of every pixel of a tile (−1 where invalid), and the objects' features."""
    image = tiles.image[i]
    valid = np.isfinite(image).all(axis=0)
    pixels = image[:, valid].T
    averaged = [k for k, name in enumerate(tiles.layers) if name.endswith("_obj")]
    plain = [k for k in range(len(tiles.layers)) if k not in averaged]
    index = np.full(valid.shape, -1, np.int64)
    if not averaged or not len(pixels):
        index[valid] = np.arange(len(pixels))
        return index, pixels
    means, where = np.unique(pixels[:, averaged], axis=0, return_inverse=True)
    where = where.reshape(-1)
    index[valid] = where
    count = np.bincount(where)
    features = [means]
    for k in plain:
        values = pixels[:, k].astype(np.float64)
        mean = np.bincount(where, weights=values) / count
        spread = np.sqrt(np.maximum(0.0, np.bincount(where, weights=values**2) / count - mean**2))
        features.append(np.stack([mean, spread], axis=1).astype(np.float32))
    return index, np.concatenate(features, axis=1)
