"""A small area with landslides that can be learned, as bands."""

import numpy as np
from scipy import ndimage

from landslip.study.sources import Area

TINY = {"epochs": 2, "batch": 16, "learning_rate": 5e-3, "precision": "float32", "device": "cpu"}
OPTIONS = {
    "unet": {"width": 4},
    "resunet34": {"decoder": (8, 8, 4, 4, 4)},
    "attention-resunet34": {"decoder": (8, 8, 4, 4, 4)},
}


def make_area(rows=256, cols=512, seed=0, region=0, pre=False):
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=(rows, cols)), 5)
    label = (smooth > np.quantile(smooth, 0.9)).astype(np.uint8)
    landslide = ndimage.label(label, np.ones((3, 3)))[0].astype(np.int32)
    bands = {
        name: (0.1 + level * label + rng.normal(0, 0.03, label.shape)).astype(np.float32)
        for name, level in (("blue", 0.03), ("green", 0.04), ("red", 0.08))
    }
    bands["slope"] = (15 + 10 * label + rng.normal(0, 5, label.shape)).astype(np.float32)
    if pre:
        for name in ("blue", "green", "red"):
            before = (0.1 + rng.normal(0, 0.03, label.shape)).astype(np.float32)
            before[: rows // 4] = np.nan
            bands[f"pre_{name}"] = before
    return Area(bands, label, landslide, region, about={"path": f"area{region}", "simulated": True})
