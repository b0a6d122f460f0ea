"""What a study folder lacks is left out; what is wrong with it is said in one line."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.made_up_study import Shape, make_study
from landslip.errors import FormatError, InputError, MissingInputError
from landslip.report import write_report
from landslip.report.appendix import rows_table, size_table
from landslip.report.charts import precision_recall
from landslip.report.page import render
from landslip.report.pixels import Pictures
from landslip.report.read import CURVES, read_study
from landslip.report.tables import areas_table, main_table
from landslip.report.words import percent
from landslip.training.record import COLUMNS

TINY = Shape(seeds=2, size=16, epochs=2)
OPTIONAL = {
    "precision_recall": None, "calibration": None, "landslides": None, "area_frequency": None, "comparisons": None,
    "guard": None, "split": None, "recipe": None, "commands": None, "limits": None, "folds": None, "draws": None,
}  # fmt: skip


def content(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "study.json").read_text())


def rewrite(folder: Path, **changes: Any) -> None:
    (folder / "study.json").write_text(json.dumps(content(folder) | changes))


def page(folder: Path) -> str:
    """Return the page without its pictures and charts, which other tests look at."""
    return render(read_study(folder), Pictures(), {})


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return make_study(tmp_path / "study", TINY)


def test_missing_optional_parts_drop_their_section(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "bare", TINY, **OPTIONAL)
    (folder / "config.toml").unlink()
    text = write_report(folder).read_text()
    headings = re.findall(r'<h2 id="(\w+)"', text)
    assert headings == ["answer", "results", "training", "data", "limits", "settings"]
    assert "<figure" in text
    assert "None" not in re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL)
    assert not re.search(r"<(tbody|ul|dl|figure)[^>]*>\s*</\1>", text)  # never an empty box
    assert sorted(path.name for path in (folder / "figures").iterdir()) == ["f1.png", "figure-2-training.png"]


def test_a_study_without_curves_has_no_training_section(tiny: Path) -> None:
    assert len(read_study(tiny).histories) == 5
    for path in tiny.glob("runs/*/*/metrics.csv"):
        path.unlink()
    assert read_study(tiny).histories == ()


def test_effects_and_transfer_have_their_sections(tiny: Path) -> None:
    effect = {"value": 0.02, "low": 0.01, "high": 0.03}
    f1 = [[effect, None], [{"value": 0.4, "low": None, "high": None}, effect]]
    rewrite(
        tiny,
        effects=[{"factor": "layers", "label": "object means", "effect": effect, "p": 0.01, "p_holm": 0.02}],
        transfer=[{"row": "unet", "title": "", "places": ["Taiwan", "Iburi"], "f1": f1}],
    )
    text = page(tiny)
    assert "+0.020 (+0.010 to +0.030)" in text
    assert "F1 of the U-Net trained on one place and tested on another." in text
    assert text.count("--shade:") == 3


def test_what_others_wrote_cannot_become_markup(tiny: Path) -> None:
    evil = "<script>alert(1)</script>"
    rows = content(tiny)["rows"]
    rows[0]["label"] = f"U-Net {evil}"
    rewrite(tiny, title=evil, rows=rows, limits=[evil], commands=[evil], guard=[{"verdict": "leaks", "text": evil}])
    (tiny / "config.toml").write_text(f'title = "{evil}"')
    text = page(tiny)
    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;alert(1)") > 10


def test_a_leak_found_by_the_guard_is_told_beside_the_answer(tiny: Path) -> None:
    rewrite(tiny, guard=[{"fold": "main", "verdict": "leaks", "text": "Test pixels touch training pixels."}])
    text = page(tiny)
    assert text.index("Test pixels touch training pixels.") < text.index('id="results"')


def test_paper_figures_stand_beside_ours(tiny: Path) -> None:
    text = page(tiny)
    table = text[text.index('<table id="table-1"') : text.index("</table>")]
    found = re.findall(r"</abbr> ([\d.]+)</span>", table)
    assert found == [
        "0.14", "0.26", "0.76", "0.48", "0.588", "0.13", "0.18", "0.67", "0.72", "0.694",
        "0.05", "0.08", "0.88", "0.62", "0.728", "0.13", "0.17", "0.71", "0.73", "0.720",
    ]  # fmt: skip


def test_table_1_ends_with_what_chance_gives_and_the_figure_shows_it(tiny: Path) -> None:
    study = read_study(tiny)
    share = study.prevalence
    assert share is not None
    table = main_table(study)
    everything, guess = ([cell.sort for cell in row] for row in table.rows[-2:])
    assert everything[3:6] == pytest.approx([share, 1, 2 * share / (1 + share)])
    assert guess[3:8] == pytest.approx([share, share, share, share / (2 - share), 0])
    assert "Lipton et al. 2014" in table.caption
    chart = precision_recall(study)
    assert chart is not None
    assert chart.keys[-1].label == f"chance: the prevalence, {percent(share, 2)}"


def test_without_landslides_in_the_test_part_nothing_is_said_of_chance(tiny: Path) -> None:
    rewrite(tiny, split={"design": "blocks"})
    study = read_study(tiny)
    assert study.prevalence is None
    assert len(main_table(study).rows) == len(study.rows)


def test_curves_of_seeds_lie_side_by_side(tiny: Path) -> None:
    study = read_study(tiny)
    history = study.histories[0]
    assert history.row == "unet"
    assert history.epochs.tolist() == [1, 2]
    assert history.values["validation_f1"].shape == (2, 2)
    assert len(study.histories) == 5  # the forest has none
    assert len(history.best_epoch) == 2


def test_curves_are_named_as_training_writes_them() -> None:
    assert set(CURVES) < set(COLUMNS)


def test_unfinished_study(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such study; check the path"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(
        MissingInputError, match=r"not a finished study \(no study.json in it\); make it again, with --resume"
    ):
        write_report(tmp_path)


def test_newer_or_damaged_study(tiny: Path) -> None:
    rewrite(tiny, format=99)
    with pytest.raises(FormatError, match="written in format 99, this version reads up to 1; upgrade landslip"):
        write_report(tiny)
    rewrite(tiny, format=1, rows=[{"name": "unet"}])
    with pytest.raises(FormatError, match=r"study.json: not as a study writes it \(KeyError\('label'\)\)"):
        write_report(tiny)
    rewrite(tiny, rows=[])
    with pytest.raises(InputError, match="the study has no rows to report"):
        write_report(tiny)


def test_damaged_run_files(tiny: Path) -> None:
    predictions = tiny / "runs/unet/seed0/predictions.npz"
    kept = predictions.read_bytes()
    predictions.write_bytes(b"not an archive")
    with pytest.raises(FormatError, match=r"predictions\.npz: not the predictions of a run, or damaged"):
        write_report(tiny)
    predictions.write_bytes(kept)
    rewrite(tiny, folds=[{"name": "main", "tiles": "tiles.npz", "split": "split.npz", "test": "the eastern third"}])
    (tiny / "split.npz").write_bytes(b"not an archive")
    with pytest.raises(FormatError, match=r"split\.npz: the split is damaged; remove the file"):
        write_report(tiny)
    (tiny / "split.npz").unlink()
    (tiny / "runs/unet/seed0/metrics.csv").write_text("epoch,train_loss\none,two\n")
    with pytest.raises(FormatError, match=r"metrics\.csv: not a table of training metrics"):
        write_report(tiny)


def test_missing_tiles(tiny: Path) -> None:
    (tiny / "tiles.npz").unlink()
    with pytest.raises(MissingInputError, match=r"tiles\.npz: no such file"):
        write_report(tiny)


def test_where_nothing_is_claimed_no_interval_is_shown(tiny: Path) -> None:
    kept = page(tiny)
    assert "Which differences the data support" in kept
    assert "95 % interval" in kept
    rewrite(tiny, blocks=12)
    text = page(tiny)
    assert "The test part has twelve spatial blocks, fewer than the 20" in text
    assert "Which differences the data support" not in text
    assert "95 % interval" not in text
    assert re.search(r"\(0\.\d+–[01]\.\d+\)", text) is None
    assert "Intervals and comparisons of rows are left out" in text


def test_data_are_told_area_by_area(tiny: Path) -> None:
    area = {
        "path": "atsuma",
        "sources": [{"file": "B02.tif", "sha256": "ab" * 32}, {"file": "dem.tif", "sha256": "cd" * 32}],
        "dates": {"post": ["2018-09-20"], "pre": []},
        "grid": {"shape": [970, 1533], "transform": [10, 0, 0, 0, -10, 0], "crs": "…", "epsg": 32654},
        "inventory": {
            "polygons": 752, "landslide_pixels": 50_877, "known_pixels": 652_272,
            "hygiene": {"read": 752, "repaired": 3, "empty": 0, "slivers": 0},
            "offset": {"east_m": -1.695, "north_m": 0.6, "correlation": 0.603, "reliable": True},
            "bare_before": {"index": "ngrdi", "below": 0.0, "flagged": 185, "not_seen": 313, "telling": True},
        },
    }  # fmt: skip
    data = {"layers": ["red"], "pixel_m": 10.0, "prevalence": 0.078, "sources": [area], "dates": [area["dates"]]}
    rewrite(tiny, data=data)
    text = re.sub(r"[ \n]+", " ", page(tiny))
    for name, value in {
        "Grid": "1533 × 970 pixels of 10 m, EPSG:32654",
        "Image after the event": "2018-09-20",
        "Image before the event": "date not known",
        "Inventory": "752 polygons, 50\u202f877 of 652\u202f272 known pixels",
        "Prevalence": "7.80 % of the labelled pixels are landslide",
        "Repaired": "3",
        "Looked for, none found": "empty, slivers",
        "Offset against the image": "1.7 m west and 0.6 m north of what the image shows, left as it is "
        "(correlation 0.60)",
        "On ground that was bare before the event": "185 landslides (ngrdi below 0 on half of each); 313 not seen "
        "before the event",
    }.items():
        assert f"<div><dt>{name}</dt><dd>{value}</dd></div>" in text
    assert "abababababababab…" in text
    assert text.count("B02.tif") == 1
    area["inventory"]["offset"]["reliable"] = area["inventory"]["bare_before"]["telling"] = False
    rewrite(tiny, data=data)
    text = re.sub(r"[ \n]+", " ", page(tiny))
    assert "<dd>cannot be told: the image does not show its outlines</dd>" in text
    assert "<dd>cannot be told: most of their surroundings were bare too, or not seen</dd>" in text
    rewrite(tiny, data=data | {"sources": [{"path": "p.npz", "patches": 9}], "dates": [None]})
    assert "<div><dt>Dates</dt><dd>not known</dd></div>" in re.sub(r"[ \n]+", " ", page(tiny))


def test_the_paper_and_charts_that_are_cut_short_are_named_where_there_are_any(tiny: Path) -> None:
    study = read_study(tiny)
    drawn = {"precision_recall": precision_recall(study)}
    short = render(study, Pictures(), drawn)  # type: ignore[arg-type]
    assert "Table 1. The rows beside the paper’s" in short
    assert "draw the first 8 rows" not in short
    own = replace(study, rows=tuple(replace(row, paper=None) for row in study.rows * 2))
    long = render(own, Pictures(), drawn)  # type: ignore[arg-type]
    assert "draw the first 8 rows" in long
    assert "Table 1. The rows</h3>" in long
    assert "stand here for orientation" not in long


def test_rows_tell_how_their_training_differs(tiny: Path) -> None:
    rows = content(tiny)["rows"]
    rows[4]["train"] = rows[0]["train"] | {"epochs": 9, "seed": 3}
    rows[4]["matched_to"] = "data-centric"
    rows[1]["variants"], rows[2]["variants"] = "d4", "none"
    rewrite(tiny, rows=rows)
    assert "epochs 9, as many updates as data-centric" in page(tiny)
    told = [row[4].text for row in rows_table(read_study(tiny)).rows]
    assert told[1:3] == ["test-time variants d4", "–"]


def test_scores_of_all_sizes_stand_before_those_of_each(tiny: Path) -> None:
    table = size_table(read_study(tiny))
    assert table is not None
    of_first = [row for row in table.rows if row[0].text == "U-Net"]
    assert of_first[0][1].text == "all"
    assert of_first[0][2].sort == sum(row[2].sort for row in of_first[1:])  # type: ignore[misc]
    overall = content(tiny)["landslides"]["unet"]["overall"]
    assert of_first[0][-1].sort == pytest.approx(overall["f1_half"])


def test_areas_are_told_in_figures(tiny: Path) -> None:
    table = areas_table(read_study(tiny))
    assert table is not None
    names = [row[0].text for row in table.rows]
    assert names[:3] == ["mapped landslides (inventory)", "true landslides", "U-Net"]  # the law is no measurement
    known = content(tiny)["area_frequency"]["true"]
    assert [table.rows[1][i].sort for i in (1, 3, 4, 5)] == [
        known[name] for name in ("landslides", "median_m2", "largest_m2", "total_m2")
    ]
