"""A study folder in, ``figures/*.png`` and ``report.html`` out."""

from __future__ import annotations

import os
from pathlib import Path

from landslip.files import write_text
from landslip.progress import SILENT, Progress
from landslip.report import charts
from landslip.report.answer import answer
from landslip.report.embed import save_pictures
from landslip.report.model import Study
from landslip.report.page import MAP_LEGEND, PART_LEGEND, render
from landslip.report.paper import TABLE_1
from landslip.report.pixels import Pictures, read_pictures
from landslip.report.read import read_study
from landslip.report.style import Chart, save_chart


def write_report(study_folder: str | os.PathLike[str], *, progress: Progress = SILENT) -> Path:
    """Write the report of a finished study.

    Reads only the files of the folder; the same folder gives the same bytes.

    Parameters
    ----------
    study_folder
        As ``landslip study`` leaves it.
    progress
        Who is told how far it is.

    Returns
    -------
    pathlib.Path
        ``report.html``, one self-contained file.

    Raises
    ------
    MissingInputError
        The study is not finished, or its tiles are missing.
    FormatError
        One of its files is damaged or newer than this version.
    OutputError
        The folder cannot be written.
    """
    folder = Path(study_folder)
    study = read_study(folder)
    with progress.task("report", total=4) as task:
        pictures = read_pictures(folder, study)
        task.advance(note="maps")
        drawn = _charts(study)
        _save_figures(study, pictures, drawn, folder / "figures")
        task.advance(2, note="figures")
        html = render(study, pictures, drawn)
        write_text(folder / "report.html", html)
        task.advance(note="page")
    return folder / "report.html"


def _charts(study: Study) -> dict[str, Chart]:
    made = {
        "training": charts.training_curves(study),
        "precision_recall": charts.precision_recall(study),
        "reliability": charts.reliability(study),
        "size_chart": charts.size_classes(study),
        "area_chart": charts.area_frequency(study),
    }
    return {name: chart for name, chart in made.items() if chart is not None}


def _save_figures(study: Study, pictures: Pictures, drawn: dict[str, Chart], folder: Path) -> None:
    colors = charts.row_colors(study.rows)
    if not answer(study).claims:
        study = study.without_intervals()
    scores = [
        (row.label, found, colors[row.name], TABLE_1.get(row.paper or "", {}).get("f1"))
        for row in study.rows
        if (found := row.score("f1")) is not None
    ]
    effects = [(e.label, e.effect, "row-3" if e.supported else "row-0", None) for e in study.effects]
    extra = (
        charts.score_chart(scores, "F1 on the test part", "f1"),
        charts.score_chart(effects, "change of F1", "effects"),
    )
    for chart in (*drawn.values(), *extra):
        if chart is not None:
            save_chart(chart, folder)
    if pictures.split:
        save_pictures(pictures.split, folder / "figure-1-split.png", colors=PART_LEGEND)
    if pictures.maps:
        save_pictures(pictures.maps, folder / "figure-3-maps.png", colors=MAP_LEGEND)
    if pictures.zooms:
        flat = [picture for zoom in pictures.zooms for picture in zoom.pictures]
        columns = len(pictures.zooms[0].pictures)
        save_pictures(flat, folder / "figure-3-zooms.png", columns=columns, colors=MAP_LEGEND)
