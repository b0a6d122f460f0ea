"""Flips and rotations: the eight elements of the square's group, for scalars and for vectors.

An element is a number from 0 to 7: ``element % 4`` quarter turns counter-clockwise, and before them a
left-right flip where ``element >= 4``. Arrays and tensors alike, always on their last two axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from landslip.data.draws import draw
from landslip.errors import LayerError
from landslip.layers.catalogue import describe

Augment = Literal["none", "paper5", "six", "d4"]
"""``paper5``: two flips and three rotations instead of each tile; ``six``: those and the tile; ``d4``: one of
all eight elements at random, anew in every pass; ``none``: the tile alone."""

ELEMENTS = tuple(range(8))
IDENTITY, ROTATE_90, ROTATE_180, ROTATE_270, FLIP_LEFT_RIGHT, _, FLIP_UP_DOWN, _ = ELEMENTS

Variants = Literal["none", "flips", "d4"]
"""``none``: a tile as it is; ``flips``: with its two flips and the half turn; ``d4``: in all eight ways."""

VARIANTS: dict[str, tuple[int, ...]] = {
    "none": (IDENTITY,),
    "flips": (IDENTITY, FLIP_LEFT_RIGHT, FLIP_UP_DOWN, ROTATE_180),
    "d4": ELEMENTS,
}
"""Elements by which a trained network sees a tile; its predictions are turned back and averaged."""

_EXPANSIONS: dict[str, tuple[int, ...]] = {
    "none": (IDENTITY,),
    "d4": (IDENTITY,),
    "paper5": (FLIP_LEFT_RIGHT, FLIP_UP_DOWN, ROTATE_90, ROTATE_180, ROTATE_270),
    "six": (IDENTITY, FLIP_LEFT_RIGHT, FLIP_UP_DOWN, ROTATE_90, ROTATE_180, ROTATE_270),
}

Data = TypeVar("Data")


@dataclass(frozen=True)
class Directional:
    """Which layers are the components of vectors: pairs of positions ``(east, north)``."""

    pairs: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, layers: Sequence[str], setting: str = "augment") -> Directional:
        """Find the vectors among ``layers``, and refuse what cannot be turned; ``setting`` is what asks for it.

        Raises
        ------
        LayerError
            A layer cannot be turned, or one component of a vector is there without the other.
        """
        pairs = []
        for i, name in enumerate(layers):
            turning = describe(name).turning
            if turning == "fixed":
                message = f'layer {name!r} cannot be flipped or turned; take it out or set {setting} = "none"'
                raise LayerError(message)
            if turning == "scalar":
                continue
            ending, other = ("sin", "cos") if turning == "east" else ("cos", "sin")
            partner = name.replace(ending, other)
            if partner not in layers:
                message = f'layer {name!r} turns only together with {partner!r}; add it or set {setting} = "none"'
                raise LayerError(message)
            if turning == "east":
                pairs.append((i, list(layers).index(partner)))
        return cls(tuple(pairs))


def expansion(augment: Augment) -> tuple[int, ...]:
    """List the elements by which a tile appears in a training pass."""
    return _EXPANSIONS[augment]


def inverse(element: int) -> int:
    """Return the element that undoes ``element``."""
    return element if element >= 4 else -element % 4


def compose(second: int, first: int) -> int:
    """Return the element that is ``first``, then ``second``."""
    # a flip before turns reverses their sense: f r^k = r^-k f
    turns = second % 4 + (-(first % 4) if second >= 4 else first % 4)
    return turns % 4 + (4 if (first >= 4) != (second >= 4) else 0)


def turn(array: Data, element: int) -> Data:
    """Apply an element to the last two axes of an array or tensor."""
    if element == IDENTITY:
        return array
    given: Any = array
    turned: Any
    if isinstance(given, np.ndarray):
        turned = np.rot90(np.flip(given, -1) if element >= 4 else given, element % 4, axes=(-2, -1))
    else:
        import torch

        turned = torch.rot90(torch.flip(given, (-1,)) if element >= 4 else given, element % 4, (-2, -1))
    result: Data = turned
    return result


def turn_vector(east: Data, north: Data, element: int) -> tuple[Data, Data]:
    """Turn the components of vectors whose places have been turned already.

    Parameters
    ----------
    east, north
        Components towards the right and towards the top of the image.
    element
        As applied to the places.
    """
    e: Any = east
    n: Any = north
    if element >= 4:
        e = -e
    for _quarter in range(element % 4):
        e, n = -n, e
    return e, n


def augment(image: Data, label: Data, element: int, directional: Directional) -> tuple[Data, Data]:
    """Apply an element to tiles and their labels.

    Parameters
    ----------
    image
        ``(..., layers, rows, cols)`` array or tensor with its directional layers in physical units.
    label
        ``(..., rows, cols)``.
    element
        0 to 7.
    directional
        Which layers are components of vectors.

    Returns
    -------
    tuple
        New image and label; the given ones for the identity.
    """
    if element == IDENTITY:
        return image, label
    turned: Any = turn(image, element)
    if directional.pairs:
        turned = turned.copy() if isinstance(turned, np.ndarray) else turned.clone()
        for i, j in directional.pairs:
            # "+ 0" copies: both are overwritten, and each from the other
            east, north = turn_vector(turned[..., i, :, :] + 0, turned[..., j, :, :] + 0, element)
            turned[..., i, :, :], turned[..., j, :, :] = east, north
    return turned, turn(label, element)


def draw_scales(seed: int, epoch: int, key: NDArray[np.int64], largest: float) -> NDArray[np.float32]:
    """Draw a factor for each tile, log-uniform from ``1/largest`` to ``largest``, from (seed, epoch, tile) alone."""
    uniform = (draw(seed, epoch, key, purpose=2) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    factor: NDArray[np.float64] = np.exp((2 * uniform - 1) * np.log(largest))
    return factor.astype(np.float32)


def draw_elements(seed: int, epoch: int, key: NDArray[np.int64]) -> NDArray[np.int64]:
    """Draw one of the eight elements for each tile, from (seed, epoch, tile) alone."""
    return (draw(seed, epoch, key, purpose=1) >> np.uint64(61)).astype(np.int64)
