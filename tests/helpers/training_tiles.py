"""Tiles on which a network learns in seconds."""

import numpy as np

from landslip.data.tiles import cut_tiles
from landslip.data.tileset import TileSet


def make_tiles(*, size: int = 32, seed: int = 0, layers: tuple[str, ...] = ("blue", "green", "slope")) -> TileSet:
    """Bright squares on noise, with a void corner and an unmapped edge: learnable in a few epochs."""
    rng = np.random.default_rng(seed)
    label = np.zeros((128, 128), np.uint8)
    for row, col in rng.integers(0, 118, (40, 2)):
        label[row : row + 9, col : col + 9] = 1
    image = rng.normal(0.1, 0.02, (len(layers), *label.shape)).astype(np.float32)
    image += 0.1 * label
    image[:, :10, :10] = np.nan
    truth = label.copy()
    truth[-6:] = 255
    part = np.ones(label.shape, np.uint8)
    part[:, 64:96], part[:, 96:] = 2, 3
    return cut_tiles(layers, image, truth, label.astype(np.int32), part, np.zeros(label.shape, np.int32), size=size)
