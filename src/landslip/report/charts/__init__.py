"""The charts of a report: each a function from a study to panels that know how to draw themselves, or nothing."""

from landslip.report.charts.probabilities import precision_recall, reliability
from landslip.report.charts.rows import MOST_LINES, row_colors
from landslip.report.charts.scores import score_chart
from landslip.report.charts.sizes import area_frequency, class_name, size_classes
from landslip.report.charts.training import training_curves

__all__ = [
    "MOST_LINES",
    "area_frequency",
    "class_name",
    "precision_recall",
    "reliability",
    "row_colors",
    "score_chart",
    "size_classes",
    "training_curves",
]
