"""A search of settings: ranked on validation alone, resumed, refused when it cannot be."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from helpers.training_tiles import make_tiles
from landslip.bundle import Bundle
from landslip.data.tileset import Part, TileSet
from landslip.errors import ConfigError, FormatError, InputError, LayerError, ModelError, OutputError
from landslip.study.search import MOST, SearchConfig, run_search
from landslip.study.single import SingleConfig, prepare_tiles
from landslip.training import fit

TRAIN = {"epochs": 2, "batch": 3, "precision": "float32", "device": "cpu", "model_options": {"width": 4}}
VALUES = {"learning_rate": [3e-4, 3e-3], "loss": ["bce", "bce+dice"]}


def config_of(tiles, values=VALUES, train=None, **options) -> SearchConfig:
    content = {"data": {"tiles": str(tiles)}, "train": TRAIN | (train or {}), "search": {"values": values, **options}}
    return SearchConfig.from_dict(content)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Tiles, and the same with another truth and other pixels where they are tested."""
    folder = tmp_path_factory.mktemp("tiles")
    tiles = make_tiles()
    tiles.save(folder / "tiles.npz")
    tested = (tiles.part == Part.TEST)[:, None, None]
    poisoned = replace(
        tiles,
        label=np.where(tested, np.uint8(1) - tiles.label % 2, tiles.label),
        image=np.where(tested[:, None], np.float32(1e9), tiles.image),
    )
    poisoned.save(folder / "poisoned.npz")
    return folder


@pytest.fixture(scope="module")
def found(places):
    return run_search(config_of(places / "tiles.npz"), places / "search")


