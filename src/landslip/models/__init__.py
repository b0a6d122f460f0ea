"""The networks: U-Net, ResNet-34 U-Net with and without attention gates, and those of a library.

Tensors in, logits out: nothing here knows files of scenes, layers, labels or losses.
"""

from landslip.models.registry import ParameterCounts, build_model, has_encoder, model_names, parameter_counts

__all__ = ["ParameterCounts", "build_model", "has_encoder", "model_names", "parameter_counts"]
