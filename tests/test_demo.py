"""The demo: from nothing to a report, interrupted on the way; small, with the rows that train quickest."""

import csv
import json
import sys
from pathlib import Path

import pytest
import torch

from landslip.demo import ROWS, DemoConfig, run_demo, study_config
from landslip.errors import ConfigError, OutputError
from landslip.progress import SILENT

SMALL = DemoConfig(size_px=512, epochs=1, rows=("unet", "forest"))


class StoppedError(Exception):
    pass


class StopsAtTraining:
    """A listener that ends everything when the first training begins."""

    def task(self, label, total=None):
        if label.startswith("training"):
            raise StoppedError
        return SILENT.task(label, total)


def stamps(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The folder, the result, and when the files were written that an interruption left."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("demo") / "out"
    with pytest.raises(StoppedError):
        run_demo(folder, SMALL, progress=StopsAtTraining())
    before = stamps(folder)
    assert not (folder / "study" / "study.json").exists()
    result = run_demo(folder, SMALL)
    yield folder, result, before
    torch.set_num_threads(threads)


def test_report_and_tables_show_every_row(demo):
    folder, result, _ = demo
    assert result.report == folder / "study" / "report.html"
    page = result.report.read_text()
    with (folder / "study" / "table.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert tuple(row["row"] for row in rows) == SMALL.rows
    for row in result.content["rows"]:
        assert row["label"] in page
        assert row["label"] in (folder / "study" / "table.md").read_text()
        assert row["scores"]["test"]["f1"]["value"] is not None
    assert result.content["simulated"]
    assert not result.content["claims"]
    assert "one seed" in page


def test_what_an_interruption_left_is_not_made_again(demo):
    folder, _, before = demo
    after = stamps(folder)
    kept = [name for name in before if name.startswith(("raw/", "scene/")) or name.endswith("tiles.npz")]
    assert {"raw/event.json", "scene/scene.json", "study/tiles.npz"} <= set(kept)
    assert all(after[name] == before[name] for name in kept)


def test_a_finished_demo_is_only_read(demo):
    folder, result, _ = demo
    before, table = stamps(folder), (folder / "study" / "table.csv").read_bytes()
    again = run_demo(folder, SMALL)
    assert again.table == result.table
    assert (folder / "study" / "table.csv").read_bytes() == table
    after = stamps(folder)
    made = [name for name in before if name.startswith(("raw/", "scene/", "study/runs/")) or name.endswith(".npz")]
    assert any(name.endswith("model.safetensors") for name in made)
    assert all(after[name] == before[name] for name in made)


def test_other_settings_than_begun_with_are_refused_before_anything_is_made(tmp_path):
    SMALL.to_toml(tmp_path / "demo.toml")
    with pytest.raises(OutputError) as caught:
        run_demo(tmp_path, SMALL.model_copy(update={"seed": 3}))
    message = f"{tmp_path}: was begun with seed = 0, now 3; go back to it, or choose another --out"
    assert str(caught.value) == message
    assert not (tmp_path / "raw").exists()


def test_unknown_row_is_named():
    with pytest.raises(ConfigError, match="'rows': there is no row 'unt'; rows are: unet, resunet34"):
        DemoConfig.from_dict({"rows": ["unt"]})


def test_the_study_is_the_papers_with_one_seed_and_no_pretrained_weights():
    from landslip.study.design import plan_rows
    from landslip.training import TrainConfig

    config = study_config(Path("scene"), DemoConfig(seed=4, epochs=7))
    bands = ("blue", "green", "red", "nir", "elevation", "slope", *(f"pre_{n}" for n in ("blue", "green", "red")))
    assert tuple(row.name for row in plan_rows(config, bands)) == ROWS
    assert config.seeds == (4,)
    assert config.split.seed == 4
    train = TrainConfig.from_dict(config.train)
    assert (train.epochs, train.weights, train.freeze_encoder) == (7, "none", False)


def test_options_reach_the_settings(tmp_path, monkeypatch, capsys):
    import landslip.demo
    from landslip.cli.app import main

    asked = []

    def record(out, config, *, progress):
        asked.append((out, config))
        message = "enough; stop here"
        raise OutputError(message)

    monkeypatch.setattr(landslip.demo, "run_demo", record)
    words = ["demo", "--out", str(tmp_path / "d"), "--seed", "5", "--size", "640", "--epochs", "2"]
    monkeypatch.setattr(sys, "argv", ["landslip", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: enough; stop here\n"
    assert asked == [(tmp_path / "d", DemoConfig(size_px=640, epochs=2, seed=5))]


def test_settings_are_kept_beside_the_output(tmp_path):
    SMALL.to_toml(tmp_path / "demo.toml")
    assert DemoConfig.from_toml(tmp_path / "demo.toml") == SMALL
    assert json.loads(json.dumps(SMALL.to_dict()))["rows"] == ["unet", "forest"]
