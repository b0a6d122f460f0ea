"""How good a map is: pixel scores, thresholds, calibration, scores per landslide. Arrays in, numbers out.

Never draws, never reads files, and knows neither networks nor scenes.
"""

from landslip.scoring.areas import AreaFrequency, area_frequency
from landslip.scoring.calibration import Calibration, calibration
from landslip.scoring.chance import Chance
from landslip.scoring.confusion import Confusion, confusions_by_group
from landslip.scoring.per_landslide import LandslideScores, per_landslide
from landslip.scoring.threshold import ProbabilityHistogram, ThresholdChoice, best_threshold

__all__ = [
    "AreaFrequency",
    "Calibration",
    "Chance",
    "Confusion",
    "LandslideScores",
    "ProbabilityHistogram",
    "ThresholdChoice",
    "area_frequency",
    "best_threshold",
    "calibration",
    "confusions_by_group",
    "per_landslide",
]
