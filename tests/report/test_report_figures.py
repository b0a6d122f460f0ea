"""Pictures show what is there; colours can be told apart; the same study gives the same bytes."""

from __future__ import annotations

import itertools
import re
import shutil
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import rcParams
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from helpers.made_up_study import Shape, make_tiles
from landslip.data.tileset import Part
from landslip.report import write_report
from landslip.report.charts import precision_recall, reliability, size_classes
from landslip.report.dots import Entry, dots, nice_axis
from landslip.report.embed import scale_bar
from landslip.report.maps import choose_tiles, split_picture
from landslip.report.model import Estimate
from landslip.report.mosaic import (
    FADED,
    FALSE_ALARM,
    HIT,
    MISS,
    NONE,
    OUTSIDE,
    UNSEEN,
    Places,
    classes,
    paint_classes,
    rgb,
    shrink,
)
from landslip.report.pixels import _overviews, _zooms
from landslip.report.read import read_study
from landslip.report.style import MAP_COLORS, PALETTE, PART_COLORS, _draw_legend, drawing, inline_svg, legend_columns

# Machado, Oliveira & Fernandes (2009), severity 1, doi:10.1109/TVCG.2009.113
BLINDNESS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    "none": np.eye(3).tolist(),
}


def lab(linear: np.ndarray) -> np.ndarray:
    xyz = linear @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    f = np.cbrt(np.maximum(xyz / [0.9505, 1, 1.089], 0.0))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def linear(color: str) -> np.ndarray:
    value = rgb(color) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("vision", BLINDNESS)
@pytest.mark.parametrize("colors", [MAP_COLORS, PART_COLORS], ids=["maps", "parts"])
def test_colours_are_told_apart_with_any_colour_vision(vision: str, colors: dict[str, str]) -> None:
    seen = [lab(np.clip(np.array(BLINDNESS[vision]) @ linear(c), 0, 1)) for c in colors.values()]
    for a, b in itertools.combinations(seen, 2):
        assert np.linalg.norm(a - b) > 25  # a just noticeable difference is about 2.3


def test_map_colours_differ_in_lightness_for_grey_prints() -> None:
    lightness = sorted(lab(linear(c))[0] for c in MAP_COLORS.values())
    assert np.diff(lightness).min() > 10


