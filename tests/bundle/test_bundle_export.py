"""A run in one file is the run; as a graph it gives the same probabilities at any size."""

import json
import sys

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from safetensors.torch import load_file, save_file
from test_bundle import make
from torch import nn
from typer.testing import CliRunner

from landslip.bundle import Bundle
from landslip.bundle.export import WholeModel, export_run, onnx_graph
from landslip.cli import export as command
from landslip.cli import info
from landslip.errors import ConfigError, FormatError, ModelError, OutputError
from landslip.mapping.prepare import member_of
from landslip.models import build_model
from landslip.models.registry import NETWORKS, Network
from landslip.recipe import Recipe


@pytest.fixture
def run(tmp_path):
    make().save(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def one_file(run, tmp_path):
    export_run(run, tmp_path / "handed" / "on.safetensors")
    return tmp_path / "handed" / "on.safetensors"


# --- one file ---------------------------------------------------------------------------------------------


def test_one_file_is_the_run(run, one_file):
    folder, file = Bundle.load(run), Bundle.load(one_file)
    assert file.description("") == folder.description("")
    assert member_of(file, "a").checksum == member_of(folder, "a").checksum
    image = torch.randn(1, 2, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(file.network()(image), folder.network()(image), rtol=0, atol=0)


def test_one_file_goes_on_to_one_file_and_bytes_repeat(one_file, tmp_path):
    export_run(one_file, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == one_file.read_bytes()
    assert [path.name for path in one_file.parent.iterdir()] == ["on.safetensors"]


def test_any_reader_of_safetensors_finds_the_tensors_and_training_begins_from_them(run, one_file):
    tensors = load_file(one_file)
    assert tensors.keys() == load_file(run / "model.safetensors").keys()
    network = build_model("unet", 2, width=4, weights=one_file)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, tensors[name], rtol=0, atol=0)


def rewritten(path, change):
    """The file with another description, its tensors as they were."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as opened:
        text = opened.metadata()["landslip"]
    save_file(load_file(path), path, {"landslip": change(text)})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:900]), "not a run in one file, or cut off or damaged; give"),
        (lambda path: path.write_text("hello"), "not a run in one file, or cut off or damaged; give the folder of a"),
        (lambda path: save_file(load_file(path), path), "tensors alone, without the recipe and threshold of a run"),
        (lambda path: rewritten(path, lambda text: text[:-9]), "its description is not valid JSON"),
        (lambda path: rewritten(path, lambda _: "[]"), "its description is not a JSON object"),
        (lambda path: rewritten(path, lambda t: t.replace('"format": 1', '"format": 2')), "written in format 2"),
        (lambda path: rewritten(path, lambda t: t.replace('"threshold"', '"t"')), "entry 'threshold' is missing"),
        (
            lambda path: path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])),
            "not the weights that model.json describes",
        ),
    ],
)
def test_damaged_files_get_one_clear_line(one_file, damage, message):
    damage(one_file)
    with pytest.raises(FormatError, match=message) as caught:
        Bundle.load(one_file)
    assert str(caught.value).startswith(str(one_file))
    assert "\n" not in str(caught.value)


# --- graph ------------------------------------------------------------------------------------------------


def pixels(layers: int, rows: int, cols: int, tiles: int = 2) -> np.ndarray:
    random = np.random.default_rng(7)
    image = random.normal(0.1, 0.2, (tiles, layers, rows, cols)).astype(np.float32)
    image[random.random(image.shape) < 0.05] = np.nan
    return image


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("unet", {"width": 4}),
        pytest.param("attention-resunet34", {"decoder": (8, 8, 8, 8, 8)}, marks=pytest.mark.slow),
        pytest.param("smp:segformer-resnet18", {"decoder_segmentation_channels": 16}, marks=pytest.mark.slow),
    ],
)
def test_a_graph_gives_the_probabilities_of_torch_at_other_sizes(name, options):
    bundle = make(name, ("blue", "nir", "slope"), **options)
    graph = ReferenceEvaluator(onnx.load_from_string(onnx_graph(bundle)))
    for rows, cols in ((32, 32), (64, 32)):
        image = pixels(3, rows, cols)
        with torch.inference_mode():
            ours = WholeModel(bundle.network(), bundle.recipe)(torch.from_numpy(image)).numpy()
        (theirs,) = graph.run(None, {"layers": image})
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(np.isnan(theirs[:, 0]), np.isnan(image).any(axis=1))
        assert np.nanstd(theirs) > 1e-4  # it looks at the image


def test_the_whole_model_is_standardising_network_and_sigmoid():
    bundle, image = make(), pixels(2, 32, 32)
    scaled = torch.nan_to_num(torch.from_numpy((image - np.float32(0.1)) / np.float32(0.2)))
    with torch.inference_mode():
        expected = torch.sigmoid(bundle.network()(scaled)).numpy()[:, 0]
        found = WholeModel(bundle.network(), bundle.recipe)(torch.from_numpy(image)).numpy()[:, 0]
    valid = np.isfinite(image).all(axis=1)
    np.testing.assert_allclose(found[valid], expected[valid], rtol=0, atol=1e-6)
    assert np.isnan(found[~valid]).all()


def test_the_graph_carries_its_recipe(run, tmp_path):
    written = export_run(run, tmp_path / "a.onnx")
    assert written.largest_difference < 1e-5
    model, bundle = onnx.load(written.path), Bundle.load(run)
    entries = {entry.key: entry.value for entry in model.metadata_props}
    assert entries["layers"] == "blue,slope"
    assert float(entries["threshold"]) == bundle.threshold
    assert entries["licence"] == "CC BY 4.0"
    assert Recipe.from_dict(json.loads(entries["landslip"])["recipe"], where="a.onnx") == bundle.recipe
    shapes = [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert (model.graph.input[0].name, shapes) == ("layers", ["tiles", 2, "rows", "cols"])
    export_run(run, tmp_path / "b.onnx")
    assert (tmp_path / "b.onnx").read_bytes() == written.path.read_bytes()


class KnowsItsSize(nn.Module):
    """Answers with a number that following it once cannot know for other sizes."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(in_channels, 1, 1)

    def forward(self, image):
        return self.head(image) * (int(image.shape[-1]) / 32)


def test_a_graph_that_gives_something_else_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setitem(NETWORKS, "sized", Network(KnowsItsSize))
    network = build_model("sized", 2)
    description = {"name": "sized", "in_channels": 2, "options": {}}
    Bundle(description, make().recipe, 0.5, network.state_dict()).save(tmp_path / "run")
    with pytest.raises(ModelError, match=r"sized: as a graph it gives other .* \(by up to 0\.\d+\); nothing"):
        export_run(tmp_path / "run", tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()


def test_what_cannot_be_exported_is_said_in_one_line(run, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"a\.pt: ends in neither \.safetensors .* nor \.onnx"):
        export_run(run, tmp_path / "a.pt")
    before = (run / "model.safetensors").read_bytes()
    with pytest.raises(OutputError, match=r"model\.safetensors: is read here, and would be written over"):
        export_run(run, run / "model.safetensors")
    assert (run / "model.safetensors").read_bytes() == before
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModelError, match=r"further package; install it with: pip install 'landslip\[onnx\]'"):
        export_run(run, tmp_path / "a.onnx")


# --- command ----------------------------------------------------------------------------------------------


def invoke(module, *arguments):
    import typer

    app = typer.Typer()
    app.command()(module.command)
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_the_command_writes_both_and_info_reads_the_file(run, tmp_path):
    result = invoke(command, run, "--out", tmp_path / "a.safetensors", "--json")
    assert json.loads(result.stdout)["kind"] == "run"
    assert json.loads(result.stdout)["bytes"] == (tmp_path / "a.safetensors").stat().st_size
    told = json.loads(invoke(info, tmp_path / "a.safetensors", "--json").stdout)
    assert (told["model"], told["threshold"], told["layers"]) == ("unet", 0.37, ["blue", "slope"])
    result = invoke(command, run, "--out", tmp_path / "a.onnx")
    assert "differs from PyTorch by at most" in result.stdout
    assert result.exit_code == 0


def test_a_run_that_is_none_is_told_by_the_command(tmp_path):
    result = invoke(command, tmp_path / "nowhere", "--out", tmp_path / "a.onnx")
    assert result.exit_code == 1
    assert "nowhere: no such run; check the path" in result.stderr
    (tmp_path / "a.onnx").write_bytes(b"graph")
    assert "not a run in one file" in invoke(info, tmp_path / "a.onnx").stderr
