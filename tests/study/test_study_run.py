"""A whole study on a small area with tiny networks: what is written, resuming, and the same tables twice."""

import csv
import errno
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import landslip.study.plan as module
from helpers.stopping import Killer, StoppedError
from helpers.study_area import make_area
from landslip.data.tileset import Part, TileSet
from landslip.errors import ConfigError, FormatError, OutputError, SplitError
from landslip.files import read_json
from landslip.study import DataConfig, RowConfig, run_study
from landslip.study.predictions import load_predictions
from landslip.study.probe import probe_study
from landslip.study.sources import Source

ONLY = ("unet", "data-centric", "unet-steps", "forest")


@pytest.fixture
def study_settings(settings, monkeypatch):
    monkeypatch.setattr(module, "open_source", lambda *_args, **_more: Source((make_area(),)))
    return settings.model_copy(update={"only": ONLY, "train": {**settings.train, "epochs": 1}})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One finished study for all tests that only read."""
    from helpers.study_area import OPTIONS, TINY
    from landslip.splits import SplitConfig
    from landslip.study import StudyConfig

    config = StudyConfig(
        data=DataConfig(scene="scene"),
        split=SplitConfig(tile=32, block_tiles=1, buffer_px=8),
        objects={"scale": 40.0},
        seeds=(0, 1),
        train=TINY,
        model_options=OPTIONS,
        draws=200,
        only=ONLY,
    )
    folder = tmp_path_factory.mktemp("study") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "open_source", lambda *_args, **_more: Source((make_area(),)))
        result = run_study(config, folder, report=False)
    return result


def test_planted_landslides_are_learned(finished):
    f1 = {row["row"]: row["test_f1"] for row in finished.table}
    assert f1["forest"] > 0.85
    assert f1["data-centric"] > 0.6


def test_control_takes_as_many_updates_as_the_data_centric_row(finished):
    updates = {row["row"]: row["updates"] for row in finished.table}
    assert updates["unet-steps"] == updates["data-centric"]
    assert updates["data-centric"] > 4 * updates["unet"]


def test_scores_follow_from_the_stored_predictions(finished):
    """Table, records and predictions tell the same story."""
    tiles = TileSet.load(finished.folder / "tiles.npz")
    for row in finished.content["rows"]:
        tp = fp = fn = 0
        for run in row["runs"]:
            index, probability = load_predictions(finished.folder / run["folder"] / "predictions.npz")
            chosen = tiles.select(row["layers"]).subset(index)
            assert (chosen.part == Part.TEST).all()
            counted = chosen.counted()
            assert np.isnan(probability[~chosen.valid()]).all()
            pred, truth = probability[counted] >= 0.5, chosen.label[counted] == 1
            tp, fp, fn = tp + (pred & truth).sum(), fp + (pred & ~truth).sum(), fn + (~pred & truth).sum()
            assert run["scores"]["test"]["tp"] == (pred & truth).sum()
        assert row["scores"]["test"]["f1"]["value"] == pytest.approx(2 * tp / (2 * tp + fp + fn))
        assert row["scores"]["test"]["f1"]["low"] <= row["scores"]["test"]["f1"]["value"]


def test_threshold_comes_from_validation(finished):
    from landslip.bundle import Bundle

    run = finished.content["rows"][0]["runs"][0]
    bundle = Bundle.load(finished.folder / run["folder"])
    assert bundle.threshold == pytest.approx(run["threshold"], abs=0.02)


def test_study_json_has_what_the_report_reads(finished):
    from landslip.report.read import read_study

    study = read_study(finished.folder)
    assert [row.name for row in study.rows] == list(ONLY)
    assert len(study.comparisons) == 6
    assert study.compare("data-centric", "unet").difference.has_interval
    content = read_json(finished.folder / "study.json")
    parts = content["split"]["parts"]
    assert sum(part["landslides"] for part in parts if part["part"] == "test") == round(
        content["landslides"]["unet"]["overall"]["mapped"]
    )
    assert content["simulated"] is True


def test_tables_are_the_same_figures(finished):
    with (finished.folder / "table.csv").open(newline="") as handle:
        rows = {row["row"]: row for row in csv.DictReader(handle)}
    markdown = (finished.folder / "table.md").read_text()
    for row in finished.content["rows"]:
        value = row["scores"]["test"]["precision"]["value"]
        assert float(rows[row["name"]]["test_precision"]) == pytest.approx(value, rel=1e-5)
        for part in ("train", "validation", "test"):
            for name in ("loss", "precision", "recall", "f1", "iou", "mcc"):
                told, known = rows[row["name"]][f"{part}_{name}"], row["scores"][part][name]["value"]
                assert (float(told) if told else None) == pytest.approx(known, rel=1e-5)
        assert f"{value:.3f}" in next(line for line in markdown.splitlines() if row["label"] in line)
    assert "0.76 / 0.48 / 0.588" in markdown
    assert "U-Net" in finished.table_text()


def test_interrupted_study_goes_on_to_the_same_outputs(study_settings, tmp_path):
    settings = study_settings.model_copy(update={"only": ("unet", "forest")})
    whole = run_study(settings, tmp_path / "whole", report=False)
    with pytest.raises(StoppedError):
        run_study(settings, tmp_path / "cut", report=False, progress=Killer(1))
    assert not (tmp_path / "cut" / "study.json").exists()
    assert (tmp_path / "cut" / "runs/unet/seed0/scores.json").exists()
    before = (tmp_path / "cut" / "runs/unet/seed0/model.safetensors").stat().st_mtime_ns
    resumed = run_study(None, tmp_path / "cut", resume=True, report=False)
    assert (tmp_path / "cut" / "runs/unet/seed0/model.safetensors").stat().st_mtime_ns == before
    names = [
        "table.csv",
        "table.md",
        "tiles.npz",
        *(f"runs/{r}/seed{s}/predictions.npz" for r in ("unet", "forest") for s in (0, 1)),
    ]
    for name in names:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert resumed.content["comparisons"] == whole.content["comparisons"]
    # tiles written by one study feed another, where no scene can be read
    again = run_study(
        settings.model_copy(update={"data": DataConfig(tiles=tmp_path / "whole" / "tiles.npz"), "seeds": (0,)}),
        tmp_path / "tiles",
        report=False,
    )
    assert again.table[0]["test_f1"] == pytest.approx(whole.content["rows"][0]["runs"][0]["scores"]["test"]["f1"])


def test_study_folder_is_not_overwritten_and_settings_stay(finished, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder)
    from landslip.study import StudyConfig

    config = StudyConfig.from_toml(folder / "config.toml")
    with pytest.raises(OutputError, match="holds a study already; go on with it by --resume"):
        run_study(config, folder, report=False)
    with pytest.raises(ConfigError, match="seeds 0, 1 of the study are not in the settings; put them back"):
        run_study(config.model_copy(update={"seeds": (5,)}), folder, resume=True, report=False)
    with pytest.raises(ConfigError, match="no study to resume there"):
        run_study(None, tmp_path / "empty", resume=True, report=False)
    # a run of an older version, or of other settings, is neither used nor overwritten
    scores = folder / "runs/unet/seed0/scores.json"
    content = json.loads(scores.read_text())
    scores.write_text(json.dumps(content | {"digest": "0"}))
    with pytest.raises(FormatError, match=r"made with other settings, other data or another version; move it away"):
        run_study(None, folder, resume=True, report=False)
    scores.write_text(json.dumps(content | {"format": 99}))
    with pytest.raises(FormatError, match="written in format 99"):
        run_study(None, folder, resume=True, report=False)
    assert json.loads(scores.read_text())["format"] == 99
    scores.write_text(json.dumps(content))
    (folder / "runs/unet/seed0/predictions.npz").write_bytes(b"PK\x03\x04cut")
    with pytest.raises(FormatError, match=r"predictions absent or damaged; remove .*scores.json and run again"):
        run_study(None, folder, resume=True, report=False)
    with (folder / "tiles.npz").open("ab") as handle:
        handle.write(b"more")
    with pytest.raises(ConfigError, match=r"tiles.npz: changed since the study was begun"):
        run_study(None, folder, resume=True, report=False)


def test_row_without_landslides_where_its_layers_are_valid_is_refused(settings, monkeypatch, tmp_path):
    area = make_area(pre=True)
    for name in ("pre_blue", "pre_green", "pre_red"):
        area.bands[name][:, 300:] = np.nan
    monkeypatch.setattr(module, "open_source", lambda *_args, **_more: Source((area,)))
    settings = settings.model_copy(update={"only": ("data-centric-pre", "data-centric"), "seeds": (0,)})
    with pytest.raises(
        SplitError, match="row 'data-centric-pre', main: no landslide in the test tiles where its layers"
    ):
        run_study(settings, tmp_path / "out", report=False)


def test_folds_are_pooled(study_settings, tmp_path):
    split = study_settings.split.model_copy(update={"folds": 2})
    settings = study_settings.model_copy(update={"split": split, "only": ("forest",), "seeds": (0,)})
    result = run_study(settings, tmp_path / "out", report=False)
    row = result.content["rows"][0]
    assert [run["fold"] for run in row["runs"]] == ["fold0", "fold1"]
    counted = sum(run["scores"]["test"][k] for run in row["runs"] for k in ("tp", "fp", "fn", "tn"))
    assert counted == 256 * 512  # every pixel is tested once
    assert (tmp_path / "out" / "tiles-fold1.npz").exists()
    assert result.content["claims"] is False


def test_folds_that_cannot_be_are_said_before_any_layer_is_built(study_settings, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "prepare", lambda *_: pytest.fail("layers were built"))
    area = make_area()
    area.label[:, :200] = 0
    monkeypatch.setattr(module, "open_source", lambda *_args, **_more: Source((area,)))
    split = study_settings.split.model_copy(update={"folds": 4})
    with pytest.raises(
        SplitError, match=r"fold0 \(stripe 1 of 4\), the scene: not a single landslide in the test part"
    ):
        run_study(study_settings.model_copy(update={"split": split}), tmp_path / "out", report=False)
    split = study_settings.split.model_copy(update={"folds": 100})
    with pytest.raises(SplitError, match=r"folds = 100: over 512 pixels .* choose at most 32"):
        run_study(study_settings.model_copy(update={"split": split}), tmp_path / "out", report=False)
    assert not list((tmp_path / "out").glob("*.npz"))


def test_unknown_training_settings_are_named(study_settings, tmp_path):
    wrong = study_settings.model_copy(update={"train": {"epoch": 3}})
    with pytest.raises(ConfigError, match=r"^\[train\]: unknown key 'epoch'; did you mean 'epochs'"):
        run_study(wrong, tmp_path / "out", report=False)


def test_dry_run_counts_what_would_be_done(study_settings, finished, tmp_path):
    settings = study_settings.model_copy(
        update={"rows": (RowConfig(name="long", train={"epochs": 50}),), "only": (*ONLY, "long")}
    )
    estimate = probe_study(settings, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    rows = {row.name: row for row in estimate.rows}
    real = {row["row"]: row for row in finished.table}
    assert rows["unet"].parameters == real["unet"]["parameters"]
    assert rows["long"].updates == 50 * rows["unet"].updates
    assert rows["unet-steps"].updates == rows["data-centric"].updates
    assert rows["unet"].runs == 2
    assert rows["long"].seconds > 5 * rows["unet"].seconds
    assert rows["forest"].seconds is None
    assert "about" in estimate.text()
    assert estimate.memory_mib > estimate.tiles_mib > 0


def test_full_disk_is_one_line_and_nothing_that_was_computed_is_lost(study_settings, tmp_path, monkeypatch):
    settings = study_settings.model_copy(update={"only": ("forest",)})
    write, written, folder = np.lib.format.write_array, [], tmp_path / "out"

    def until_full(handle, array, **options):
        if array.dtype == np.float16:  # predictions of the second run
            written.append(array)
            if len(written) > 1:
                raise OSError(errno.ENOSPC, "No space left on device")
        write(handle, array, **options)

    with monkeypatch.context() as patch:
        patch.setattr(np.lib.format, "write_array", until_full)
        with pytest.raises(OutputError, match=r"cannot write .*predictions.npz: the disk is full; free some space"):
            run_study(settings, folder, report=False)
    assert (folder / "runs/forest/seed0/scores.json").is_file()
    assert not (folder / "runs/forest/seed1/scores.json").exists()
    assert not list(folder.rglob(".writing-*"))
    before = (folder / "runs/forest/seed0/predictions.npz").stat().st_mtime_ns
    resumed = run_study(None, folder, resume=True, report=False)
    assert (folder / "runs/forest/seed0/predictions.npz").stat().st_mtime_ns == before
    assert resumed.content["seeds"] == [0, 1]


def test_poisoned_test_pixels_change_nothing_of_a_whole_study_but_its_test_scores(settings, monkeypatch, tmp_path):
    """From the scale of the objects through levers and weights to the threshold, byte for byte."""
    levers = {"clean": "drop", "copy_paste": 0.2, "hard_negatives": 0.2, "balanced": True}
    row = RowConfig.from_dict({"name": "all", "layers": ["red", "slope", "red_obj"], "levers": levers})
    config = settings.model_copy(
        update={
            "design": "rows",
            "rows": (row,),
            "seeds": (0,),
            "train": {**settings.train, "epochs": 1},
            "objects": settings.objects.model_copy(update={"scale": "auto", "scales": (20.0, 60.0)}),
        }
    )
    area, rng = make_area(), np.random.default_rng(4)
    test = np.zeros(area.label.shape, np.bool_)
    test[:, -128:] = True  # the eastern quarter
    poisoned = replace(
        area,
        bands={n: np.where(test, rng.normal(3, 2, test.shape), b).astype(np.float32) for n, b in area.bands.items()},
        label=np.where(test, 1 - area.label, area.label).astype(np.uint8),
    )
    for name, one in (("clean", area), ("poisoned", poisoned)):
        monkeypatch.setattr(module, "open_source", lambda *_args, one=one, **_more: Source((one,)))
        run_study(config, tmp_path / name, report=False)
    one, other = (tmp_path / name for name in ("clean", "poisoned"))
    run = "runs/all/seed0"
    for name in (f"{run}/model.safetensors", f"{run}/metrics.csv", f"{run}/config.toml", "split.npz"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert read_json(one / "study.json")["recipes"] == read_json(other / "study.json")["recipes"]
    for row_name in ("all", "forest"):
        was, now = (read_json(folder / f"runs/{row_name}/seed0/scores.json") for folder in (one, other))
        assert was["threshold"] == now["threshold"]
        for part in ("train", "validation"):
            assert was["scores"][part] == now["scores"][part]
        assert was["scores"]["test"] != now["scores"]["test"]


def test_fold_without_a_landslide_is_named(study_settings, monkeypatch, tmp_path):
    area = make_area()
    nowhere = replace(area, label=area.label.copy(), landslide=area.landslide.copy())
    nowhere.label[:, :256] = nowhere.landslide[:, :256] = 0
    monkeypatch.setattr(module, "open_source", lambda *_args, **_more: Source((nowhere,)))
    split = study_settings.split.model_copy(update={"folds": 4})
    settings = study_settings.model_copy(update={"split": split, "only": ("forest",)})
    message = r"fold0 \(stripe 1 of 4\), the scene: not a single landslide in the test part; choose fewer folds"
    with pytest.raises(SplitError, match=message):
        run_study(settings, tmp_path / "out", report=False)


def test_the_answer_is_that_of_the_report(finished):
    told = finished.answer()
    assert len(told) == 2  # no attention network among the rows, so nothing about the paper's claim
    assert told[0].startswith("Of the three rows compared with the U-Net (F1 ")
