"""Writes a run for use elsewhere: one file that landslip reads back, or ONNX for programs without PyTorch.

The ONNX graph is whole: it takes layers in the physical units of the recipe, NaN where invalid, and gives
probabilities, NaN where a layer is invalid. So no program that runs it can standardise wrongly.
"""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landslip.bundle.bundle import WEIGHTS, Bundle
from landslip.bundle.description import SUFFIX
from landslip.errors import ConfigError, ModelError
from landslip.files import atomic_path, keep_inputs
from landslip.recipe import Recipe

ONNX = ".onnx"
OPSET = 17
"""Of September 2022: old enough for what is in use, and it has all that the networks need."""

TOLERANCE = 1e-3
"""Greatest difference in probability that rounding may make; a graph that differs by more is not written."""

_TRACED = (1, 64, 96)
"""Tiles, rows and columns with which the network is followed; the graph takes any."""

_TRIED = (2, 32, 64)
"""Tiles, rows and columns with which the graph is tried: other ones, so that none is baked into it."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Parameters
    ----------
    path
        The file.
    kind
        ``run`` or ``onnx``.
    largest_difference
        In probability, of the graph against PyTorch on a random tile; None for a run.
    """

    path: Path
    kind: str
    largest_difference: float | None = None


class WholeModel(nn.Module):
    """A network with what belongs before and after it: from physical units to probabilities.

    Parameters
    ----------
    network
        Logits ``(n, 1, h, w)`` from standardised layers ``(n, layers, h, w)``.
    recipe
        With the statistics to standardise by.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(recipe.mean, dtype=torch.float32)[:, None, None])
        self.register_buffer("std", torch.tensor(recipe.std, dtype=torch.float32)[:, None, None])

    def forward(self, layers: Tensor) -> Tensor:
        """Return probabilities ``(n, 1, h, w)``, NaN where a layer of ``(n, layers, h, w)`` is not finite."""
        # a number that is not finite is the only one that is not 0 when taken from itself
        finite = (layers - layers) == 0
        standardised = torch.where(finite, (layers - self.mean) / self.std, torch.zeros_like(layers))
        valid = finite.float().amin(dim=1, keepdim=True) > 0
        probability = torch.sigmoid(self.network(standardised))
        return torch.where(valid, probability, torch.full_like(probability, float("nan")))


def export_run(run: str | os.PathLike[str], out: str | os.PathLike[str]) -> Exported:
    """Write a run for use elsewhere.

    Parameters
    ----------
    run
        Run folder, or a run in one file.
    out
        ``.safetensors``: the run in one file, which every command takes in place of the folder. ``.onnx``: the
        network with standardisation and sigmoid as a graph, its recipe in the metadata; needs the extra
        ``landslip[onnx]``.

    Raises
    ------
    ConfigError
        The suffix is neither.
    ModelError
        ``onnx`` is not installed, or the network cannot be written as a graph that gives the same.
    LandslipError
        The run is damaged, or the file cannot be written, or is the run's own.
    """
    out = Path(out)
    if out.suffix not in (SUFFIX, ONNX):
        message = f"{out}: ends in neither {SUFFIX} (the run in one file) nor {ONNX} (a graph); choose one of them"
        raise ConfigError(message)
    keep_inputs([out], [run, Path(run) / WEIGHTS])
    bundle = Bundle.load(run)
    if out.suffix == SUFFIX:
        bundle.save_file(out)
        return Exported(out, "run")
    graph = onnx_graph(bundle)
    difference = largest_difference(bundle, graph)
    if not difference <= TOLERANCE:
        message = (
            f"{bundle.architecture['name']}: as a graph it gives other probabilities (by up to {difference:.2g}); "
            f"nothing was written, hand on the {SUFFIX} file instead"
        )
        raise ModelError(message)
    with atomic_path(out) as temporary:
        temporary.write_bytes(graph)
    return Exported(out, "onnx", difference)


def onnx_graph(bundle: Bundle) -> bytes:
    """Return the run as an ONNX file's content.

    Input ``layers`` ``(tiles, layers, rows, cols)`` float32, output ``probability`` ``(tiles, 1, rows, cols)``
    float32; rows and columns are multiples of 32. Metadata: ``landslip`` (the text of ``model.json`` without
    checksum), ``layers``, ``threshold``, ``resolution_m``, ``scaling``, ``matched`` and ``licence`` by themselves. A
    graph does not match images (:mod:`landslip.data.matching`): where ``matched`` is ``true``, that is the caller's.

    Raises
    ------
    ModelError
        ``onnx`` is not installed, or the network cannot be written as a graph.
    """
    onnx = _onnx()
    network = bundle.network()
    network._forward_pre_hooks.clear()  # the check of sizes is for callers, not part of the graph
    tiles, rows, cols = _TRACED
    sizes = {0: "tiles", 2: "rows", 3: "cols"}
    with tempfile.TemporaryDirectory(prefix="landslip-") as folder, warnings.catch_warnings():
        path = Path(folder) / "graph.onnx"
        # it warns of its own age and of the library's checks of sizes; the graph is tried at other sizes
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                WholeModel(network, bundle.recipe).eval(),
                (torch.zeros(tiles, len(bundle.recipe.layers), rows, cols),),
                str(path),
                input_names=["layers"],
                output_names=["probability"],
                dynamic_axes={"layers": sizes, "probability": sizes},
                opset_version=OPSET,
                dynamo=False,  # the newer way needs one more package, and gives the same graph for these networks
            )
        except (torch.onnx.OnnxExporterError, RuntimeError, TypeError, ValueError) as error:
            message = f"{bundle.architecture['name']} cannot be written as a graph ({_first_line(error)})"
            raise ModelError(f"{message}; hand on the {SUFFIX} file instead") from error
        model = onnx.load(path)
    onnx.helper.set_model_props(model, _metadata(bundle))
    model.doc_string = "Landslide probability from layers in physical units, NaN where invalid; see the metadata."
    return cast(bytes, model.SerializeToString(deterministic=True))


def largest_difference(bundle: Bundle, graph: bytes) -> float:
    """Run a graph by ONNX's own reference on random layers with gaps, and compare with PyTorch.

    Returns
    -------
    float
        Largest difference in probability; infinite where one is invalid and the other is not.
    """
    onnx = _onnx()
    from onnx.reference import ReferenceEvaluator

    tiles, rows, cols = _TRIED
    recipe, random = bundle.recipe, np.random.default_rng(0)
    values = random.standard_normal((tiles, len(recipe.layers), rows, cols))
    layers = (values * np.array(recipe.std)[:, None, None] + np.array(recipe.mean)[:, None, None]).astype(np.float32)
    layers[random.random(layers.shape) < 0.02] = np.nan
    with torch.inference_mode():
        ours = WholeModel(bundle.network(), recipe)(torch.from_numpy(layers)).numpy()
    with np.errstate(all="ignore"):
        answer: Any = ReferenceEvaluator(onnx.load_from_string(graph)).run(None, {"layers": layers})
    theirs: NDArray[np.float32] = answer[0]
    if ours.shape != theirs.shape or not np.array_equal(np.isnan(ours), np.isnan(theirs)):
        return float("inf")
    return float(np.nanmax(np.abs(ours - theirs)))


def _metadata(bundle: Bundle) -> dict[str, str]:
    description = {key: value for key, value in bundle.description("").items() if key != "weights_sha256"}
    return {
        "landslip": json.dumps(description, ensure_ascii=False, allow_nan=False),
        "layers": ",".join(bundle.recipe.layers),
        "threshold": str(bundle.threshold),
        "resolution_m": str(bundle.recipe.resolution_m),
        "scaling": bundle.recipe.scaling,
        "matched": str(bundle.recipe.matched).lower(),
        "licence": bundle.licence,
    }


def _onnx() -> Any:  # noqa: ANN401 - an optional package
    try:
        import onnx
        import onnx.helper
    except ImportError as error:
        message = "writing ONNX needs a further package; install it with: pip install 'landslip[onnx]'"
        raise ModelError(message) from error
    return onnx


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