def css_variables(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", block))


def test_charts_use_the_colours_of_the_page() -> None:
    css = resources.files("landslip.report").joinpath("templates", "report.css").read_text(encoding="utf-8")
    light, dark = css.split("@media screen", 1)
    assert {name: css_variables(light)[name] for name in PALETTE} == PALETTE
    assert {name for name in css_variables(dark) if name in PALETTE} == set(PALETTE)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_lines_of_charts_stand_out_from_the_ground(theme: int) -> None:
    css = resources.files("landslip.report").joinpath("templates", "report.css").read_text(encoding="utf-8")
    colors = css_variables(css.split("@media screen", 1)[theme].split("}", 1)[0])

    def light(color: str) -> float:
        return float(linear(color) @ [0.2126, 0.7152, 0.0722])

    for name in (n for n in colors if n.startswith("row-")):
        low, high = sorted([light(colors[name]), light(colors["ground"])])
        assert (high + 0.05) / (low + 0.05) >= 3, name  # WCAG 2.2, 1.4.11


def test_a_row_without_any_figure_leaves_its_chart_in_order(study_folder: Path) -> None:
    study = read_study(study_folder)
    emptied = [replace(one, scores={**one.scores, "unet": {}}) for one in study.size_classes]
    chart = size_classes(replace(study, size_classes=tuple(emptied)))
    assert chart is not None
    for panel in chart.panels:
        assert "U-Net" in inline_svg(panel, "x")
    flat = replace(study.reliability[0], x=np.zeros(0), y=np.zeros(0), size=np.zeros(0))
    shown = reliability(replace(study, reliability=(flat, *study.reliability[1:])))
    assert shown is not None
    assert len(shown.panels) == len(study.reliability) - 1


def test_how_many_pixels_lie_there_is_told_however_alike_the_numbers_are(study_folder: Path) -> None:
    study = read_study(study_folder)
    one = study.reliability[0]
    for counts, ends in (([300, 320], [100, 1000]), ([1000, 1000], [100, 1000]), ([1, 20_000], [0.1, 100_000])):
        curve = replace(one, x=np.array([0.2, 0.8]), y=np.array([0.2, 0.8]), size=np.array(counts))
        chart = reliability(replace(study, reliability=(curve,)))
        assert chart is not None
        figure = Figure()
        chart.panels[0].draw(figure)
        axis = figure.axes[1]
        assert axis.get_yticks().tolist() == pytest.approx(ends)
        assert list(axis.get_ylim()) == pytest.approx(ends)


def test_same_study_same_bytes(study_folder: Path, report: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(study_folder, again, ignore=shutil.ignore_patterns("figures", "report.html"))
    before = dict(rcParams)
    assert write_report(again).read_bytes() == report.read_bytes()
    assert dict(rcParams) == before  # no global plotting state is left behind
    made = sorted(path.name for path in (again / "figures").iterdir())
    assert made == sorted(path.name for path in (study_folder / "figures").iterdir())
    assert made == [
        "area-frequency.png", "f1.png", "figure-1-split.png", "figure-2-training.png", "figure-3-maps.png",
        "figure-3-zooms.png", "precision-recall.png", "reliability.png", "size-classes.png",
    ]  # fmt: skip
    for name in made:
        assert (again / "figures" / name).read_bytes() == (study_folder / "figures" / name).read_bytes()


def test_figures_are_fit_for_print(report: Path) -> None:
    for path in (report.parent / "figures").iterdir():
        with Image.open(path) as image:
            assert image.info["dpi"][0] == pytest.approx(300, abs=1)
            assert image.width >= 1300  # 4.6 inches or more
            assert set(image.info) <= {"dpi", "Software"}
            assert np.asarray(image.convert("L")).std() > 5  # something is drawn


def test_classes_tell_hits_misses_and_false_alarms_apart() -> None:
    tiles = make_tiles(Shape(size=8, grid=(1, 4)), np.random.default_rng(0)).subset(np.array([0]))
    tiles.label[0, :2, :2] = [[1, 1], [0, 0]]
    tiles.label[0, 2, :2] = 255
    probability = np.zeros((1, 8, 8), np.float32)
    probability[0, :3, 0] = 0.5  # exactly the threshold counts as predicted
    probability[0, 3, 0] = np.nan
    found = classes(probability, tiles, 0.5)[0]
    assert found[:4, :2].tolist() == [[HIT, MISS], [FALSE_ALARM, NONE], [OUTSIDE, OUTSIDE], [UNSEEN, found[3, 1]]]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_mosaic_puts_every_pixel_where_it_was(seed: int, patches: bool) -> None:
    rng = np.random.default_rng(seed)
    tiles = make_tiles(Shape("patches" if patches else "scene", size=4, grid=(3, 4)), rng)
    places = Places.of(tiles, patches=patches)
    values = np.arange(tiles.label.size, dtype=np.float64).reshape(tiles.label.shape) + 1
    whole = places.mosaic(values, 0, np.ones(tiles.label.shape, np.bool_))
    assert np.isin(values, whole).all()
    assert np.count_nonzero(whole) == tiles.label.size
    i = int(rng.integers(len(tiles)))
    step = 4 if patches else 1
    row, col = (tiles.row[i] - tiles.row.min()) * step, (tiles.col[i] - tiles.col.min()) * step
    np.testing.assert_array_equal(whole[row : row + 4, col : col + 4], values[i])


def test_painting_shows_each_class_in_its_colour() -> None:
    found = np.array([HIT, MISS, FALSE_ALARM, NONE, UNSEEN, OUTSIDE], np.uint8)
    color = np.full((6, 3), 100, np.uint8)
    painted = paint_classes(color, found, np.ones(6, np.bool_))
    for i, name in enumerate(("hit", "miss", "false_alarm")):
        np.testing.assert_array_equal(painted[i, :3], rgb(MAP_COLORS[name]))
    assert (np.ptp(painted[3:, :3], axis=1) == 0).all()  # the rest is grey
    assert painted[:, 3].tolist() == [255, 255, 255, 255, FADED, 255]
    assert (paint_classes(color, found, np.zeros(6, np.bool_))[:, 3] == 0).all()


@settings(deadline=None)
@given(st.integers(1, 7), st.integers(1, 20), st.integers(1, 20), st.integers(0, 255))
def test_shrinking_keeps_a_constant_and_the_share_that_is_shown(factor: int, rows: int, cols: int, value: int) -> None:
    pixels = np.full((rows, cols, 4), value, np.uint8)
    pixels[..., 3] = 255
    small = shrink(pixels, factor)
    assert small.shape[:2] == (-(-rows // factor), -(-cols // factor))
    assert (small[..., :3] == value).all()
    shown = small[..., 3].astype(float).sum() / 255 * factor**2
    assert shown == pytest.approx(rows * cols, rel=0.03, abs=factor**2)


def test_large_patch_grids_are_made_small_patch_by_patch() -> None:
    tiles = make_tiles(Shape("patches", size=16, grid=(8, 12)), np.random.default_rng(2))
    spread = replace(tiles, row=tiles.row * 40, col=tiles.col * 40)
    picture = split_picture(spread, patches=True, pixel_m=10.0)
    assert max(picture.pixels.shape[:2]) <= 1400 + 16
    assert picture.pixel_m == 80.0  # a factor of 8 divides the patch
    shown = picture.pixels[..., 3] > 0
    assert shown.sum() == pytest.approx(len(tiles) * 4, rel=0.05)


def test_parts_are_tinted_by_the_split_and_else_by_the_tiles() -> None:
    tiles = make_tiles(Shape(size=16), np.random.default_rng(1))
    by_tile = split_picture(tiles, patches=False, pixel_m=10.0)
    part = np.zeros((8 * 16, 12 * 16), np.uint8)
    for i in range(len(tiles)):
        part[tiles.row[i] : tiles.row[i] + 16, tiles.col[i] : tiles.col[i] + 16] = tiles.part[i]
    by_split = split_picture(tiles, patches=False, pixel_m=10.0, part=part)
    shown = by_tile.pixels[..., 3] == 255
    inner = shown & (by_split.pixels[..., 3] == 255)
    same = (by_tile.pixels == by_split.pixels).all(axis=-1)[inner]
    assert same.mean() > 0.97  # the corner without data moves a border
    test_colour = rgb(PART_COLORS["test"])
    edge = by_split.pixels[0, int(tiles.col[tiles.part == Part.TEST].min())]
    np.testing.assert_array_equal(edge[:3], test_colour.astype(np.uint8))


def test_zooms_are_chosen_by_labels_alone_from_high_to_low() -> None:
    tiles = make_tiles(Shape(size=16), np.random.default_rng(3)).of(Part.TEST)
    chosen = choose_tiles(tiles, 6)
    share = (tiles.label == 1).mean(axis=(1, 2))
    assert share[chosen[0]] == share.max()
    assert list(share[chosen]) == sorted(share[chosen], reverse=True)
    assert share[chosen[-1]] == share[share > 0].min()
    assert (share[choose_tiles(tiles, 3)] >= np.median(share[share > 0]) * 0.99).all()
    blank = make_tiles(Shape(size=16), np.random.default_rng(3)).of(Part.TEST)
    blank.label[:] = 0
    assert choose_tiles(blank, 3).size == 0


def test_pictures_name_their_place_where_there_are_several(study_folder: Path) -> None:
    study = replace(read_study(study_folder), info={"data": {"regions": {"1": "Taiwan"}}})
    test = make_tiles(Shape(size=16), np.random.default_rng(3)).of(Part.TEST)
    found = [(study.rows[0], np.zeros(test.label.shape, np.uint8))]
    assert next(picture.title for picture in _overviews(study, test, found)) == "Image"
    assert not any(" of " in zoom.title for zoom in _zooms(study, test, found))
    region = np.ones(len(test), np.int32)
    region[: len(test) // 3] = 2
    several = replace(test, region=region)
    assert next(picture.title for picture in _overviews(study, several, found)) == "Image, Taiwan"
    titles = [zoom.title for zoom in _zooms(study, several, found)]
    assert all(" of Taiwan: " in title or " of scene 2: " in title for title in titles)


@settings(deadline=None)
@given(st.floats(1, 1e6))
def test_scale_bar_is_round_and_fits(width: float) -> None:
    bar = scale_bar(width)
    assert 28 / 2.5 - 0.01 <= bar.percent <= 28.01
    assert re.fullmatch(r"[125]0*(\.0+[125])? k?m|0\.0*[125] k?m|[125]e-?\d+ k?m", bar.label)


@settings(deadline=None)
@given(st.floats(-0.5, 1), st.floats(0, 0.5))
def test_axis_holds_its_values_with_few_round_ticks(low: float, width: float) -> None:
    start, stop, step = nice_axis(low, low + width)
    assert start <= low
    assert stop >= low + width
    assert 1 <= round((stop - start) / step) <= 8


def test_dots_show_figures_intervals_and_signs() -> None:
    shown = dots([Entry("a", Estimate(0.6, 0.5, 0.7), "row-0", 0.58)], caption="", axis="F1")
    assert shown.entries[0].text == "0.600 (0.500–0.700)"
    assert shown.zero is None
    effect = dots([Entry("b", Estimate(-0.02, -0.05, 0.01), "row-0")], caption="", axis="", differences=True)
    assert effect.entries[0].text == "−0.020 (−0.050 to +0.010)"
    assert effect.zero is not None
    entry = effect.entries[0]
    assert entry.low is not None
    assert entry.span is not None
    assert entry.low < entry.at < effect.zero < entry.low + entry.span


def test_legends_stay_within_their_figure(study_folder: Path) -> None:
    from landslip.report.read import read_study

    chart = precision_recall(read_study(study_folder))
    assert chart is not None
    for width_in in (3.0, 5.3, 7.2):
        across = legend_columns(chart.keys, width_in)
        with drawing(screen=False):
            figure = Figure(figsize=(width_in, 2))
            _draw_legend(figure, chart.keys, across)
            FigureCanvasAgg(figure).draw()
            box = figure.legends[0].get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= width_in * figure.dpi
    assert legend_columns(chart.keys, 3.0) < legend_columns(chart.keys, 7.2)
