"""Where to compute, and in which precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from landslip.errors import ConfigError


def resolve_device(device: str) -> torch.device:
    """Turn ``auto`` or a name into a device that is there.

    Raises
    ------
    ConfigError
        Not a device, or not on this machine.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        message = f"device {device!r}: not known; use auto, cpu, cuda or cuda:1"
        raise ConfigError(message) from error
    there = {"cpu": 1, "cuda": torch.cuda.device_count()}.get(wanted.type, 0)
    if (wanted.index or 0) >= there:
        message = f"device {device!r} is not on this machine; use auto, or cpu"
        raise ConfigError(message)
    return wanted


def resolve_precision(precision: str, device: torch.device) -> str:
    """Turn ``auto`` into ``bf16`` where the device computes in it natively, else ``float32``.

    Raises
    ------
    ConfigError
        Not a precision.
    """
    if precision == "auto":
        return "bf16" if _native_bf16(device) else "float32"
    if precision not in ("bf16", "float32"):
        message = f"precision {precision!r}: not known; use auto, bf16 or float32"
        raise ConfigError(message)
    return precision


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Open the context in which a network computes in ``precision`` (``bf16`` or ``float32``)."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def device_name(device: torch.device) -> str:
    """Name the device for the record."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return device.type


_BF16 = ("avx512_bf16", "amx_bf16", "arm_bf16", "bf16")
"""Names of native bf16 arithmetic among a processor's capabilities."""


def _native_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    if hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name, False) for name in _BF16)
    # older versions of torch have only these
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(check() for check in checks if check is not None)
