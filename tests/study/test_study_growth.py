"""Seeds and rows added to a study: what is trained already stays, and what cannot be added is told in one line."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from helpers.stopping import Killer, StoppedError
from helpers.study_area import OPTIONS, TINY
from landslip.data.tileset import TileSet
from landslip.errors import ConfigError, FormatError, LayerError, OutputError
from landslip.files import read_json
from landslip.report.limits import limits
from landslip.report.read import read_study
from landslip.study import RowConfig, StudyConfig, run_study
from landslip.study.growth import grow, keep_growth, settle
from landslip.study.plan import make_plan
from landslip.study.probe import probe_study

BANDS = ("blue", "green", "red")
HALF_KEPT = (
    r"plan.json has rows that config.toml does not plan \('balanced', 'mine'\): the study was stopped while it grew; "
    "give the CONFIG of that growth again, with --resume"
)
MINE = RowConfig(name="mine", label="Red alone", layers=("red",))


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    """Bright landslides on 2 x 24 patches of two regions."""
    rng = np.random.default_rng(3)
    mask = np.zeros((48, 32, 32), np.uint8)
    mask[:, 5:14, 8:24] = 1
    mask[::5] = 0
    image = 0.1 + 0.1 * mask[..., None] + rng.normal(0, 0.03, (*mask.shape, len(BANDS)))
    row, col = (np.tile(axis.ravel(), 2) for axis in np.mgrid[:4, :6])
    path = tmp_path_factory.mktemp("patches") / "p.npz"
    np.savez(path, image=image.astype(np.float32), mask=mask, bands=np.array(BANDS), row=row, col=col,
             region=np.repeat([1, 2], 24))  # fmt: skip
    return path


@pytest.fixture(scope="module")
def settings(patches):
    return StudyConfig.from_dict(
        {
            "data": {"patches": str(patches)},
            "design": "data",
            "only": ["plain"],
            "seeds": [0],
            "forest": False,
            "split": {"block_tiles": 1, "buffer_px": 0},
            "train": {**TINY, "epochs": 1},
            "model_options": {"unet": OPTIONS["unet"]},
            "draws": 100,
        }
    )


def with_(config, **changes):
    """The settings as a user's file would have them, changed."""
    return StudyConfig.from_dict(config.to_dict() | changes)


@pytest.fixture(scope="module")
def larger(settings):
    return with_(settings, title="Grown", seeds=[1, 0], only=["plain", "balanced", "mine"], rows=[MINE.to_dict()])


def begin(config, folder):
    """A study whose tiles are ready and of which nothing is trained."""
    config.to_toml(folder / "config.toml")
    return make_plan(config, folder)