def test_every_combination_is_ranked_by_its_f1_on_validation(found):
    tried = {(one["settings"]["learning_rate"], one["settings"]["loss"]) for one in found.table}
    assert tried == {(rate, loss) for rate in (3e-4, 3e-3) for loss in ("bce", "bce+dice")}
    scores = [one["validation_f1"] for one in found.table]
    assert scores == sorted(scores, reverse=True)
    assert [one["rank"] for one in found.table] == [1, 2, 3, 4]
    for one in found.table:
        bundle = Bundle.load(found.folder / "trials" / f"{one['trial']:03d}")
        assert one["validation_f1"] == bundle.scores["validation"]["at_threshold"]["f1"]
        assert bundle.training["settings"]["learning_rate"] == one["settings"]["learning_rate"]
        assert set(bundle.scores) == {"train", "validation"}
    with (found.folder / "table.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["validation_f1"]) for line in lines] == scores
    assert lines[0]["loss"] == found.table[0]["settings"]["loss"]


def test_the_test_part_changes_nothing_and_is_nowhere(found, places, tmp_path):
    other = run_search(config_of(places / "poisoned.npz"), tmp_path / "search")
    assert other.table == found.table
    for name in ("table.csv", "table.md"):
        assert (other.folder / name).read_bytes() == (found.folder / name).read_bytes()
    assert "test_" not in json.dumps(found.table)
    assert "was not looked at" in (found.folder / "table.md").read_text()


def test_best_toml_trains_the_best_trial_again_and_scores_it(found, tmp_path):
    settings = SingleConfig.from_toml(found.best)
    tiles = prepare_tiles(settings.tiles()).tiles
    bundle = fit(tiles, settings.train, tmp_path / "run")
    best = found.table[0]
    assert bundle.scores["validation"]["at_threshold"]["f1"] == best["validation_f1"]
    assert bundle.threshold == best["threshold"]
    assert set(bundle.scores) == {"train", "validation", "test"}


def test_an_interrupted_search_goes_on_without_making_trials_again(found, places, tmp_path, monkeypatch):
    made = []

    def stop_at_the_third(tiles, config, out, **named):
        made.append(out.name)
        if len(made) == 3:
            raise KeyboardInterrupt
        return fit(tiles, config, out, **named)

    config, folder = config_of(places / "tiles.npz"), tmp_path / "search"
    monkeypatch.setattr("landslip.training.fit", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run_search(config, folder)
    monkeypatch.undo()
    assert not (folder / "search.json").exists()
    with pytest.raises(OutputError, match="holds a search already; go on with it by --resume"):
        run_search(config, folder)
    with pytest.raises(ConfigError, match="was begun with other settings of search; go back to them"):
        run_search(config_of(places / "tiles.npz", trials=2), folder, resume=True)
    stamp = (folder / "trials" / "001" / "model.json").stat().st_mtime_ns
    assert run_search(config, folder, resume=True).table == found.table
    assert (folder / "trials" / "001" / "model.json").stat().st_mtime_ns == stamp


def test_a_trial_whose_loss_is_lost_is_last_with_the_reason(places, tmp_path):
    config = config_of(places / "tiles.npz", {"learning_rate": [1e30, 1e-3]}, {"epochs": 1})
    for resume in (False, True):  # and it is not made again
        table = run_search(config, tmp_path / "search", resume=resume).table
        assert [(one["rank"], one["trial"]) for one in table] == [(1, 2), (None, 1)]
        assert "is not a number; lower learning_rate (1e+30)" in table[1]["failed"]
    assert "| failed | 1 | 1e+30 | – |" in (tmp_path / "search" / "table.md").read_text()
    config = config_of(places / "tiles.npz", {"learning_rate": [1e30]}, {"epochs": 1})
    with pytest.raises(InputError, match="no trial ended with a score on validation; lower learning_rate"):
        run_search(config, tmp_path / "lost")


def test_trials_are_drawn_by_the_seed_and_none_twice(places):
    values = {"learning_rate": [1e-4 * step for step in range(1, 51)], "batch": list(range(1, 41))}
    drawn = [config_of("t.npz", values, trials=12, seed=seed).trials() for seed in (0, 0, 1)]
    assert [trial.settings for trial in drawn[0]] == [trial.settings for trial in drawn[1]]
    assert [trial.settings for trial in drawn[0]] != [trial.settings for trial in drawn[2]]
    assert len({(trial.train.learning_rate, trial.train.batch) for trial in drawn[0]}) == 12
    assert all(trial.train.epochs == 2 for trial in drawn[0])


def test_searched_layers_are_compared_on_pixels_that_all_have(tmp_path):
    tiles = make_tiles()
    tiles.image[:, 2, :, :8] = np.nan  # slope reaches less far than the image
    tiles.save(tmp_path / "tiles.npz")
    values = {"layers": [["blue", "green"], ["blue", "green", "slope"]]}
    found = run_search(config_of(tmp_path / "tiles.npz", values, {"epochs": 1}), tmp_path / "search")
    counted = []
    for number in (1, 2):
        score = Bundle.load(tmp_path / "search" / "trials" / f"00{number}").scores["validation"]["at_threshold"]
        counted.append(sum(score[name] for name in ("tp", "fp", "fn", "tn")))
    own = TileSet.load(tmp_path / "tiles.npz").of(Part.VALIDATION).counted().sum()
    assert counted == [own, own]
    assert {len(one["settings"]["layers"]) for one in found.table} == {2, 3}


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ({}, {}, "nothing to search; give lists, as learning_rate"),
        ({"learning_rat": [1]}, {}, "unknown setting 'learning_rat'; did you mean 'learning_rate'?"),
        ({"qqqq": [1]}, {}, "unknown setting 'qqqq'; known are: model, model_options"),
        ({"loss": []}, {}, "the list of 'loss' is empty; give at least one value"),
        ({"batch": [8, 16, 8]}, {}, "the list of 'batch' has a value twice; take one of them out"),
        ({"devices": [1, 2]}, {}, "'devices' is not searched; set it in .train."),
        ({"loss": ["bce", "mse"]}, {}, r"trial 2 \(loss = 'mse'\): 'loss': input should be 'bce', 'dice'"),
        ({"batch": [8, 16]}, {"trials": 3}, "trials = 3, but the lists make 2 combinations; lower it, or leave it out"),
        (
            {"batch": list(range(1, 21)), "seed": list(range(20))},
            {},
            f"make 400 combinations, more than {MOST}; set trials = 100 to draw so many of them, trials = 400 for all",
        ),
    ],
)
def test_searches_that_cannot_be_are_one_line(tmp_path, values, options, message):
    with pytest.raises(ConfigError, match=message) as caught:
        run_search(config_of("absent.npz", values, **options), tmp_path / "search")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "search").exists()


def test_layers_that_cannot_be_matched_are_told_before_any_trial(places, tmp_path):
    config = config_of(places / "tiles.npz", {"layers": [["blue"], ["slope"]]}, {"match_images": True})
    with pytest.raises(LayerError, match="trial 2: match_images: no image layer is among the layers"):
        run_search(config, tmp_path / "search")
    assert not (tmp_path / "search").exists()


def test_a_network_that_cannot_be_is_told_before_any_trial(places, tmp_path):
    config = config_of(places / "tiles.npz", {"model": ["unet", "unet2"]}, {"model_options": {}})
    with pytest.raises(ModelError, match=r"trial 2: unknown network 'unet2'; did you mean 'unet'\?"):
        run_search(config, tmp_path / "search")
    assert not (tmp_path / "search").exists()


def test_a_damaged_trial_is_told_with_what_to_remove(found, places, tmp_path):
    folder = tmp_path / "search"
    shutil.copytree(found.folder, folder)
    (folder / "trials" / "002" / "model.safetensors").write_bytes(b"cut")
    message = r"trials/002.*damaged; remove .*trials/002, and go on with --resume: the trial is then made again$"
    with pytest.raises(FormatError, match=message):
        run_search(config_of(places / "tiles.npz"), folder, resume=True)
    shutil.rmtree(folder / "trials" / "002")
    assert run_search(config_of(places / "tiles.npz"), folder, resume=True).table == found.table
