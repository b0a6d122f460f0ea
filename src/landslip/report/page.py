"""The report as one HTML page: what goes where, and the template around it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from landslip.report import appendix, charts, tables, travel
from landslip.report.answer import answer
from landslip.report.charts import MOST_LINES
from landslip.report.claim import paper_claim
from landslip.report.dots import Entry, dots
from landslip.report.embed import Embedded, embed
from landslip.report.facts import data_facts, hygiene, settings, sources_table, split_words
from landslip.report.limits import limits
from landslip.report.maps import Picture
from landslip.report.model import Study
from landslip.report.paper import CITATION, TABLE_1
from landslip.report.pixels import Pictures, scores_in_words
from landslip.report.style import MAP_COLORS, PART_COLORS, Chart, inline_svg
from landslip.report.words import capital, count, percent, sentence

QUESTIONS: Final = {
    "paper": "Does a bigger network or better training data find landslides better?",
    "data": "Which improvement of the training data helps to find landslides?",
    "factorial": "Which changes of network and of data help to find landslides?",
}
OTHER_QUESTION: Final = "How well do these models find landslides?"

CAPTIONS: Final = {
    "training": (
        "Figure 2.",
        "Loss and F1 by epoch ({over}). Open circle: the epoch kept, that of least validation loss.",
    ),
    "precision_recall": (
        "Figure 4.",
        "Precision against recall on the test part as the threshold moves, seeds pooled. Thin lines: equal F1.",
    ),
    "reliability": (
        "Figure 5.",
        "Whether a probability means what it says: observed share of landslide by predicted probability on the test "
        "part (dashed: perfect), and how many pixels lie there.",
    ),
    "size_chart": (
        "Figure 6.",
        "Scores by size of the landslide, found or right by at least half of the area, mean over seeds.",
    ),
    "area_chart": (
        "Figure 7.",
        "How often landslides of an area occur in the test part: those of the inventory, the true ones where they are "
        "known, those of each row’s map (all its seeds), and the law that many inventories follow, for orientation.",
    ),
}

MAP_LEGEND: Final = (
    ("hit: mapped and predicted", MAP_COLORS["hit"]),
    ("miss: mapped, not predicted", MAP_COLORS["miss"]),
    ("false alarm: predicted, not mapped", MAP_COLORS["false_alarm"]),
)
PART_LEGEND: Final = (
    ("training", PART_COLORS["train"]),
    ("validation", PART_COLORS["validation"]),
    ("test", PART_COLORS["test"]),
    ("mapped landslides", "#ffffff"),
)


@dataclass(frozen=True)
class ShownPanel:
    """A panel as SVG."""

    title: str
    svg: Markup


@dataclass(frozen=True)
class ShownChart:
    """A chart with its caption and panels as SVG."""

    caption: str | Markup
    panels: tuple[ShownPanel, ...]
    keys: tuple[Any, ...]
    width: int


def render(study: Study, pictures: Pictures, drawn: dict[str, Chart]) -> str:
    """Write the page.

    Parameters
    ----------
    study
        The study.
    pictures
        Its maps.
    drawn
        Its charts by name.

    Returns
    -------
    str
        HTML in one file: styles, script and images inside, requests forbidden by its own policy.
    """
    environment = Environment(
        loader=PackageLoader("landslip.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = unbroken
    css, js = _asset("report.css"), _asset("report.js")
    told, claim, limits_ = answer(study), paper_claim(study), limits(study)
    if not told.claims:
        study = study.without_intervals()
    context = {
        "study": study,
        "answer": told,
        "claim": claim,
        "limits": limits_,
        "css": Markup(css),  # ours, and not for escaping
        "js": Markup(js),
        "csp": content_policy(js),
        "citation": CITATION,
        "part_colors": PART_LEGEND,
        "map_colors": MAP_LEGEND,
        "most_lines": MOST_LINES,
        **_words(study),
        **_tables(study),
        **_charts(study, drawn),
        **_pictures(study, pictures),
    }
    context["contents"] = _contents(context)
    return environment.get_template("report.html.j2").render(context)


def unbroken(text: str) -> Markup:
    """Keep figures and names such as U-Net on one line."""
    escaped = str(escape(text))
    return Markup(
        re.sub(r"\bU-Net\b|ResNet-\d+|[+−][\d.]+ to [+−]?[\d.]+", r'<span class="nowrap">\g<0></span>', escaped)
    )


def content_policy(js: str) -> str:
    """Return a content security policy that lets this very script run and nothing be requested."""
    digest = base64.b64encode(hashlib.sha256(js.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    return resources.files("landslip.report").joinpath("templates", name).read_text(encoding="utf-8")


def _words(study: Study) -> dict[str, Any]:
    colors = charts.row_colors(study.rows)
    scored = [(row, found) for row in study.rows if (found := row.score("f1")) is not None]
    entries = [
        Entry(row.label, found, colors[row.name], TABLE_1.get(row.paper or "", {}).get("f1")) for row, found in scored
    ]
    any_interval = any(found.has_interval for _, found in scored)
    any_paper = any(entry.paper is not None for entry in entries)
    legend = [
        "Dot: F1 on the test part, threshold 0.5, mean over seeds."
        if len(study.seeds) > 1
        else "Dot: F1 on the test part, threshold 0.5.",
        "Bar: 95 % interval." if any_interval else "",
        "Diamond: the paper’s figure." if any_paper else "",
    ]
    effects = [Entry(e.label, e.effect, "row-3" if e.supported else "row-0") for e in study.effects]
    return {
        "question": QUESTIONS.get(study.design, OTHER_QUESTION),
        "alerts": _alerts(study),
        "facts": _facts(study),
        "scores": dots(entries, caption="", axis="F1", legend=" ".join(filter(None, legend))),
        "effects": dots(
            effects,
            caption="Mean change of F1 with its 95 % interval; orange where the data support an effect.",
            axis="change of F1",
            differences=True,
        )
        if effects
        else None,
        "split_words": split_words(study),
        "data": data_facts(study),
        "hygiene": hygiene(study),
        "settings": settings(study),
        "commands": study.info.get("commands") or [],
    }


def _alerts(study: Study) -> list[str]:
    guard = study.info.get("guard") or []
    found = [str(g["text"]) for g in guard if g.get("verdict") in {"warning", "leaks"} and g.get("text")]
    return list(dict.fromkeys(sentence(text) for text in found))


def _facts(study: Study) -> list[tuple[str, str]]:
    data = study.info.get("data") or {}
    found = [
        ("Rows", str(len(study.rows))),
        ("Seeds", str(len(study.seeds))),
        ("Test blocks", str(study.blocks) if study.blocks is not None else ""),
        ("Landslide share", percent(data["prevalence"]) if data.get("prevalence") is not None else ""),
        ("Event", "simulated" if study.simulated else ""),
        ("Pretrained weights", "yes" if study.pretrained else "none"),
    ]
    return [(name, value) for name, value in found if value]


def _tables(study: Study) -> dict[str, Any]:
    return {
        "main_table": tables.main_table(study),
        "comparison_table": tables.comparison_table(study),
        "parts_table": appendix.parts_table(study),
        "runs_table": appendix.runs_table(study),
        "rows_table": appendix.rows_table(study),
        "curves_table": tables.curves_table(study),
        "areas_table": tables.areas_table(study),
        "size_table": appendix.size_table(study),
        "effects_table": tables.effects_table(study),
        "split_table": appendix.split_table(study),
        "sources_table": sources_table(study),
        "transfer_tables": travel.transfer_tables(study),
        "warning_table": travel.warning_table(study),
        "warning_words": travel.warning_words(study),
    }


def _charts(study: Study, drawn: dict[str, Chart]) -> dict[str, Any]:
    seeds = tables.seeds_of(study.rows)
    over = f"mean over {count(seeds)} seeds, band from the lowest to the highest seed" if seeds > 1 else "one seed"
    return {
        name: _shown(drawn[name], name.replace("_", "-"), figure, text.format(over=over)) if name in drawn else None
        for name, (figure, text) in CAPTIONS.items()
    }


def _shown(chart: Chart, ident: str, strong: str, caption: str) -> ShownChart:
    panels = tuple(
        ShownPanel(panel.title, Markup(inline_svg(panel, f"{ident}-{i}"))) for i, panel in enumerate(chart.panels)
    )
    text = Markup("<strong>{}</strong> {}").format(strong, caption)
    return ShownChart(text, panels, chart.keys, int(chart.panels[0].width * 0.86))


def _pictures(study: Study, pictures: Pictures) -> dict[str, Any]:
    told = {row.label: scores_in_words(row) for row in study.rows}
    what = "Patches in their grid" if study.patches else "The area"
    fold = f" Fold {pictures.fold}." if pictures.fold else ""
    seed = f" Seed {pictures.seed}, threshold 0.5." if pictures.seed is not None else ""
    faded = " Faded: not judged, for want of one of the row’s layers." if pictures.faded else ""
    north = "" if study.patches else " North is up."
    rule = (
        "at even steps of landslide share from the highest to the lowest"
        if study.patches
        else "of the highest, the upper-quartile and the median landslide share"
    )
    return {
        "split_pictures": [embed(p) for p in pictures.split],
        "split_caption": f"{what}, tinted by part; what is left out between parts keeps no tint.{north}",
        "split_width": _column_width(pictures.split, widest=976, tall=640),
        "map_pictures": [embed(p, told=told.get(p.title, "")) for p in pictures.maps],
        "map_caption": f"What each row predicts on the test part, over the image in grey.{faded}{seed}{fold}{north}",
        "map_width": _column_width(pictures.maps, widest=460),
        "zooms": [_zoom(zoom) for zoom in pictures.zooms],
        "zoom_title": "A choice of test patches" if study.patches else "Up close",
        "zoom_words": f"Tiles chosen by the inventory alone, before any prediction is looked at: those {rule}.",
    }


def _zoom(zoom: Any) -> dict[str, Any]:  # noqa: ANN401 - a Zoom
    shown: list[Embedded] = [embed(p) for p in zoom.pictures]
    return {"title": zoom.title, "pictures": shown}


def _column_width(pictures: Sequence[Picture], widest: int, tall: int = 300) -> int:
    """Return the width of a column in CSS pixels: the wider a picture's shape, the fewer side by side."""
    if not pictures:
        return widest
    aspect = max(p.pixels.shape[1] / p.pixels.shape[0] for p in pictures)
    if len(pictures) > 1:
        widest, tall = min(widest, 460), min(tall, 300)
    return int(min(widest, max(150, tall * aspect)))


def _contents(context: dict[str, Any]) -> list[tuple[str, str]]:
    wanted = [
        ("results", "Scores", True),
        ("parts", "Where", context["split_pictures"] or context["split_table"]),
        ("training", "Training", context["training"]),
        ("maps", "Maps", context["map_pictures"] or context["zooms"]),
        ("thresholds", "Beyond one threshold", context["precision_recall"] or context["reliability"]),
        ("landslides", "Landslide by landslide", context["size_chart"] or context["area_chart"]),
        ("effects", "Effects", context["effects"]),
        ("transfer", "Transfer", context["transfer_tables"]),
        ("data", "Data", True),
        ("limits", "Limits", True),
        ("settings", "Settings and commands", True),
    ]
    return [(ident, capital(title)) for ident, title, there in wanted if there]