def files(folder):
    """What lies in a folder, with its content."""
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def test_grown_study_is_the_study_made_at_once_and_trains_nothing_again(settings, larger, tmp_path, caplog):
    folder = tmp_path / "out"
    first = run_study(settings, folder)
    page, before = first.report.read_bytes(), files(folder)

    told = probe_study(larger, folder, resume=True)
    assert [(row.name, row.runs, row.finished) for row in told.rows] == [
        ("plain", 2, 1), ("balanced", 2, 0), ("mine", 2, 0),
    ]  # fmt: skip
    assert (told.runs, told.finished, told.rows[0].parameters) == (6, 1, first.table[0]["parameters"])
    assert "1 of 6 runs finished, 5 left: about" in told.text()
    assert told.rows[0].seconds < 0.75 * told.rows[1].seconds  # one of two is left
    assert files(folder) == before
    assert f"{folder}: adds rows balanced, mine; seed 1" in caplog.messages
    caplog.clear()

    with pytest.raises(StoppedError):
        run_study(larger, folder, resume=True, progress=Killer(2))
    assert (folder / "report.html").read_bytes() == page
    assert read_json(folder / "study.json") == first.content  # the old tables stand until the new ones are whole
    assert f"{folder}: adds rows balanced, mine; seed 1" in caplog.messages
    caplog.clear()
    grown = run_study(None, folder, resume=True)
    assert "adds rows" not in caplog.text
    looked = [{"rows": ["balanced", "mine"], "seeds": [1], "table_written": True}]
    assert grown.content["grown"] == read_json(folder / "plan.json")["grown"] == looked
    assert limits(read_study(folder))[1].endswith("know of: rows + balanced sampling and Red alone; seed 1.")
    after = files(folder)
    kept = [path for path in before if "runs/plain/seed0" in str(path) or path.suffix == ".npz"]
    assert len(kept) > 4
    assert all(after[path] == before[path] for path in kept)
    assert [row["name"] for row in grown.content["rows"]] == ["plain", "balanced", "mine"]
    assert (grown.content["title"], grown.content["seeds"]) == ("Grown", [0, 1])
    assert b"Red alone" in grown.report.read_bytes()
    assert [one["label"] for one in grown.content["effects"]] == ["+ balanced sampling against U-Net, d4"]

    whole = run_study(larger, tmp_path / "whole", report=False)
    for name in ("table.csv", "table.md", "tiles.npz", "config.toml"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert whole.content | {"commands": [], "grown": looked} == grown.content | {"commands": []}
    assert read_json(tmp_path / "whole" / "plan.json") | {"grown": looked} == read_json(folder / "plan.json")
    done = probe_study(None, folder)
    assert (done.seconds, done.finished) == (0, 6)
    assert "6 of 6 runs finished, none is left" in done.text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": {"epochs": 9}}, r"begun with other settings of train.epochs, .*; only seeds and rows can"),
        ({"draws": 300, "layers": ["red"]}, r"other settings of layers, draws; .*give no config to go on with its own"),
        ({"seeds": [1, 2]}, r"seeds 0 of the study are not in the settings; put them back, or choose another --out"),
        ({"only": ["balanced"]}, r"row 'plain' of the study is not in the settings; put it back, or choose another"),
        ({"rows": []}, r"there is no row 'mine'; rows are: plain"),
        ({"rows": [{"name": "mine", "layers": ["red"], "augment": "d4"}]},
         r"row 'mine' was begun with other settings of label, augment; put them back and give the changed row a name"),
        ({"only": ["plain", "mine", "index"]}, r"row 'index': the tiles of .* lack ngrdi, and a study that is begun"),
        ({"only": [], "forest": True}, r"row 'index': the tiles of .* lack ngrdi"),
        ({"only": ["plain", "mine", "forest"], "forest": True},
         r"row 'forest': the tiles of .* lack ngrdi, blue_obj, .*; take the row out, or choose another --out"),
        ({"rows": [MINE.to_dict(), {"name": "nir", "layers": ["nir"]}], "only": ["plain", "mine", "nir"]},
         r"row 'nir': the tiles of .* lack nir, and"),
        ({"rows": [MINE.to_dict(), {"name": "x", "layers": ["redd"]}], "only": ["plain", "mine", "x"]},
         r"unknown layer 'redd'; did you mean 'red'"),
        ({"rows": [MINE.to_dict(), {"name": "x", "train": {"epoch": 2}}]}, r"row 'x'.*: unknown key 'epoch'"),
    ],
)  # fmt: skip
def test_what_cannot_be_added_is_told_and_the_folder_stays(settings, tmp_path, changes, message):
    config = with_(settings, only=["plain", "mine"], rows=[MINE.to_dict()])
    begin(config, tmp_path / "out")
    before = files(tmp_path / "out")
    for what in (run_study, probe_study):
        with pytest.raises((ConfigError, LayerError), match=message):
            what(with_(config, **changes), tmp_path / "out", resume=True)
    assert files(tmp_path / "out") == before


def test_a_study_is_neither_grown_unasked_nor_before_its_tiles_are_there(settings, larger, tmp_path):
    begin(settings, tmp_path / "out")
    for what in (run_study, probe_study):
        with pytest.raises(OutputError, match="holds a study already; go on with it by --resume"):
            what(larger, tmp_path / "out")
    (tmp_path / "out" / "plan.json").unlink()
    with pytest.raises(
        ConfigError, match=r"settings of title, seeds, rows, only and stopped before .*; remove the fol"
    ):
        run_study(larger, tmp_path / "out", resume=True)
    with pytest.raises(ConfigError, match="no study to resume there; give a config file"):
        probe_study(None, tmp_path / "empty")


