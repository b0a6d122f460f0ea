"""Run folders: what is saved comes back; what is damaged is said in one line."""

import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from landslip.bundle import Bundle, run_name
from landslip.errors import FormatError, MissingInputError
from landslip.models import build_model
from landslip.recipe import LayerStatistics, Recipe

LAYERS = ("blue", "slope")


def make(name="unet", layers=LAYERS, **options) -> Bundle:
    options = options or {"width": 4}
    torch.manual_seed(0)
    network = build_model(name, len(layers), **options)
    statistics = {layer: LayerStatistics(mean=0.1, std=0.2, low=0.0, high=1.0) for layer in layers}
    return Bundle(
        {"name": name, "in_channels": len(layers), "options": options},
        Recipe(layers=layers, statistics=statistics),
        0.37,
        network.state_dict(),
        {"test": {"loss": None}},
        "CC BY 4.0",
        {"best_epoch": 3},
    )


@pytest.fixture
def folder(tmp_path):
    make().save(tmp_path / "run")
    return tmp_path / "run"


def edit(folder, **changes):
    content = json.loads((folder / "model.json").read_text())
    for key, value in changes.items():
        if value is None:
            del content[key]
        else:
            content[key] = value
    (folder / "model.json").write_text(json.dumps(content))


def test_what_is_saved_comes_back_and_bytes_repeat(folder, tmp_path):
    saved, loaded = make(), Bundle.load(folder)
    assert (loaded.architecture, loaded.recipe, loaded.threshold) == (saved.architecture, saved.recipe, saved.threshold)
    assert (loaded.scores, loaded.licence, loaded.training) == (saved.scores, saved.licence, saved.training)
    image = torch.randn(1, 2, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.network()(image), saved.network()(image), rtol=0, atol=0)
    loaded.save(tmp_path / "again")
    for name in ("model.safetensors", "model.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_loading_draws_no_random_numbers(folder):
    state = torch.random.get_rng_state()
    Bundle.load(folder).network()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_channels_last_weights_are_saved_as_they_are_meant(tmp_path):
    bundle = make()
    state = {k: v.to(memory_format=torch.channels_last) if v.ndim == 4 else v for k, v in bundle.state.items()}
    Bundle(bundle.architecture, bundle.recipe, 0.5, state).save(tmp_path / "run")
    for key, value in Bundle.load(tmp_path / "run").state.items():
        torch.testing.assert_close(value, bundle.state[key], rtol=0, atol=0)


def refused(folder, message, error=FormatError):
    with pytest.raises(error, match=message) as caught:
        Bundle.load(folder)
    assert "\n" not in str(caught.value)


def test_absent_and_unfinished_runs(folder, tmp_path):
    refused(tmp_path / "absent", "no such run; check the path", MissingInputError)
    (folder / "model.safetensors").unlink()
    refused(folder, r"model\.safetensors: no such file; the run is incomplete", MissingInputError)
    (folder / "model.json").unlink()
    refused(folder, r"not a finished run \(no model\.json in it\)", MissingInputError)


def test_newer_format_and_text_that_is_no_json(folder):
    edit(folder, format=2)
    refused(folder, "written in format 2, this version reads up to 1; upgrade landslip")
    (folder / "model.json").write_text("{")
    refused(folder, "not valid JSON")


@pytest.mark.parametrize("key", ["architecture", "recipe", "threshold", "weights_sha256"])
def test_missing_entries(folder, key):
    edit(folder, **{key: None})
    refused(folder, f"entry '{key}' is missing or wrong; the run is damaged, train it again")


@pytest.mark.parametrize("change", [{"threshold": "high"}, {"scores": 3}, {"training": 7}, {"architecture": 5}])
def test_entries_of_the_wrong_kind(folder, change):
    edit(folder, **change)
    refused(folder, r"model\.json: an entry is of the wrong kind; the run is damaged, train it again")


def test_missing_statistics(folder):
    recipe = make().recipe.to_dict()
    del recipe["statistics"]["slope"]
    edit(folder, recipe=recipe)
    refused(folder, "statistics missing for layers: slope; the run is damaged")


def test_wrong_layer_count(folder):
    edit(folder, recipe=make(layers=("blue", "green", "slope")).recipe.to_dict())
    refused(folder, "the network takes 2 layers, its recipe has 3; the run is damaged")


def test_threshold_outside_its_range(folder):
    edit(folder, threshold=1.5)
    refused(folder, "architecture or threshold is wrong")


def test_weights_of_another_architecture(folder, tmp_path):
    make(width=8).save(tmp_path / "wider")
    (folder / "model.safetensors").write_bytes((tmp_path / "wider" / "model.safetensors").read_bytes())
    refused(folder, r"the weights are of another architecture than unet with 2 layers \(\d+ tensors do not fit")


def test_unknown_architecture_and_options(folder):
    edit(folder, architecture={"name": "unet9", "in_channels": 2, "options": {}})
    refused(folder, "unknown network 'unet9'")
    edit(folder, architecture={"name": "unet", "in_channels": 2, "options": {"depth": 3}})
    refused(folder, "unet has no option 'depth'")


def test_other_weights_of_the_same_architecture(folder):
    state = load_file(folder / "model.safetensors")
    state["head.bias"] += 1
    save_file(state, folder / "model.safetensors")
    refused(folder, r"not the weights that model\.json describes \(checksum differs\)")


def test_truncated_weights(folder):
    path = folder / "model.safetensors"
    for keep in (path.stat().st_size // 2, 4, 0):
        path.write_bytes(path.read_bytes()[:keep])
        refused(folder, r"model\.safetensors: not readable as safetensors, cut off or damaged; train the run again")


class Harmful:
    def __reduce__(self):
        return (print, ("code was run",))


def test_pickle_in_place_of_safetensors_is_never_opened(folder, capsys):
    path = folder / "model.safetensors"
    torch.save({"a": torch.zeros(1)}, path)
    refused(folder, "a pickle, which could run code, not safetensors; it is not opened")
    path.write_bytes(pickle.dumps(Harmful()))
    refused(folder, "a pickle, which could run code")
    assert "code was run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("/data/study/runs/unet/seed0", "unet/seed0"),  # seed0 alone would say nothing
        ("s3://bucket/study/runs/unet/seed0-fold1", "unet/seed0-fold1"),
        ("/data/runs/west", "west"),
        ("/data/west.safetensors", "west.safetensors"),
    ],
)
def test_a_run_is_called_by_its_folder_and_one_of_a_study_by_its_row_too(place, name):
    assert run_name(place) == name
