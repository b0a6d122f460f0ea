"""Encoders trained on Sentinel-2 reflectance, as the package ``ukis-csmask`` carries them for cloud masks.

The package holds U-Nets with an EfficientNet-B4 encoder as ONNX graphs; here their tensors are read, nothing of
them is run, and no network is needed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from landslip.errors import ModelError

ENCODER = "efficientnet-b4"
"""The encoder whose tensors these are."""

BANDS = ("blue", "green", "red", "nir")
"""What it was trained on, in the order of its first convolution."""

FILES = {"sentinel2-csmask": "model_4b_l2a.onnx", "sentinel2-csmask-l1c": "model_4b_l1c.onnx"}
"""Weights by name: trained on surface reflectance (Level-2A), and on that at the top of the atmosphere."""

UNUSED = ("encoder._conv_head.", "encoder._bn1.")
"""Tensors of the encoder that only a classifier uses; the graph has none of them."""

_GRAPH_PREFIX = "model."
_PART = "encoder."


def read_encoder(weights: str, encoder_name: str | None) -> dict[str, Tensor]:
    """Read the encoder's tensors by the names of segmentation-models-pytorch, ``encoder.`` in front, as float32.

    Parameters
    ----------
    weights
        One of :data:`FILES`.
    encoder_name
        The encoder of the network that they are for.

    Raises
    ------
    ModelError
        Another encoder, or the packages are not installed.

    References
    ----------
    Wieland, Li & Martinis (2019), doi:10.1016/j.rse.2019.05.022, on the task that it was trained for.
    """
    if encoder_name != ENCODER:
        message = (
            f"weights {weights!r} are of the encoder {ENCODER}"
            f"{f', not {encoder_name}' if encoder_name else ', which this network has not'}; "
            f"choose model = 'smp:unet-{ENCODER}', or other weights"
        )
        raise ModelError(message)
    graph = _read_graph(_file(weights), weights)
    tensors = {name.removeprefix(_GRAPH_PREFIX): tensor for name, tensor in graph.items()}
    return {name: tensor for name, tensor in tensors.items() if name.startswith(_PART)}


def stem_by_band(weight: Tensor, layers: Sequence[str]) -> Tensor:
    """Give each layer the kernels of its own band.

    A layer that is none of :data:`BANDS` begins with kernels of zero: it says nothing until training lets it. A
    band that is not among the layers is left out, as if it were at its mean everywhere.

    Parameters
    ----------
    weight
        ``(out, 4, k, k)``, in the order of :data:`BANDS`.
    layers
        Names of the network's layers; at least one is a band.

    Returns
    -------
    torch.Tensor
        ``(out, layers, k, k)``.
    """
    adapted = weight.new_zeros((weight.shape[0], len(layers), *weight.shape[2:]))
    for place, name in enumerate(layers):
        if name in BANDS:
            adapted[:, place] = weight[:, BANDS.index(name)]
    return adapted


def _file(weights: str) -> Path:
    found = importlib.util.find_spec("ukis_csmask")  # finds it without running it: it wants a runtime to import
    if found is None or not found.submodule_search_locations or importlib.util.find_spec("onnx") is None:
        message = (
            f"weights {weights!r} need the packages ukis-csmask and onnx; pip install 'landslip[sentinel2]', "
            'or use weights = "none"'
        )
        raise ModelError(message)
    return Path(next(iter(found.submodule_search_locations))) / FILES[weights]


def _read_graph(path: Path, weights: str) -> dict[str, Tensor]:
    import onnx
    import torch
    from onnx import numpy_helper

    try:
        graph = onnx.load(path).graph
    except Exception as error:  # protobuf has errors of its own, without types
        message = f"{path}: absent or damaged (weights {weights!r}); pip install --force-reinstall ukis-csmask==1.0.0"
        raise ModelError(message) from error
    # stored in half precision
    return {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()).float() for one in graph.initializer}