def test_runs_that_are_not_the_study_s_are_told_before_it_grows(settings, larger, tmp_path):
    begin(settings, tmp_path)
    run = tmp_path / "runs" / "mine" / "seed1"
    run.mkdir(parents=True)
    (run / "scores.json").write_text(json.dumps({"format": 1, "digest": "of another study"}))
    before = files(tmp_path)
    with pytest.raises(FormatError, match=r"mine/seed1: was made with other settings, .* move it away"):
        run_study(larger, tmp_path, resume=True)
    assert files(tmp_path) == before


def test_killed_between_plan_and_settings_the_same_command_goes_on(settings, larger, tmp_path, monkeypatch):
    begun = begin(settings, tmp_path)
    assert grow(begun, larger, tmp_path).grown == ()  # nothing could be looked at yet
    (tmp_path / "study.json").write_text("{}")
    plan = grow(begun, larger, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(StudyConfig, "to_toml", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            keep_growth(plan, tmp_path)
    config, before = settle(larger, tmp_path, resume=True)
    assert (config, before) == (larger, settings)
    for what in (lambda: run_study(None, tmp_path, resume=True), lambda: probe_study(settings, tmp_path, resume=True)):
        with pytest.raises(ConfigError, match=HALF_KEPT):
            what()
    again = grow(make_plan(before, tmp_path), config, tmp_path)
    assert (again.rows, again.grown) == (plan.rows, plan.grown)
    assert plan.grown == ({"rows": ["balanced", "mine"], "seeds": [1], "table_written": True},)
    keep_growth(again, tmp_path)
    assert settle(larger, tmp_path, resume=True) == (larger, None)
    assert make_plan(larger, tmp_path).rows == plan.rows


def test_killed_between_plan_and_settings_prepared_tiles_are_told_too(settings, larger, tmp_path, monkeypatch):
    begin(settings, tmp_path / "whole").tiles["main"].save(tmp_path / "t.npz")
    data = {"tiles": str(tmp_path / "t.npz")}
    config = with_(settings, data=data)
    plan = grow(begin(config, tmp_path / "out"), with_(larger, data=data), tmp_path / "out")
    assert settle(None, tmp_path / "out", resume=True) == (config, None)
    monkeypatch.setattr(StudyConfig, "to_toml", lambda *_: None)
    keep_growth(plan, tmp_path / "out")
    with pytest.raises(ConfigError, match=HALF_KEPT):
        settle(None, tmp_path / "out", resume=True)


def test_rows_come_from_the_bands_of_the_data_not_from_those_of_the_tiles(settings, larger, patches, tmp_path):
    """A design knows rows that were left out at first; where the plan does not name the bands, the data do."""
    from landslip.study.sources import bands_there

    plan = begin(settings, tmp_path)
    assert plan.bands == bands_there(settings.data) == BANDS
    content = read_json(tmp_path / "plan.json")
    (tmp_path / "plan.json").write_text(json.dumps({k: v for k, v in content.items() if k != "bands"}))
    old = make_plan(settings, tmp_path)
    assert old.bands is None
    assert grow(old, larger, tmp_path).rows == grow(plan, larger, tmp_path).rows
    with pytest.raises(LayerError, match="row 'index': the tiles of"):
        grow(old, with_(settings, only=["plain", "index"]), tmp_path)


def test_every_fold_grows(settings, larger, tmp_path):
    split = settings.split.model_copy(update={"folds": 2, "block_tiles": 1}).to_dict()
    plan = grow(begin(with_(settings, split=split), tmp_path), with_(larger, split=split), tmp_path)
    folders = {run.folder for run in plan.runs()}
    assert len(folders) == 12
    assert {"runs/plain/seed0-fold0", "runs/mine/seed1-fold1"} <= folders


def test_prepared_tiles_grow_as_far_as_their_layers_go(settings, larger, tmp_path):
    whole = begin(with_(settings, only=["plain", "index"]), tmp_path / "whole").tiles["main"]
    whole.save(tmp_path / "t.npz")
    data = {"tiles": str(tmp_path / "t.npz")}
    plan = begin(with_(settings, data=data), tmp_path / "out")
    grown = grow(plan, with_(larger, data=data, only=["plain", "index", "mine"]), tmp_path)
    assert [row.name for row in grown.rows] == ["plain", "index", "mine"]
    with pytest.raises(ConfigError, match="the tiles have no layers for row 'objects'; rows are"):
        grow(plan, with_(settings, data=data, only=["plain", "objects"]), tmp_path)
    rows = [{"name": "x", "layers": ["red", "red_obj"]}]
    with pytest.raises(LayerError, match=r"row 'x': the tiles of .* lack red_obj, and"):
        grow(plan, with_(settings, data=data, only=["plain", "x"], rows=rows), tmp_path)


def test_weights_that_would_go_elsewhere_beside_a_new_row_are_told(settings, tmp_path):
    config = with_(settings, train={"weights": "encoder.safetensors", "epochs": 1}, model_options={})
    rows = [{"name": "deep", "model": "resunet34"}]
    plan = begin(config, tmp_path)
    with pytest.raises(
        ConfigError, match=r"row 'plain' would be trained with other settings of weights; take them out"
    ):
        grow(plan, with_(config, rows=rows, only=["plain", "deep"]), tmp_path)


def test_a_transfer_matrix_grows_by_seed_and_not_by_layers_it_lacks(settings, tmp_path):
    rows = [{"name": "unet"}, {"name": "other", "layers": ["green", "red"]}]
    config = with_(
        settings, design="rows", rows=rows[:1], only=[], transfer=True, transfer_rows=["unet", "other"],
        transfer_tiles=4, layers=["red"],
    )  # fmt: skip
    run_study(config, tmp_path / "out", report=False)
    before = files(tmp_path / "out" / "runs")
    more = with_(config, seeds=[0, 1])
    told = probe_study(more, tmp_path / "out", resume=True)
    assert [(row.name, row.runs, row.finished) for row in told.rows] == [("unet", 2, 1), ("unet (transfer)", 8, 4)]
    grown = run_study(more, tmp_path / "out", resume=True, report=False)
    after = files(tmp_path / "out" / "runs")
    assert all(after[path] == digest for path, digest in before.items())
    assert [entry["seeds"] for entry in grown.content["transfer"]] == [2, 2]
    assert (tmp_path / "out/runs/unet/seed1-from2-to1/scores.json").is_file()
    # tiles of the study may have layers that those of its places lack
    plan = make_plan(more, tmp_path / "out")
    tiles = plan.tiles["main"]
    both = TileSet(**vars(tiles) | {"layers": ("red", "green"), "image": np.repeat(tiles.image, 2, axis=1)})
    plan = replace(plan, tiles={"main": both})
    with pytest.raises(LayerError, match=r"tiles-from1.npz: the places of the transfer matrix lack green of the new"):
        grow(plan, with_(more, rows=rows), tmp_path / "out")


def test_the_command_shows_what_a_study_would_grow_to(settings, larger, tmp_path, monkeypatch, capsys):
    from landslip.cli.app import main

    begin(settings, tmp_path / "out")
    larger.to_toml(tmp_path / "larger.toml")
    words = f"landslip study {tmp_path}/larger.toml --out {tmp_path}/out --dry-run --resume --json"
    monkeypatch.setattr("sys.argv", words.split())
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    told = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in told["rows"]] == ["plain", "balanced", "mine"]
    assert (told["runs"], told["finished"]) == (6, 0)
    assert StudyConfig.from_toml(tmp_path / "out" / "config.toml") == settings


def test_names_of_regions_that_are_not_there_are_refused(settings, patches, tmp_path):
    named = {"patches": str(patches), "region_names": {"2": "Iburi", "7": "Nowhere"}}
    with pytest.raises(ConfigError, match=r"\[data\]: region_names has region 7, which is not in .*; there are: 1, 2$"):
        run_study(with_(settings, data=named), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    tiles = begin(with_(settings, data={**named, "region_names": {"2": "Iburi"}, "regions": [1]}), tmp_path).tiles
    tiles["main"].save(tmp_path / "t.npz")
    with pytest.raises(ConfigError, match=r"region 2, which is not in tiles .*t.npz; there are: 1$"):
        run_study(with_(settings, data={"tiles": str(tmp_path / "t.npz"), "region_names": {"2": "x"}}), tmp_path / "b")
    with pytest.raises(ConfigError, match="region_names are for patches and tiles; scenes are called by their folders"):
        with_(settings, data={"scenes": ["a", "b"], "region_names": {"1": "x"}})
