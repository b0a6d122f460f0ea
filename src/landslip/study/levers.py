"""Data-centric levers: changes of the training tiles, and of nothing else.

Every lever takes a tile set and returns one; validation and test tiles stay as they are. New tiles get keys of
their own, so that all random draws stay keyed by (seed, epoch, tile).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from landslip.config import Config
from landslip.data.tileset import UNKNOWN, Part, TileSet

_COPY_KEY = 1 << 58
"""Added to the key of a tile that appears again; keys of tiles are far below."""


class Levers(Config):
    """Which levers are pulled, each off by default; applied in the order given here."""

    noise_drop: float = Field(0.0, ge=0, lt=1)
    """Label noise: share of the mapped landslides of training that is forgotten (as in incomplete inventories)."""
    noise_shift_px: int = Field(0, ge=0)
    """Label noise: each landslide of training is moved by up to so many pixels in both directions."""
    clean: Literal["none", "drop", "shift"] = "none"
    """Label clean-up by out-of-fold disagreement of a random forest. ``drop``: landslides that it does not see
    become unknown; ``shift``: landslides are moved, by up to three pixels, to where it sees them best."""
    ignore_boundary_px: int = Field(0, ge=0)
    """Pixels within so many of a landslide's edge, on both sides, become unknown in training."""
    copy_paste: float = Field(0.0, ge=0)
    """So many more tiles, as a share of the training tiles, with landslides of other tiles pasted in."""
    balanced: bool = False
    """Tiles with landslides and tiles without appear equally often."""
    hard_negatives: float = Field(0.0, ge=0)
    """So many more tiles, as a share: those where a random forest, out of fold, sees most false alarms."""

    @property
    def any(self) -> bool:
        """Whether a lever is pulled at all."""
        return self != Levers()


def pull(tiles: TileSet, levers: Levers, *, seed: int, guide: TileSet | None = None) -> TileSet:
    """Apply levers to the training tiles of a set.

    Parameters
    ----------
    tiles
        All parts; only training tiles are changed.
    levers
        Which.
    seed
        Of all draws.
    guide
        The same tiles with more layers, for the forest that judges labels: with object means it is quick.

    References
    ----------
    Copy-paste: Ghiasi et al. (2021), arXiv:2012.07177. Hard negatives as background enhancement: Yang et al.
    (2022), doi:10.3390/rs14092206. Clean-up by out-of-fold disagreement: Northcutt et al. (2021),
    doi:10.1613/jair.1.12125. An ignored boundary: PASCAL VOC's void border, Everingham et al. (2010),
    doi:10.1007/s11263-009-0275-4.
    """
    if not levers.any:
        return tiles
    rest, train = tiles.subset(tiles.part != Part.TRAIN), tiles.of(Part.TRAIN)
    rng = np.random.default_rng([seed, 77])
    judge = train if guide is None else guide.of(Part.TRAIN)
    if levers.noise_drop or levers.noise_shift_px:
        train = add_noise(train, levers.noise_drop, levers.noise_shift_px, rng)
    if levers.clean != "none":
        train = clean_labels(train, levers.clean, seed, judge)
    suspects = false_alarms(_labelled_as(judge, train), seed) if levers.hard_negatives else None
    if levers.ignore_boundary_px:
        train = ignore_boundary(train, levers.ignore_boundary_px)
    extra = []
    if levers.copy_paste:
        extra.append(copy_paste(train, round(levers.copy_paste * len(train)), rng))
    if levers.balanced:
        extra.append(_again(train, balancing(train, rng), 2))
    if suspects is not None:
        most = np.argsort(-suspects, kind="stable")[: round(levers.hard_negatives * len(train))]
        extra.append(_again(train, most, 3))
    return join([train, *(one for one in extra if len(one)), rest])


def ignore_boundary(tiles: TileSet, width: int) -> TileSet:
    """Make pixels within ``width`` of a change of label unknown."""
    from scipy import ndimage

    square = np.ones((1, 2 * width + 1, 2 * width + 1), np.bool_)
    landslide, other = tiles.label == 1, tiles.label == 0
    near = (landslide & ndimage.binary_dilation(other, square)) | (other & ndimage.binary_dilation(landslide, square))
    return replace(tiles, label=np.where(near, np.uint8(UNKNOWN), tiles.label))


def copy_paste(tiles: TileSet, count: int, rng: np.random.Generator) -> TileSet:
    """Make ``count`` new tiles: a tile with the landslides of another, all layers, pasted in at the same place.

    Landslides are pasted where source and target are valid and of known label; the target's own stay.
    """
    sources = np.flatnonzero(((tiles.label == 1) & tiles.valid()).any(axis=(1, 2)))
    if not len(sources) or not count:
        return tiles.subset(np.zeros(0, np.int64))
    target, source = rng.integers(0, len(tiles), count), rng.choice(sources, count)
    new = _again(tiles, target, 1)
    image, label, landslide = new.image.copy(), new.label.copy(), new.landslide.copy()
    for i, j in enumerate(source):
        pasted = (tiles.label[j] == 1) & np.isfinite(tiles.image[j]).all(axis=0)
        pasted &= (label[i] == 0) & np.isfinite(image[i]).all(axis=0)
        image[i][:, pasted] = tiles.image[j][:, pasted]
        label[i][pasted], landslide[i][pasted] = 1, tiles.landslide[j][pasted]
    return replace(new, image=image, label=label, landslide=landslide)


