"""Commented settings to begin a study with."""

from __future__ import annotations

from typing import Literal

_COMMON = """
# "paper": the paper's rows and their controls. "factorial": networks x layer sets x augmentations.
# "data": one data lever at a time. "rows": only the [[rows]] below.
design = "paper"
seeds = [0, 1, 2, 3, 4]        # one seed proves nothing; intervals need at least two
# layers = ["blue", "green", "red", "nir", "slope"]   # default: what there is of these
# only = ["unet", "data-centric"]                     # keep some rows of the design
# A row of your own, at the end of the file: [[rows]], then name = "best" and preset = "rgb-best"
"""

_TRAIN = """
[train]
epochs = 100
batch = 16
learning_rate = 1e-3
loss = "bce"                   # or dice, focal, tversky
# weights = "imagenet"         # downloaded; default none. Or a file.
# precision = "auto"           # bf16 where the processor has it natively

[objects]                      # of the object means, when a row has them
scale = "auto"                 # the scale of best object fitness over training polygons, or a number
"""

_SCENE = (
    """# landslip study study.toml --out study
title = "My area"
"""
    + _COMMON
    + """
[data]
scene = "scene"                # a folder made by landslip scene, with --inventory
# scenes = ["a", "b"]          # or several; then see leave_one_region_out and transfer
# test_polygon = "test.gpkg"   # a test region of your own
# truth = "landslides.gpkg"    # of a simulated event: how large its landslides truly are

[split]
design = "blocks"              # or "random", as the paper (adjacent tiles leak)
test_side = "east"
test_fraction = 0.25
validation_fraction = 0.3
tile = 128
block_tiles = 2
buffer_px = 64
# folds = 5                    # spatial cross-validation in place of one test region
"""
    + _TRAIN
)

_PATCHES = (
    """# landslip study study.toml --out study
title = "My patches"
"""
    + _COMMON
    + """
[data]
patches = "patches.npz"        # or a folder in the layout of Landslide4Sense
# regions = [1]                # some of its regions
# region_names = { 1 = "Taiwan" }
# transfer = true at the top trains on each region and tests on every other

[split]
design = "blocks"              # or "random", as the paper; or "supplied", with the patches
test_side = "east"             # of each region
test_fraction = 0.25
# test_regions = [2]           # or whole regions
validation_fraction = 0.3
block_tiles = 4                # blocks of 4 x 4 patches
buffer_px = 64                 # rounded up to whole patches
# folds = 5                    # spatial cross-validation in place of one test region
"""
    + _TRAIN
)


def template(kind: Literal["scene", "patches"]) -> str:
    """Return commented TOML settings for a scene or a patch set."""
    return _SCENE if kind == "scene" else _PATCHES
