"""The figures of Shahabi & Ghorbanzadeh (2022), Table 1, to stand beside ours; never targets to hit.

F1 is recomputed from the printed precision and recall, since the paper's text and table differ in the
second decimal (0.59 and 0.60; 0.72 and 0.73).

References
----------
Shahabi, H., Ghorbanzadeh, O., 2022. Model-Centric vs Data-Centric Deep Learning Approaches for Landslide
Detection. CDCEO 2022, CEUR Workshop Proceedings. CC BY 4.0.
"""

from __future__ import annotations

from typing import Final

CITATION: Final = (
    "Shahabi, H., Ghorbanzadeh, O. (2022): Model-Centric vs Data-Centric Deep Learning Approaches for "
    "Landslide Detection. CDCEO 2022, CEUR Workshop Proceedings. CC BY 4.0."
)

TABLE_1: Final[dict[str, dict[str, float]]] = {
    "unet": {"train_loss": 0.14, "validation_loss": 0.26, "precision": 0.76, "recall": 0.48, "f1": 0.588},
    "resunet34": {"train_loss": 0.13, "validation_loss": 0.18, "precision": 0.67, "recall": 0.72, "f1": 0.694},
    "attention-resunet34": {
        "train_loss": 0.05,
        "validation_loss": 0.08,
        "precision": 0.88,
        "recall": 0.62,
        "f1": 0.728,
    },
    "data-centric": {"train_loss": 0.13, "validation_loss": 0.17, "precision": 0.71, "recall": 0.73, "f1": 0.720},
}
"""Row of the paper to its figures."""

DECIMALS: Final = {"train_loss": 2, "validation_loss": 2, "precision": 2, "recall": 2, "f1": 3}
"""How many decimals the paper's precision allows."""