def balancing(tiles: TileSet, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the tiles to repeat so that tiles with and without landslides are equally many."""
    has = (tiles.label == 1).any(axis=(1, 2))
    few, lack = (
        (has, int((~has).sum() - has.sum())) if has.sum() < (~has).sum() else (~has, int(2 * has.sum() - len(has)))
    )
    members = np.flatnonzero(few)
    return rng.choice(members, lack) if len(members) and lack > 0 else np.zeros(0, np.int64)


def add_noise(tiles: TileSet, drop: float, shift_px: int, rng: np.random.Generator) -> TileSet:
    """Forget some landslides, and move the others at random."""
    ids = np.unique(tiles.landslide[tiles.label == 1])
    ids = ids[ids > 0]
    dropped = rng.choice(ids, round(drop * len(ids)), replace=False)
    moves = {
        int(i): (int(r), int(c))
        for i, (r, c) in zip(ids, rng.integers(-shift_px, shift_px + 1, (len(ids), 2)), strict=True)
    }
    return _relabelled(tiles, {**moves, **{int(i): None for i in dropped}}, forgotten=0)


def clean_labels(tiles: TileSet, how: Literal["drop", "shift"], seed: int, judge: TileSet | None = None) -> TileSet:
    """Drop, or move, the landslides of training that a random forest does not see out of fold."""
    from landslip.study.forest import out_of_fold

    probability = out_of_fold(tiles if judge is None else _labelled_as(judge, tiles), seed=seed)
    changes: dict[int, tuple[int, int] | None] = {}
    for number in np.unique(tiles.landslide[tiles.label == 1]):
        if number == 0:
            continue
        where = (tiles.landslide == number) & (tiles.label == 1)
        if how == "drop":
            if probability[where].mean() < tiles.prevalence():
                changes[int(number)] = None
        else:
            changes[int(number)] = _best_move(where, probability)
    return _relabelled(tiles, changes, forgotten=UNKNOWN)


def false_alarms(tiles: TileSet, seed: int) -> NDArray[np.float64]:
    """Mean out-of-fold probability of a random forest over the non-landslide pixels of each tile."""
    from landslip.study.forest import out_of_fold

    probability = out_of_fold(tiles, seed=seed)
    other = (tiles.label == 0) & tiles.valid()
    return np.asarray((probability * other).sum(axis=(1, 2)) / np.maximum(1, other.sum(axis=(1, 2))), np.float64)


def _best_move(where: NDArray[np.bool_], probability: NDArray[np.float32], reach: int = 3) -> tuple[int, int]:
    tile, row, col = np.nonzero(where)
    size = where.shape[-1]
    best, best_score = (0, 0), -1.0
    for r in range(-reach, reach + 1):
        for c in range(-reach, reach + 1):
            rows, cols = row + r, col + c
            inside = (rows >= 0) & (rows < size) & (cols >= 0) & (cols < size)
            score = float(probability[tile[inside], rows[inside], cols[inside]].sum()) / len(tile)
            # the nearest of equals, so that what is right stays
            if score > best_score + 1e-9 or (
                abs(score - best_score) <= 1e-9 and abs(r) + abs(c) < abs(best[0]) + abs(best[1])
            ):
                best, best_score = (r, c), score
    return best


def _relabelled(tiles: TileSet, changes: dict[int, tuple[int, int] | None], *, forgotten: int) -> TileSet:
    """Move landslides (``None``: replace their label) within their tiles; unknown pixels stay unknown."""
    label, landslide = tiles.label.copy(), tiles.landslide.copy()
    moved = {number: move for number, move in changes.items() if move is None or move != (0, 0)}
    for i in range(len(tiles)):
        here = [number for number in np.unique(tiles.landslide[i]) if number in moved]
        for number in here:
            gone = tiles.landslide[i] == number
            label[i][gone & (label[i] == 1)], landslide[i][gone] = (forgotten if moved[number] is None else 0), 0
        for number in here:
            move = moved[number]
            if move is not None:
                row, col = np.nonzero(tiles.landslide[i] == number)
                row, col = row + move[0], col + move[1]
                inside = (row >= 0) & (row < tiles.size) & (col >= 0) & (col < tiles.size)
                row, col = row[inside], col[inside]
                known = label[i][row, col] != UNKNOWN
                label[i][row[known], col[known]], landslide[i][row[known], col[known]] = 1, number
    return replace(tiles, label=label, landslide=landslide)


def _labelled_as(judge: TileSet, tiles: TileSet) -> TileSet:
    return replace(judge, label=tiles.label, landslide=tiles.landslide)


def _again(tiles: TileSet, index: NDArray[np.int64], purpose: int) -> TileSet:
    """Take tiles once more, with keys of their own."""
    new = tiles.subset(index)
    fresh = _COPY_KEY + purpose * (1 << 40) + np.arange(len(index), dtype=np.int64)
    return replace(new, key=fresh)


def join(sets: list[TileSet]) -> TileSet:
    """Put tile sets of equal layers and size together."""
    names = ("image", "label", "landslide", "part", "block", "row", "col", "region", "key")
    arrays = {name: np.concatenate([getattr(one, name) for one in sets]) for name in names}
    return replace(sets[0], **arrays)  # type: ignore[arg-type]  # arrays by name
