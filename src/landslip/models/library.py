"""Networks of segmentation-models-pytorch, by architecture and encoder."""

from __future__ import annotations

import difflib
import inspect
from typing import Any

from torch import nn

from landslip.errors import ModelError

_FIXED_SIZE = "dpt"
"""The one architecture that takes a single tile size and so is not offered."""

_RESERVED = {"encoder_weights", "in_channels", "classes", "activation", "aux_params"}


def split_name(name: str) -> tuple[str, str]:
    """Split ``ARCHITECTURE-ENCODER``: ``deeplabv3plus-resnet34`` gives ``("deeplabv3plus", "resnet34")``.

    Raises
    ------
    ModelError
        Not of that form, or an architecture that does not exist or is not offered.
    """
    from segmentation_models_pytorch import MODEL_ARCHITECTURES_MAPPING

    known = sorted(set(MODEL_ARCHITECTURES_MAPPING) - {_FIXED_SIZE})
    architecture, dash, encoder = name.partition("-")
    if architecture == _FIXED_SIZE:
        message = "smp:dpt takes tiles of one size only and is not offered; choose smp:segformer-mit_b0"
        raise ModelError(message)
    if architecture not in known:
        near = difflib.get_close_matches(architecture, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        message = f"segmentation-models-pytorch has no architecture {architecture!r}; {hint}"
        raise ModelError(message)
    if not dash or not encoder:
        message = f"smp:{name} names no encoder; write smp:{architecture}-resnet34, for example"
        raise ModelError(message)
    return architecture, encoder


def build(architecture: str, encoder: str, in_channels: int, **options: Any) -> nn.Module:  # noqa: ANN401
    """Build one without weights; its encoder is ``network.encoder``.

    Raises
    ------
    ModelError
        No such encoder.
    """
    import segmentation_models_pytorch as smp

    if not encoder.startswith("tu-") and encoder not in smp.encoders.get_encoder_names():
        near = difflib.get_close_matches(encoder, smp.encoders.get_encoder_names(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "timm's are written tu-NAME"
        message = f"segmentation-models-pytorch has no encoder {encoder!r}; {hint}"
        raise ModelError(message)
    reserved = _RESERVED & set(options)
    if reserved:
        message = f"option {min(reserved)!r} is set by landslip; use weights for encoder_weights, leave out the others"
        raise ModelError(message)
    kind = smp.MODEL_ARCHITECTURES_MAPPING[architecture]
    known = {key for key, p in inspect.signature(kind.__init__).parameters.items() if p.kind is not p.VAR_KEYWORD}
    unknown = set() if encoder.startswith("tu-") else set(options) - known  # timm's encoders have options too
    if unknown:
        offered = ", ".join(sorted(known - _RESERVED - {"self", "encoder_name"}))
        message = f"smp:{architecture} has no option {min(unknown)!r}; it has {offered}"
        raise ModelError(message)
    network: nn.Module = smp.create_model(architecture, encoder, None, in_channels, 1, **options)
    return network
